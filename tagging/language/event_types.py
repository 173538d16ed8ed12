"""The event catalogue as conditions see it: which types there are, what their properties are called and hold."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext, pgettext
from django.utils.translation import gettext_lazy as _

from events import catalogue, declared
from scrm.lib.errors import Text

PROP_LABELS: dict[str, Text] = {
    "page": _("页面"),
    "dwell_seconds": _("停留秒数"),
    "product_id": _("商品"),
    "category": _("品类"),
    "ref_page": _("来源页面"),
    "keyword": _("关键词"),
    "amount_fen": _("金额（分）"),
    "order_no": _("订单号"),
    "staff_id": _("员工 ID"),
    "state": _("来源"),
    "add_way": _("添加方式"),
    "lost_by": _("删除方"),
    "chat_id": _("客户群"),
    "push_id": _("推送"),
    "tag_id": _("标签 ID"),
    "tag": _("标签"),
    "source": _("方式"),
    "channel": _("渠道"),
    "reason": _("原因"),
    "segment_id": _("人群 ID"),
    "segment": _("人群"),
    "version": _("版本"),
    "points": _("积分"),
    "balance": _("积分余额"),
    "quantity": _("件数"),
    "carrier": _("承运方"),
    "streak_days": _("连续天数"),
    "activity": _("活动"),
    "prize": _("奖品"),
    "won": _("是否中奖"),
    "survey": _("问卷"),
    "question": _("题目"),
    "answer": _("回答"),
    "score": _("评分"),
    "live": _("直播间"),
    "store": _("门店"),
    "messages": _("消息数"),
    "welcome_id": _("欢迎语 ID"),
    "merge_id": _("合并 ID"),
    "other_id": _("另一位客户 ID"),
    "field": _("字段"),
    "from": _("原来"),
    "to": _("现在"),
    "direction": _("升降"),
    "metric": _("升级指标"),
}
SPOKEN: dict[str, Text] = {"amount_fen": _("金额"), "dwell_seconds": _("停留")}
"""in sentences, where the unit stands behind the value"""


def is_known(event: str) -> bool:
    """Whether events of this type can exist."""
    return catalogue.is_known(event)


def names() -> list[str]:
    """The built-in types, and those the brand declared. Scoped, for the latter."""
    return [kind.name for kind in declared.kinds()]


def label_of(event: str) -> str:
    """What people call the type."""
    return declared.label(event)


def props_of(event: str) -> Mapping[str, str] | None:
    """Property → text, int or bool; None for an own type that the brand did not declare: its properties are free.

    Built-in types may carry further properties, but a filter on those is refused: it is a typing error far more often,
    and would silently match nobody."""
    kind = declared.kind_of(event)
    return kind.props if kind else None


def prop_label(prop: str, event: str = "") -> str:
    """What people call the property (of that type); an undeclared one of the brand's own is called by its name."""
    kind = declared.kind_of(event) if event else None
    return str((kind.prop_labels if kind else {}).get(prop) or PROP_LABELS.get(prop, prop))


def spoken(prop: str, event: str) -> str:
    """The property's name in a sentence, without its unit. Scoped, for own types."""
    return str(SPOKEN[prop]) if prop in SPOKEN else prop_label(prop, event)


def unit_of(prop: str, event: str) -> str:
    """What its numbers count; empty if nobody says. Scoped, for own types."""
    if prop == "dwell_seconds":
        return gettext("秒")
    kind = declared.kind_of(event)
    return kind.units.get(prop, "") if kind else ""


def value_text(value: Any, prop: str, event: str) -> str:
    """A value of the property as people read it: ¥99.00, 15 秒, 是. Scoped, for own types."""
    if isinstance(value, bool):
        return pgettext("value", "是") if value else pgettext("value", "否")
    if not isinstance(value, int):
        return str(value)
    if prop == "amount_fen":
        return yuan(value)
    return f"{value} {unit_of(prop, event)}".rstrip()


def yuan(fen: int) -> str:
    """19900 → ¥199.00."""
    sign = "-" if fen < 0 else ""
    return f"{sign}¥{abs(fen) // 100:,}.{abs(fen) % 100:02d}"
