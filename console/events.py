"""One event as a sentence for the timeline."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from events import catalogue
from events.models import Event


def sentence(event: Event, staff: Mapping[int, str]) -> str:
    """`浏览商品 · 婴童 · 18 秒`: what happened, then what is known about it."""
    props: Mapping[str, Any] = event.props
    details = [
        str(props[name])
        for name in ("page", "keyword", "category", "product_id", "order_no", "tag", "reason")
        if props.get(name) not in (None, "")
    ]
    if isinstance(props.get("dwell_seconds"), int):
        details.append(_("停留 %(n)d 秒") % {"n": props["dwell_seconds"]})
    if isinstance(props.get("amount_fen"), int):
        details.append(f"¥{props['amount_fen'] / 100:,.2f}".removesuffix(".00"))
    if isinstance(props.get("points"), int):
        details.append(_("%(n)s 积分") % {"n": f"{props['points']:,}"})
    if isinstance(props.get("staff_id"), int) and staff.get(props["staff_id"]):
        details.append(staff[props["staff_id"]])
    return " · ".join([catalogue.label(event.type), *details])
