"""What can change whether a condition holds: events, rows that are written, and time alone.

A dynamic segment looks again only at contacts whom something touched, at the leaves that it can change, and at the
moment at which time alone can change one. Every kind of condition says both of itself (Condition.touched_by and
Condition.next_flip); a kind that does not know says so, and is looked at more often than it need be."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tagging.language.sql import Sql

UNKNOWN = timedelta(hours=1)
"""how soon a leaf that does not know its next moment is looked at again"""
TICK = "interval '1 microsecond'"
"""windows are `[start, end)`: what lies on the start is still in, so the first moment at which it is out is the next"""

SOURCES = ("contact", "follow", "tag", "group", "identity", "points", "outreach", "segment", "stage", "interest")
"""Tables whose rows conditions read, by what they are about. A change of a row touches its contact."""


@dataclass(frozen=True, slots=True)
class Touched:
    """By what a leaf's truth can change, apart from time."""

    events: frozenset[str] | None = frozenset()
    """event types; None: by any event"""
    sources: frozenset[str] | None = frozenset()
    """of SOURCES; None: by any of them"""

    def __or__(self, other: "Touched") -> "Touched":
        return Touched(_both(self.events, other.events), _both(self.sources, other.sources))

    def by_event(self, type_: str) -> bool:
        """Whether an event of this type can change it."""
        return self.events is None or type_ in self.events

    def by_source(self, source: str) -> bool:
        """Whether a changed row of this kind can change it."""
        return self.sources is None or source in self.sources


NOTHING = Touched()
ANYTHING = Touched(None, None)


def by_events(*types: str) -> Touched:
    """Changed by events of these types only."""
    return Touched(events=frozenset(types))


def by_sources(*sources: str) -> Touched:
    """Changed by rows of these kinds only. Raises ValueError for a kind that nobody reports."""
    if unknown := set(sources) - set(SOURCES):
        raise ValueError(f"nobody reports changes of {sorted(unknown)}")
    return Touched(sources=frozenset(sources))


def earliest(parts: list[Sql]) -> Sql | None:
    """The first of several moments; those that are NULL do not count."""
    if len(parts) < 2:
        return parts[0] if parts else None
    return Sql(f"least({', '.join(part.text for part in parts)})", tuple(v for part in parts for v in part.params))


def row_flip(leaf: Mapping[str, Any], frame: Any, column: str) -> Sql:
    """When "the moment in `column` lies in the leaf's window" changes by time alone next; NULL: never.

    `column` is SQL for a timestamptz. Never later than the true moment; for a calendar window it may be earlier, since
    a row of the period before last has nothing to expect of the next boundary but costs a look to find out."""
    window = frame.window(leaf)
    ahead = f"WHEN {column} >= %s THEN {column} + {TICK}"
    if leaf.get("days") is not None or leaf.get("hours") is not None:
        long = timedelta(days=leaf.get("days") or 0, hours=leaf.get("hours") or 0)
        return Sql(
            f"(CASE {ahead} WHEN {column} >= %s THEN {column} + %s + {TICK} END)", (frame.at, window.start, long)
        )
    if leaf.get("calendar") is not None or leaf.get("anniversary") is not None:
        return Sql(
            f"(CASE {ahead} WHEN {column} >= %s THEN %s::timestamptz END)",
            (frame.at, window.start, boundary(leaf, at=frame.at, zone=frame.zone)),
        )
    return Sql(f"(CASE {ahead} END)", (frame.at,))


def boundary(leaf: Mapping[str, Any], *, at: datetime, zone: ZoneInfo) -> datetime:
    """When the leaf's calendar window next moves: the brand's next midnight, Monday or first of a month."""
    day = at.astimezone(zone).date()
    following = day + timedelta(days=1)
    if leaf.get("calendar") == "week":
        following = day + timedelta(days=7 - day.weekday())
    elif leaf.get("calendar") == "month":
        following = (day.replace(day=28) + timedelta(days=4)).replace(day=1)
    return datetime.combine(following, time.min, tzinfo=zone)


def passing(column: str, after: timedelta, at: datetime) -> Sql:
    """The first moment after `column + after`, if it is still to come: when `column < now - after` becomes true."""
    return Sql(f"(CASE WHEN {column} >= %s THEN {column} + %s + {TICK} END)", (at - after, after))


def _both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    return None if one is None or other is None else one | other
