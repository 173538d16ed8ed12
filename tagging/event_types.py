"""The event catalogue as conditions see it: which types there are, what their properties are called and hold."""

from collections.abc import Mapping

from django.utils.translation import gettext_lazy as _

from events import catalogue
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
}


def is_known(event: str) -> bool:
    """Whether events of this type can exist."""
    return catalogue.is_known(event)


def names() -> list[str]:
    """The built-in types."""
    return list(catalogue.BUILT_IN)


def label_of(event: str) -> str:
    """What people call the type."""
    return catalogue.label(event)


def props_of(event: str) -> Mapping[str, str] | None:
    """Property → text, int or bool; None for a brand's own type, whose properties are free.

    Built-in types may carry further properties, but a filter on those is refused: it is a typing error far more often,
    and would silently match nobody."""
    kind = catalogue.BUILT_IN.get(event)
    return kind.props if kind else None


def prop_label(prop: str) -> str:
    """What people call the property; one that is a brand's own is called by its name."""
    return str(PROP_LABELS.get(prop, prop))
