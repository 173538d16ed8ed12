"""How long ago the first or last of some events was."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from tagging.language import changes, windows
from tagging.language.conditions import Frame, Leaf
from tagging.language.leaves.behaviour import aggregated, matching, of_contact
from tagging.language.sql import Sql, all_of

UNITS = (("days", gettext_lazy("天")), ("hours", gettext_lazy("小时")))
AGE_OPS = ("gte", "gt", "lte", "lt", "between")
MAX_AGE = 24 * windows.MAX_DAYS


def aged(events: Sequence[Sql], frame: Frame, leaf: Leaf) -> Sql:
    """Whether the first or last of the events is so long ago; never without events."""
    edge = Sql("max(e.occurred_at)" if leaf["agg"] == "last" else "min(e.occurred_at)")
    op, value = leaf["op"], leaf["value"]
    if op == "between":
        # Ages from low to high are moments from at - high to at - low.
        return aggregated(
            events, frame, edge, op, [_ago(leaf, frame, value[1]), _ago(leaf, frame, value[0])], empty=None
        )
    earlier = {"gte": "lte", "gt": "lt", "lte": "gte", "lt": "gt"}[op]
    return aggregated(events, frame, edge, earlier, _ago(leaf, frame, value), empty=None)


def _ago(leaf: Leaf, frame: Frame, value: int) -> Any:
    return frame.at - _long(leaf, value)


def _long(leaf: Leaf, value: int) -> timedelta:
    return timedelta(hours=value) if leaf.get("unit") == "hours" else timedelta(days=value)


def age_flips(leaf: Leaf, frame: Frame, types: Sequence[str]) -> list[Sql]:
    """When the age passes the value. The moment itself and just after it: ≥ turns at it, > after it."""
    where = all_of([*matching({**leaf, "event": leaf["event"]}, frame, types=types), of_contact(frame)])
    edge = "max" if leaf["agg"] == "last" else "min"
    made = []
    for value in leaf["value"] if leaf["op"] == "between" else [leaf["value"]]:
        long = _long(leaf, value)
        made.append(
            Sql(
                f"(SELECT CASE WHEN {edge}(e.occurred_at) + %s > %s THEN {edge}(e.occurred_at) + %s"  # noqa: S608
                f" WHEN {edge}(e.occurred_at) + %s = %s THEN %s + {changes.TICK} END"
                f" FROM events_event e WHERE {where.text})",
                (long, frame.at, long, long, frame.at, frame.at, *where.params),
            )
        )
    return made


def age_phrase(leaf: Leaf) -> str:
    """距今超过 180 天; 距今不到 7 天; 距今 30 到 60 天."""
    unit, value, op = leaf.get("unit") or "days", leaf["value"], leaf["op"]
    if op == "between":
        return _("距今 %(low)d 到 %(time)s") % {"low": value[0], "time": windows.span(value[1], unit)}
    forms = {
        "gt": _("距今超过 %(time)s"),
        "gte": _("距今至少 %(time)s"),
        "lt": _("距今不到 %(time)s"),
        "lte": _("距今最多 %(time)s"),
    }
    return forms[op] % {"time": windows.span(value, unit)}
