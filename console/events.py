"""One event as a sentence for the timeline."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from console.one_contact import Names
from console.templatetags.orchard import points_reason, reason_label
from console.words import welcome_reason
from contacts.models import Follow
from events import declared
from events.models import Event
from points.models.tiers import TierSpell
from points.tiers import reading
from tagging.rules import lifecycle
from tenants.scope import kept

FIELDS = {
    "name": gettext_lazy("昵称"),
    "avatar": gettext_lazy("头像"),
    "gender": gettext_lazy("性别"),
    "kind": gettext_lazy("客户类型"),
    "phone": gettext_lazy("手机号"),
    "main_guide_id": gettext_lazy("主导购"),
    "source_state": gettext_lazy("来源渠道"),
    "first_added_at": gettext_lazy("首次添加"),
    "lost_at": gettext_lazy("流失时间"),
}
"""Fields of profile_changed."""
PROPS = {
    "survey": gettext_lazy("问卷"),
    "question": gettext_lazy("问题"),
    "answer": gettext_lazy("回答"),
    "score": gettext_lazy("评分"),
    "live": gettext_lazy("直播"),
    "store": gettext_lazy("门店"),
    "activity": gettext_lazy("活动"),
    "prize": gettext_lazy("奖品"),
    "won": gettext_lazy("中奖"),
    "streak_days": gettext_lazy("连续天数"),
    "quantity": gettext_lazy("件数"),
    "carrier": gettext_lazy("承运商"),
}
"""Properties of built-in types; a brand names those of its own."""
TRANSFERS = {
    "customer_refused": gettext_lazy("客户拒绝"),
    "customer_limit_exceed": gettext_lazy("新导购的客户数已满"),
}
"""WeCom's words for why a customer did not go over to another guide."""
FIRST = ("page", "keyword", "category", "product_id", "order_no", "tag", "segment", "state")
"""Texts that say most, in this order; other declared properties follow in the catalogue's."""
OF_ITS_OWN = frozenset({"dwell_seconds", "amount_fen", "points", "reason", "ref_page", "source", "channel", "balance"})
"""Properties that are told in other words, or not at all."""
LONGEST = 60
ENDS = ("from", "to")


def sentence(event: Event, names: Names) -> str:
    """`浏览商品 · 婴童 · 18 秒`: what happened, then what is known about it."""
    props: Mapping[str, Any] = event.props
    details = [_cut(str(props[name])) for name in FIRST if props.get(name) not in (None, "")]
    details += _of_brand(event)
    details += _named(props, names)
    details += _reason(event.type, str(props.get("reason") or ""))
    if _is_number(props.get("dwell_seconds")):
        details.append(_("停留 %(n)d 秒") % {"n": props["dwell_seconds"]})
    if event.type == "chat_session" and _is_number(props.get("messages")):
        details.append(ngettext("%(n)d 条消息", "%(n)d 条消息", props["messages"]) % {"n": props["messages"]})
    if _is_number(props.get("amount_fen")):
        details.append(f"¥{props['amount_fen'] / 100:,.2f}".removesuffix(".00"))
    if _is_number(props.get("points")):
        details.append(_("%(n)s 积分") % {"n": f"{props['points']:,}"})
    if event.type == "friend_lost":
        guide = names.staff.get(props.get("staff_id", 0), "")
        details = ended(guide, str(props.get("lost_by") or ""))
    return " · ".join([declared.label(event.type), *details, *_of_person(event)])


def ended(guide: str, by: str) -> list[str]:
    """Who deleted whom: `客户删除了小林`. Without a name, whose act it was; nothing if WeCom did not say."""
    if guide:
        said = {
            "contact": _("客户删除了%(guide)s"),
            "staff": _("%(guide)s删除了客户"),
            "transfer": _("由%(guide)s转给其他导购"),
        }
        return [said[by] % {"guide": guide}] if by in said else [guide]
    return [str(Follow.LostBy(by).label)] if by in Follow.LostBy.values else []


def _of_brand(event: Event) -> list[str]:
    """What the catalogue declares for types that are sent to us, as `活动 双十一`: the brand's own types too."""
    kind = declared.kind_of(event.type)
    if kind is None or kind.sender != "api":
        return []
    told = []
    for name in kind.props:
        value = event.props.get(name)
        if name in FIRST or name in OF_ITS_OWN or value in (None, ""):
            continue
        text = (_("是") if value else _("否")) if isinstance(value, bool) else _cut(str(value))
        told.append(f"{kind.prop_labels.get(name) or PROPS.get(name, name)} {text}")
    return told


def _named(props: Mapping[str, Any], names: Names) -> list[str]:
    found = (
        names.groups.get(props.get("chat_id", "")),
        names.pushes.get(props.get("push_id", 0)),
        names.staff.get(props.get("staff_id", 0)),
    )
    return [name for name in found if name]


def _reason(type_: str, code: str) -> list[str]:
    """Why, in the words of the pages it belongs to. Entering a segment has its reasons on the segment's page."""
    if not code or type_ in ("segment_entered", "segment_left"):
        return []
    if type_ == "tier_changed":
        return [str(dict(TierSpell.Reason.choices).get(code, code))]
    if type_ == "transfer_failed":
        return [str(TRANSFERS.get(code, code))]
    if type_ == "welcome_failed":
        return [welcome_reason(code)]
    return [points_reason(code) if type_.startswith("points_") else reason_label(code)]


def _of_person(event: Event) -> list[str]:
    """What changed into what, and with whom somebody was merged."""
    props: Mapping[str, Any] = event.props
    if event.type in ("contact_merged", "contact_split"):
        return [f"#{props.get('other_id')}"]
    if event.type == "lifecycle_changed":
        labels = kept("console.stages", lifecycle.labels)
        return [" → ".join(str(labels.get(str(props.get(end) or ""), props.get(end))) for end in ENDS)]
    if event.type == "tier_changed":
        labels = kept("console.tiers", reading.names)
        return [
            " → ".join(str(labels.get(str(props.get(end) or ""), props.get(end) or _("没有等级"))) for end in ENDS),
        ]
    if event.type == "profile_changed":
        name = str(props.get("field", ""))
        shown = [str(FIELDS.get(name, name))]
        if name in ("name", "phone", "source_state"):
            shown.append(f"{props.get('old') or '—'} → {props.get('new') or '—'}")
        return shown
    return []


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
