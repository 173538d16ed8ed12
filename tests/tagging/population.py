"""Small random populations, and a plain reading of condition trees in Python to hold the SQL against.

The reading here knows nothing of the compiler: it loops over rows in memory, which the product never does."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from contacts.models import Contact, Follow
from events import log
from tagging.models import ContactTag, Tag

COMPARE = {
    "gte": lambda a, b: a >= b,
    "gt": lambda a, b: a > b,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lte": lambda a, b: a <= b,
    "lt": lambda a, b: a < b,
}


@dataclass
class Happening:
    """An event of one person: when it was, relative to now."""

    type: str
    ago: timedelta
    props: dict[str, Any]


@dataclass
class Somebody:
    """A contact as the generator makes it; times are relative to now, None is missing."""

    name: str = ""
    gender: int = 0
    phone: str = ""
    source_state: str = ""
    first_added: timedelta | None = None
    last_active: timedelta | None = None
    lost: timedelta | None = None
    tags: dict[int, tuple[timedelta, timedelta | None]] = field(default_factory=dict)
    """index of the tag → (given how long ago, expires in; negative: has expired)"""
    follows: dict[int, tuple[str, bool]] = field(default_factory=dict)
    """index of the guide → (state, lost)"""
    events: list[Happening] = field(default_factory=list)


@dataclass
class World:
    """What the leaves of a tree refer to, by index."""

    now: datetime
    zone: ZoneInfo
    tags: list[Tag]
    guides: list[Any]
    """Staff; guide 0 and 1 are of store 0, guide 2 has none"""
    store: Any

    def write(self, people: list[Somebody], brand_id: int) -> list[int]:
        """Store them; returns their contact ids in order. In the brand's scope."""
        ids = []
        for person in people:
            contact = Contact.objects.create(
                name=person.name,
                gender=person.gender,
                phone=person.phone,
                source_state=person.source_state,
                first_added_at=_before(self.now, person.first_added),
                last_active_at=_before(self.now, person.last_active),
                lost_at=_before(self.now, person.lost),
                created_at=self.now - timedelta(days=400),
            )
            ids.append(contact.id)
            for index, (given, left) in person.tags.items():
                ContactTag.objects.create(
                    brand_id=brand_id,
                    contact=contact,
                    tag=self.tags[index],
                    source="manual",
                    given_at=self.now - given,
                    expires_at=None if left is None else self.now + left,
                )
            for index, (state, is_lost) in person.follows.items():
                Follow.objects.create(
                    brand_id=brand_id,
                    contact=contact,
                    staff=self.guides[index],
                    external_userid=f"wm{contact.id}",
                    state=state,
                    added_at=self.now - timedelta(days=20),
                    lost_at=self.now - timedelta(days=1) if is_lost else None,
                )
        log.write(
            [
                log.NewEvent(happening.type, self.now - happening.ago, contact_id=contact_id, props=happening.props)
                for person, contact_id in zip(people, ids, strict=True)
                for happening in person.events
            ],
            at=self.now,
        )
        return ids

    def holds(self, tree: dict[str, Any], person: Somebody) -> bool:
        """Whether the tree is true of the person."""
        for group, test in (("all", all), ("any", any)):
            if group in tree:
                return test(self.holds(child, person) for child in tree[group])
        if "none" in tree:
            return not any(self.holds(child, person) for child in tree["none"])
        return bool(getattr(self, f"_{tree['kind']}")(tree, person))

    def _profile(self, leaf: dict[str, Any], person: Somebody) -> bool:
        name = leaf["field"]
        value = {
            "name": person.name or None,
            "gender": person.gender or None,
            "phone": person.phone or None,
            "source_state": person.source_state or None,
            "first_added_at": _before(self.now, person.first_added),
            "last_active_at": _before(self.now, person.last_active),
        }[name]
        op, wanted = leaf["op"], leaf.get("value")
        if op in ("exists", "is_missing"):
            return (value is None) == (op == "is_missing")
        if value is None:
            return bool(leaf.get("or_missing"))
        if op == "within":
            start, end = self._window(leaf)
            return start <= value < end
        return {
            "eq": lambda: value == wanted,
            "ne": lambda: value != wanted,
            "in": lambda: value in wanted,
            "not_in": lambda: value not in wanted,
            "contains": lambda: wanted in value,
            "starts_with": lambda: value.startswith(wanted),
            "older_than": lambda: value < self.now - timedelta(days=leaf["days"]),
            "before": lambda: value < datetime.fromisoformat(wanted),
            "after": lambda: value >= datetime.fromisoformat(wanted),
        }[op]()

    def _lifecycle(self, leaf: dict[str, Any], person: Somebody) -> bool:
        silent = timedelta(days=leaf.get("silent_days", 30))
        if person.lost is not None:
            stage = "lost"
        elif person.first_added is None:
            stage = "visitor"
        elif person.first_added <= timedelta(days=7):
            stage = "new"
        else:
            stage = "active" if person.last_active is not None and person.last_active <= silent else "silent"
        return stage in _listed(leaf["stage"])

    def _lost(self, leaf: dict[str, Any], person: Somebody) -> bool:
        start, end = self._window(leaf)
        lost = person.lost is not None and start <= self.now - person.lost < end
        if not {"days", "hours", "calendar"} & leaf.keys():
            lost = person.lost is not None
        return lost == (leaf.get("op", "is") == "is")

    def _tag(self, leaf: dict[str, Any], person: Somebody) -> bool:
        if "tag_id" in leaf:
            wanted = {index for index, tag in enumerate(self.tags) if tag.pk in _listed(leaf["tag_id"])}
        else:
            wanted = {index for index, tag in enumerate(self.tags) if str(tag) in _listed(leaf["tag"])}
        start, end = self._window(leaf)
        has = any(
            index in wanted
            and (left is None or left > timedelta(0))
            and ("days" not in leaf or start <= self.now - given < end)
            for index, (given, left) in person.tags.items()
        )
        return has == (leaf.get("op", "has") == "has")

    def _follow(self, leaf: dict[str, Any], person: Somebody) -> bool:
        live = leaf.get("live", True)
        has = any(
            (live == "any" or is_lost != live)
            and ("guide" not in leaf or self.guides[index].pk in _listed(leaf["guide"]))
            and ("store" not in leaf or index < 2)
            and ("state" not in leaf or state in _listed(leaf["state"]))
            for index, (state, is_lost) in person.follows.items()
        )
        return has == (leaf.get("op", "has") == "has")

    def _event_count(self, leaf: dict[str, Any], person: Somebody) -> bool:
        return COMPARE[leaf["op"]](len(self.matching(leaf, person)), leaf["value"])

    def _event_sum(self, leaf: dict[str, Any], person: Somebody) -> bool:
        total = sum(each.props.get("amount_fen", 0) for each in self.matching(leaf, person))
        return COMPARE[leaf["op"]](total, leaf["value"])

    def _event_recency(self, leaf: dict[str, Any], person: Somebody) -> bool:
        return bool(self.matching(leaf, person)) == (leaf["op"] == "within")

    def matching(self, leaf: dict[str, Any], person: Somebody) -> list[Happening]:
        """The person's events that a leaf counts."""
        start, end = self._window(leaf)
        return [
            each
            for each in person.events
            if each.type == leaf["event"]
            and start <= self.now - each.ago < end
            and all(_passes(key, value, each.props) for key, value in leaf.get("where", {}).items())
        ]

    def _window(self, leaf: dict[str, Any]) -> tuple[datetime, datetime]:
        if "days" in leaf:
            return self.now - timedelta(days=leaf["days"]), self.now
        if "hours" in leaf:
            return self.now - timedelta(hours=leaf["hours"]), self.now
        if "calendar" in leaf:
            # Walk the days one by one and keep those in the wanted period: slow, and not how the product does it.
            today = self.now.astimezone(self.zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
            label = _label(today, leaf["calendar"])
            days = [today + timedelta(days=n) for n in range(-120, 40)]
            labels = sorted({_label(day, leaf["calendar"]) for day in days})
            wanted = labels[labels.index(label) + leaf.get("offset", 0)]
            inside = [day for day in days if _label(day, leaf["calendar"]) == wanted]
            start, last = inside[0], inside[-1] + timedelta(days=1)
            return start.replace(tzinfo=self.zone), min(last.replace(tzinfo=self.zone), self.now)
        return self.now - timedelta(days=36_500), self.now


def _label(day: datetime, calendar: str) -> str:
    if calendar == "week":
        year, week, _day = day.isocalendar()
        return f"{year}-{week:02d}"
    return day.strftime("%Y-%m-%d" if calendar == "day" else "%Y-%m")


def _passes(key: str, wanted: Any, props: dict[str, Any]) -> bool:
    if key.startswith("min_"):
        return key[4:] in props and props[key[4:]] >= wanted
    if key.startswith("max_"):
        return key[4:] in props and props[key[4:]] <= wanted
    return key in props and props[key] in _listed(wanted)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _before(now: datetime, ago: timedelta | None) -> datetime | None:
    return None if ago is None else now - ago
