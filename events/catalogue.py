"""What can happen to a contact: the built-in event types, their properties, and who may send them.

The catalogue is open: a brand's own types begin with `x_`, and any type may carry further flat properties. What is
declared here is checked, because segments, rules and points read it; `amount_fen` is whole fen, `dwell_seconds` whole
seconds."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from scrm.lib.errors import FieldError

OWN_TYPE = re.compile(r"x_[a-z0-9_]{1,58}")
PROP_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,59}")
MAX_PROPS = 50
MAX_TEXT = 1000
"""characters of one text property"""
LARGEST = 2**63 - 1
"""whole numbers are kept as bigint"""


@dataclass(frozen=True, slots=True)
class EventType:
    """One kind of event. `props` maps a property to "text", "int" or "bool"."""

    name: str
    label: str | Promise
    sender: str
    """api (the brand's own systems), wecom or system"""
    props: Mapping[str, str] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    """properties without which an event of this type is refused"""
    prop_labels: Mapping[str, str] = field(default_factory=dict)
    """what a brand calls the properties of its own type"""
    units: Mapping[str, str] = field(default_factory=dict)


_ORDER = {"order_no": "text", "amount_fen": "int", "category": "text", "product_id": "text"}
_TAG = {"tag_id": "int", "tag": "text", "source": "text"}
_SEGMENT = {"segment_id": "int", "segment": "text", "version": "int", "reason": "text"}
_POINTS = {"points": "int", "balance": "int", "reason": "text"}
_TIER = {"from": "text", "to": "text", "direction": "text", "reason": "text", "metric": "int"}

BUILT_IN: dict[str, EventType] = {
    kind.name: kind
    for kind in (
        EventType(
            "page_view",
            gettext_lazy("浏览页面"),
            "api",
            {"page": "text", "dwell_seconds": "int", "ref_page": "text"},
        ),
        EventType(
            "product_view",
            gettext_lazy("浏览商品"),
            "api",
            {"product_id": "text", "category": "text", "dwell_seconds": "int", "ref_page": "text"},
        ),
        EventType("search", gettext_lazy("搜索"), "api", {"keyword": "text"}),
        EventType(
            "add_cart",
            gettext_lazy("加入购物车"),
            "api",
            {"product_id": "text", "category": "text", "amount_fen": "int", "quantity": "int"},
        ),
        EventType("remove_cart", gettext_lazy("移出购物车"), "api", {"product_id": "text", "category": "text"}),
        EventType("order_created", gettext_lazy("下单"), "api", _ORDER),
        EventType("order_paid", gettext_lazy("支付订单"), "api", _ORDER),
        EventType("order_refunded", gettext_lazy("退款"), "api", _ORDER),
        EventType("order_shipped", gettext_lazy("订单发货"), "api", {"order_no": "text", "carrier": "text"}),
        EventType("order_completed", gettext_lazy("订单完成"), "api", _ORDER),
        EventType("order_cancelled", gettext_lazy("订单取消"), "api", {**_ORDER, "reason": "text"}),
        EventType("share", gettext_lazy("分享"), "api", {"page": "text", "product_id": "text", "channel": "text"}),
        EventType("sign_in", gettext_lazy("签到"), "api", {"streak_days": "int"}),
        EventType("draw", gettext_lazy("抽奖"), "api", {"activity": "text", "prize": "text", "won": "bool"}),
        EventType(
            "survey_answered",
            gettext_lazy("填写问卷"),
            "api",
            {"survey": "text", "question": "text", "answer": "text", "score": "int"},
        ),
        EventType(
            "live_watched",
            gettext_lazy("观看直播"),
            "api",
            {"live": "text", "dwell_seconds": "int", "product_id": "text"},
        ),
        EventType("store_visit", gettext_lazy("到店"), "api", {"store": "text", "dwell_seconds": "int"}),
        EventType(
            "friend_added",
            gettext_lazy("添加好友"),
            "wecom",
            {"staff_id": "int", "state": "text", "add_way": "int"},
        ),
        EventType("friend_lost", gettext_lazy("好友流失"), "wecom", {"staff_id": "int", "lost_by": "text"}),
        EventType("transfer_failed", gettext_lazy("继承未成功"), "wecom", {"staff_id": "int", "reason": "text"}),
        EventType("welcome_sent", gettext_lazy("收到欢迎语"), "system", {"staff_id": "int", "welcome_id": "int"}),
        EventType(
            "welcome_failed",
            gettext_lazy("欢迎语未送达"),
            "system",
            {"staff_id": "int", "welcome_id": "int", "reason": "text"},
        ),
        EventType("chat_session", gettext_lazy("与导购聊天"), "wecom", {"staff_id": "int", "messages": "int"}),
        EventType("group_joined", gettext_lazy("加入客户群"), "wecom", {"chat_id": "text"}),
        EventType("group_left", gettext_lazy("退出客户群"), "wecom", {"chat_id": "text"}),
        EventType("moment_liked", gettext_lazy("点赞朋友圈"), "wecom", {"push_id": "int"}),
        EventType("moment_commented", gettext_lazy("评论朋友圈"), "wecom", {"push_id": "int"}),
        EventType("tag_given", gettext_lazy("打上标签"), "system", _TAG),
        EventType("tag_taken", gettext_lazy("移除标签"), "system", _TAG),
        EventType(
            "message_delivered",
            gettext_lazy("推送送达"),
            "system",
            {"push_id": "int", "channel": "text", "staff_id": "int"},
        ),
        EventType(
            "message_failed",
            gettext_lazy("推送未送达"),
            "system",
            {"push_id": "int", "channel": "text", "reason": "text"},
        ),
        # `old` and `new` are what the field held: text, number or null; a phone number masked.
        EventType("profile_changed", gettext_lazy("资料变更"), "system", {"field": "text"}),
        EventType("contact_merged", gettext_lazy("合并客户"), "system", {"merge_id": "int", "other_id": "int"}),
        EventType("contact_split", gettext_lazy("拆分客户"), "system", {"merge_id": "int", "other_id": "int"}),
        EventType("segment_entered", gettext_lazy("进入人群"), "system", _SEGMENT),
        EventType("segment_left", gettext_lazy("离开人群"), "system", _SEGMENT),
        EventType("lifecycle_changed", gettext_lazy("阶段变更"), "system", {"from": "text", "to": "text"}),
        EventType("points_earned", gettext_lazy("获得积分"), "system", _POINTS),
        EventType("points_spent", gettext_lazy("消耗积分"), "system", _POINTS),
        EventType("tier_changed", gettext_lazy("等级变更"), "system", _TIER),
    )
}


def label(name: str) -> str:
    """What people call a type; a brand's own type is called by its name."""
    kind = BUILT_IN.get(name)
    return str(kind.label) if kind else name


def is_known(name: str) -> bool:
    """Whether events of this type can exist."""
    return name in BUILT_IN or OWN_TYPE.fullmatch(name) is not None


def check(
    type: str, props: Mapping[str, Any], *, sender: str = "api", own: Mapping[str, EventType] | None = None
) -> list[FieldError]:
    """What is wrong with an event of `sender`; empty if nothing. Fields are `type`, `props`, `props.<name>`.

    `own` are the brand's declared types (events.declared); an own type that is not declared carries what it likes."""
    kind = BUILT_IN.get(type) or (own or {}).get(type)
    if kind is None and not OWN_TYPE.fullmatch(type):
        return [_unknown_type()]
    if kind is not None and sender == "api" and kind.sender != "api":
        return [_reserved(type)]
    if kind is not None and not kind.required <= props.keys():
        return [_missing_prop(name) for name in sorted(kind.required - props.keys())]
    if not props:
        return []
    if len(props) > MAX_PROPS:
        return [_too_many()]
    declared = kind.props if kind else {}
    wrong = []
    for name, value in props.items():
        # The common case first: this runs for every property of every event.
        fits = _FITS[declared.get(name, "any")]
        if not fits(value) or not PROP_NAME.fullmatch(name):
            wrong.append(_wrong_prop(name, value, declared.get(name, "any")))
    return wrong


def is_storable(text: str) -> bool:
    """Whether PostgreSQL can keep the text: no NUL, no half of a surrogate pair."""
    if text.isascii():
        return "\x00" not in text
    return not any(char == "\x00" or "\ud800" <= char <= "\udfff" for char in text)


def _is_text(value: object) -> bool:
    return type(value) is str and len(value) <= MAX_TEXT and is_storable(value)


def _is_int(value: object) -> bool:
    return type(value) is int and -LARGEST <= value <= LARGEST


def _is_bool(value: object) -> bool:
    return type(value) is bool


def _is_scalar(value: object) -> bool:
    if value is None:
        return True
    return _is_text(value) or _is_int(value) or _is_bool(value) or (type(value) is float and isfinite(value))


_FITS: dict[str, Callable[[object], bool]] = {
    "text": _is_text,
    "int": _is_int,
    "bool": _is_bool,
    "any": _is_scalar,
}


def _unknown_type() -> FieldError:
    return FieldError(
        "type",
        "event.type_unknown",
        _("行为目录里没有这个类型。"),
        _("用目录里的类型，或给品牌自有的类型加上前缀 x_（小写字母、数字和下划线，最长 60 个字符）。"),
    )


def _reserved(name: str) -> FieldError:
    return FieldError(
        "type",
        "event.type_reserved",
        _("%(type)s 只由系统或企业微信产生。") % {"type": name},
        _("不要上报这个类型；自有的类型请加前缀 x_。"),
    )


def _too_many() -> FieldError:
    return FieldError(
        "props",
        "event.props_too_many",
        _("一条行为最多 %(most)d 个属性。") % {"most": MAX_PROPS},
        _("只上报分群和规则会用到的属性。"),
    )


def _missing_prop(name: str) -> FieldError:
    return FieldError(
        f"props.{name}",
        "event.prop_missing",
        _("这个类型的行为必须带属性 %(name)s。") % {"name": name},
        _("补上后重新上报这一条；确实没有时，请在行为目录里取消「必填」。"),
    )


def _wrong_prop(name: str, value: object, kind: str) -> FieldError:
    if not PROP_NAME.fullmatch(name):
        return FieldError(
            "props",
            "event.prop_name",
            _("属性名不合规：最长 60 个字符，以字母或下划线开头，只含字母、数字、下划线和点。"),
            _("改属性名后重新上报这一条。"),
        )
    if isinstance(value, str) and kind in ("text", "any"):
        message = _("文本最长 %(most)d 个字符，不能含控制字符 NUL 或残缺的字符。") % {"most": MAX_TEXT}
        return FieldError(f"props.{name}", "event.prop_text", message, _("截短或清理后重新上报这一条。"))
    expected = {
        "text": _("文本"),
        "int": _("整数（金额以分为单位，时长以秒为单位）"),
        "bool": _("布尔值 true 或 false"),
        "any": _("文本、数字或布尔值，不能是嵌套的对象或数组"),
    }[kind]
    return FieldError(
        f"props.{name}",
        "event.prop_type",
        _("这个属性应是：%(expected)s。") % {"expected": expected},
        _("改正类型后重新上报这一条。"),
    )
