"""One event as a sentence for the timeline."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from console.templatetags.orchard import points_reason, reason_label
from contacts.models import Follow
from events import declared
from events.models import Event
from tagging.rules import lifecycle
from tenants.scope import kept

FIELDS = {
    "name": gettext_lazy("昵称"),
    "avatar": gettext_lazy("头像"),
    "gender": gettext_lazy("性别"),
    "phone": gettext_lazy("手机号"),
    "main_guide_id": gettext_lazy("主导购"),
    "source_state": gettext_lazy("来源渠道"),
    "first_added_at": gettext_lazy("首次添加"),
    "lost_at": gettext_lazy("流失时间"),
}
"""Fields of profile_changed."""


def sentence(event: Event, staff: Mapping[int, str]) -> str:
    """`浏览商品 · 婴童 · 18 秒`: what happened, then what is known about it."""
    props: Mapping[str, Any] = event.props
    details = [
        str(props[name])
        for name in ("page", "keyword", "category", "product_id", "order_no", "tag", "segment")
        if props.get(name) not in (None, "")
    ]
    details += _reason(event.type, str(props.get("reason") or ""))
    if isinstance(props.get("dwell_seconds"), int):
        details.append(_("停留 %(n)d 秒") % {"n": props["dwell_seconds"]})
    if isinstance(props.get("amount_fen"), int):
        details.append(f"¥{props['amount_fen'] / 100:,.2f}".removesuffix(".00"))
    if isinstance(props.get("points"), int):
        details.append(_("%(n)s 积分") % {"n": f"{props['points']:,}"})
    if isinstance(props.get("staff_id"), int) and staff.get(props["staff_id"]):
        details.append(staff[props["staff_id"]])
    return " · ".join([declared.label(event.type), *details, *_of_person(event)])


def _reason(type_: str, code: str) -> list[str]:
    """Why, in the words of the pages it belongs to. Entering a segment has its reasons on the segment's page."""
    if not code or type_ in ("segment_entered", "segment_left"):
        return []
    return [points_reason(code) if type_.startswith("points_") else reason_label(code)]


def _of_person(event: Event) -> list[str]:
    """Who deleted whom, what changed into what, and with whom somebody was merged."""
    props: Mapping[str, Any] = event.props
    if event.type == "friend_lost" and props.get("lost_by") in Follow.LostBy.values:
        return [str(Follow.LostBy(props["lost_by"]).label)]
    if event.type in ("contact_merged", "contact_split"):
        return [f"#{props.get('other_id')}"]
    if event.type == "lifecycle_changed":
        labels = kept("console.stages", lifecycle.labels)
        return [" → ".join(str(labels.get(str(props.get(end) or ""), props.get(end))) for end in ("from", "to"))]
    if event.type == "profile_changed":
        name = str(props.get("field", ""))
        shown = [str(FIELDS.get(name, name))]
        if name in ("name", "phone", "source_state"):
            shown.append(f"{props.get('old') or '—'} → {props.get('new') or '—'}")
        return shown
    return []
