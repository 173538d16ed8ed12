"""The plain reading of the newer kinds of leaves, and of windows and filters: loops over rows in memory."""

import calendar
import hashlib
import itertools
import re
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

DAY = timedelta(days=1)
COMPARE = {
    "gte": lambda a, b: a >= b,
    "gt": lambda a, b: a > b,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lte": lambda a, b: a <= b,
    "lt": lambda a, b: a < b,
    "between": lambda a, b: b[0] <= a <= b[1],
}
OWN_ACTS = {"product_view", "order_paid", "x_club", "sign_in"}


class NewerKinds:
    """What World knows of leaves besides the first ones. `self` is a World."""

    def _identity(self, leaf, person):
        return bool(set(listed(leaf["type"])) & person.identities) == (leaf.get("op", "has") == "has")

    def _segment(self, leaf, person):
        return self.holds(self.segments[leaf["segment_id"]], person) == (leaf.get("op", "in") == "in")

    def _bucket(self, leaf, person):
        digest = hashlib.md5(f"{leaf['salt']}:{person.id}".encode(), usedforsecurity=False).hexdigest()
        return leaf["lo"] * 100 <= int(digest[:8], 16) % 10_000 < leaf["hi"] * 100

    def _group_member(self, leaf, person):
        live = leaf.get("live", True)
        start, end = self._window(leaf)
        has = any(
            (live == "any" or left != live)
            and ("chat_id" not in leaf or self.chats[index].pk in listed(leaf["chat_id"]))
            and (not is_windowed(leaf) or start <= self.now - joined < end)
            and not self.dissolved[index]
            for index, (joined, left) in person.groups.items()
        )
        return has == (leaf.get("op", "has") == "has")

    def _points_balance(self, leaf, person):
        return COMPARE[leaf["op"]](
            sum(n for n, left in person.lots if left is None or left > timedelta(0)), leaf["value"]
        )

    def _points_expiring(self, leaf, person):
        soon = timedelta(days=leaf["days"])
        points = sum(n for n, left in person.lots if left is not None and timedelta(0) < left <= soon)
        return COMPARE[leaf["op"]](points, leaf["value"])

    def _journey(self, leaf, person):
        wanted = {"in": "active", "ever": None}.get(leaf["state"], leaf["state"])
        has = any(
            (wanted is None or status == wanted)
            and ("sop_id" not in leaf or self.sops[index].pk in listed(leaf["sop_id"]))
            for index, status in person.journeys.items()
        )
        return has == (leaf.get("op", "has") == "has")

    def _interest(self, leaf, person):
        kind, name = ("category", "category") if "category" in leaf else ("product", "product_id")
        enough = any(
            score * 2 ** (-(ago / self.half_life)) >= leaf["value"] / 100
            for (of, key), (score, ago) in person.scores.items()
            if of == kind and key in listed(leaf[name])
        )
        return enough == (leaf.get("op", "gte") == "gte")

    def _stage(self, leaf, person):
        if person.stage is None:
            return False
        (stage, ago), (start, end) = person.stage, self._window(leaf)
        return stage in listed(leaf["stage"]) and (not is_windowed(leaf) or start <= self.now - ago < end)

    def _tier(self, leaf, person):
        op, ladder = leaf.get("op", "is"), ["silver", "gold", "black"]
        wanted = listed(leaf.get("tier", ladder))
        if op == "at_least":
            wanted = ladder[ladder.index(leaf["tier"]) :]
        tier, ago = person.tier or ("", None)
        start, end = self._window(leaf)
        has = tier in wanted and (not is_windowed(leaf) or start <= self.now - ago < end)
        return has == (op != "is_not")

    def _sop_touch(self, leaf, person):
        return leaf["push_id"] in {self.pushes[index].pk for index in person.moved}

    def _confirmed(self, leaf, person):
        start, end = self._window(leaf)
        return [
            index
            for index in person.reached
            if self.confirmed[index] is not None
            and start <= self.now - self.confirmed[index] < end
            and ("channel" not in leaf or leaf["channel"] == self.pushes[index].channel)
            and ("push_id" not in leaf or self.pushes[index].pk in listed(leaf["push_id"]))
        ]

    def _touch(self, leaf, person):
        if leaf.get("what") == "confirmed":
            return COMPARE[leaf["op"]](len(self._confirmed(leaf, person)), leaf["value"])
        where = {name: leaf[name] for name in ("channel", "push_id") if name in leaf}
        touches = self.matching({**leaf, "event": "message_delivered", "where": where}, person)
        if leaf.get("what") == "replied":
            touches = [each for each in touches if self._answered(each, person)]
        return COMPARE[leaf["op"]](len(touches), leaf["value"])

    def _answered(self, touch, person):
        return any(
            other.type in OWN_ACTS
            and other.ago > timedelta(0)
            and touch.ago - timedelta(hours=72) <= other.ago < touch.ago
            for other in person.events
        )

    def _event(self, leaf, person):
        agg, prop, events = leaf.get("agg", "count"), leaf.get("prop"), self.matching(leaf, person)
        if agg == "count":
            return COMPARE[leaf["op"]](len(events), leaf["value"])
        if agg in ("first", "last"):
            if not events:
                return False
            each = (max if agg == "last" else min)(events, key=lambda e: (-e.ago, e.id))
            if prop is None:
                return self._is_aged(each, leaf)
            return passes({"prop": prop, "op": leaf["op"], "value": leaf.get("value")}, each.props)
        if agg == "distinct":
            values = [e.props[prop] for e in events if e.props.get(prop) is not None]
            seen = {(isinstance(value, bool), value) for value in values}
            return COMPARE[leaf["op"]](len(seen), leaf["value"])
        numbers = [found for e in events if (found := number(e.props.get(prop))) is not None]
        if agg == "sum":
            return COMPARE[leaf["op"]](sum(numbers), leaf["value"])
        if not numbers:
            return False
        value = {"avg": sum(numbers) / len(numbers), "min": min(numbers), "max": max(numbers)}[agg]
        return COMPARE[leaf["op"]](value, leaf["value"])

    def _order(self, leaf, person):
        measure = leaf["measure"]
        events = self.matching({**leaf, "event": "order_paid"}, person)
        if measure in ("first", "last"):
            ends = sorted(events, key=lambda e: -e.ago)
            return bool(ends) and self._is_aged(ends[0 if measure == "first" else -1], leaf)
        orders = {e.props.get("order_no") or e.id for e in events}
        paid = sum(e.props.get("amount_fen", 0) for e in events)
        if measure == "net":
            back = self.matching({**leaf, "event": "order_refunded"}, person)
            paid -= sum(e.props.get("amount_fen", 0) for e in back)
        if measure == "average":
            priced = any("amount_fen" in e.props for e in events)
            return priced and COMPARE[leaf["op"]](paid / len(orders), leaf["value"])
        return COMPARE[leaf["op"]](len(orders) if measure == "count" else paid, leaf["value"])

    def _is_aged(self, each, leaf):
        unit = timedelta(hours=1) if leaf.get("unit") == "hours" else DAY
        value = leaf["value"]
        return COMPARE[leaf["op"]](each.ago, [unit * n for n in value] if leaf["op"] == "between" else unit * value)

    def _sequence(self, leaf, person):
        steps = [self.matching({**step, **window_of(leaf)}, person) for step in leaf["steps"]]
        return any(self._fits(way, leaf, person) for way in ways(steps)) == (leaf.get("op", "has") == "has")

    def _fits(self, way, leaf, person):
        within = leaf.get("within_hours")
        if within is not None and way[0].ago - way[-1].ago > timedelta(hours=within):
            return False
        types = {step["event"] for step in leaf["steps"]}
        if leaf.get("strict") and any(
            other.type in types and later.ago < other.ago < earlier.ago
            for earlier, later in itertools.pairwise(way)
            for other in person.events
        ):
            return False
        then = leaf.get("then_not")
        if not then:
            return True
        end = way[-1].ago
        after = [
            e for e in self.matching({"event": then["event"], "where": then.get("where", {})}, person) if e.ago < end
        ]
        if "hours" not in then:
            return not after
        long = timedelta(hours=then["hours"])
        return end >= long and not any(e.ago > end - long for e in after)

    def _window(self, leaf: dict[str, Any]) -> tuple[datetime, datetime]:
        ever = self.now - timedelta(days=36_500)
        if "days" in leaf:
            return self.now - timedelta(days=leaf["days"]), self.now
        if "hours" in leaf:
            return self.now - timedelta(hours=leaf["hours"]), self.now
        if "from" in leaf or "to" in leaf:
            start = datetime.fromisoformat(leaf["from"]) if "from" in leaf else ever
            return start, min(datetime.fromisoformat(leaf["to"]), self.now) if "to" in leaf else self.now
        today = self.now.astimezone(self.zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        if "anniversary" in leaf:
            last = calendar.monthrange(today.year - 1, today.month)[1]
            middle = today.replace(year=today.year - 1, day=min(today.day, last))
            around = timedelta(days=leaf["anniversary"])
            end = (middle + around + DAY).replace(tzinfo=self.zone)
            return (middle - around).replace(tzinfo=self.zone), min(end, self.now)
        if "calendar" in leaf:
            # Walk the days one by one and keep those in the wanted period: slow, and not how the product does it.
            wanted_label = label(today, leaf["calendar"])
            days = [today + timedelta(days=n) for n in range(-120, 40)]
            labels = sorted({label(day, leaf["calendar"]) for day in days})
            wanted = labels[labels.index(wanted_label) + leaf.get("offset", 0)]
            inside = [day for day in days if label(day, leaf["calendar"]) == wanted]
            start, last_day = inside[0], inside[-1] + DAY
            return start.replace(tzinfo=self.zone), min(last_day.replace(tzinfo=self.zone), self.now)
        return ever, self.now

    def matching(self, leaf: dict[str, Any], person: Any) -> list[Any]:
        """The person's events that a leaf counts."""
        start, end = self._window(leaf)
        since = None
        if "since_event" in leaf:
            since = min(
                (e.ago for e in person.events if e.type == leaf["since_event"] and e.ago > timedelta(0)), default=None
            )
        return [
            each
            for each in person.events
            if each.type == leaf["event"]
            and start <= self.now - each.ago < end
            and (since is None or each.ago < since)
            and all(passes(test, each.props) for test in tests_of(leaf.get("where", {})))
        ]

    def is_anniversary(self, value: datetime, around: int) -> bool:
        """Whether today is at most `around` days from the day and month of `value` in a later year."""
        born, today = value.astimezone(self.zone).date(), self.now.astimezone(self.zone).date()
        for year in (today.year - 1, today.year, today.year + 1):
            day = min(born.day, calendar.monthrange(year, born.month)[1])
            if year > born.year and abs((today - born.replace(year=year, day=day)).days) <= around:
                return True
        return False


def is_windowed(leaf):
    return bool({"days", "hours", "calendar", "from", "to", "anniversary"} & leaf.keys())


def window_of(leaf):
    return {name: leaf[name] for name in ("days", "hours", "calendar", "offset", "from", "to") if name in leaf}


def ways(steps, after=timedelta.max):
    """Every way to choose one event a step, each later than the one before."""
    if not steps:
        yield []
        return
    for each in steps[0]:
        if each.ago < after:
            yield from ([each, *rest] for rest in ways(steps[1:], each.ago))


def label(day: datetime, period: str) -> str:
    """The name of the period that the day lies in; names sort as the periods do."""
    if period == "week":
        year, week, _day = day.isocalendar()
        return f"{year}-{week:02d}"
    return day.strftime("%Y-%m-%d" if period == "day" else "%Y-%m")


def tests_of(where):
    """Either spelling of `where` as tests."""
    if isinstance(where, list):
        yield from where
        return
    for key, wanted in where.items():
        if key[:4] in ("min_", "max_"):
            yield {"prop": key[4:], "op": "gte" if key[:4] == "min_" else "lte", "value": wanted}
        else:
            yield {"prop": key, "op": "in", "value": listed(wanted)}


def passes(test, props):
    """Whether the properties pass one test; missing and null are the same."""
    value, wanted, op = props.get(test["prop"]), test.get("value"), test["op"]
    if op in ("exists", "is_missing"):
        return (value is None) == (op == "is_missing")
    if value is None:
        return bool(test.get("or_missing"))
    if op in ("eq", "in", "ne", "not_in"):
        same = any(value == item and isinstance(value, bool) == isinstance(item, bool) for item in listed(wanted))
        return same == (op in ("eq", "in"))
    if op in ("contains", "starts_with", "regexp"):
        if not isinstance(value, str):
            return False
        found = {"contains": wanted in value, "starts_with": value.startswith(wanted)}
        return found[op] if op in found else re.search(wanted, value) is not None
    return number(value) is not None and COMPARE[op](number(value), wanted)


def number(value):
    """As a whole number, cut towards zero; None for what is none."""
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def listed(value: Any) -> list[Any]:
    """One or many, as a list."""
    return value if isinstance(value, list) else [value]


def event_id(person: int, event: int) -> UUID:
    """An id of its own for each event, in an order that the reading knows too."""
    return UUID(int=((person + 1) << 32) + ((event * 7) % 11 << 8) + event + 1)
