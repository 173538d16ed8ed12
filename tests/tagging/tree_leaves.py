"""A random leaf of every kind. A kind that is registered must be in DRAWS: a test compares them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from tests.tagging.population import World
from tests.tagging.tree_people import CATEGORIES, CHANNELS, IDENTITIES, STAGES, TIERS, TYPES, agos

Leaf = dict[str, Any]
Leaves = st.SearchStrategy[Leaf]
OPS = st.sampled_from(["gte", "gt", "eq", "ne", "lte", "lt"])
HAS = st.sampled_from([{}, {"op": "has"}, {"op": "has_not"}])
SPANS = st.sampled_from([timedelta(seconds=1), timedelta(days=3), timedelta(days=40)])

WINDOWS = st.one_of(
    st.builds(lambda n: {"days": n}, st.sampled_from([1, 3, 7, 30])),
    st.builds(lambda n: {"hours": n}, st.sampled_from([1, 12, 24])),
    st.builds(
        lambda calendar, offset: {"calendar": calendar, "offset": offset},
        st.sampled_from(["day", "week", "month"]),
        st.sampled_from([0, -1]),
    ),
)
MAYBE_WINDOW = WINDOWS | st.just({})


def one_or_many(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One of them, or a list."""
    return items | st.lists(items, min_size=1, max_size=2)


def all_windows(world: World) -> st.SearchStrategy[dict[str, Any]]:
    """Also absolute ones and anniversaries."""
    moment = st.builds(lambda ago: (world.now - ago).isoformat(), agos(world))
    between = st.builds(
        lambda ago, long: {"from": (world.now - ago - long).isoformat(), "to": (world.now - ago).isoformat()},
        agos(world),
        SPANS,
    )
    since, until = st.builds(lambda start: {"from": start}, moment), st.builds(lambda end: {"to": end}, moment)
    anniversary = st.builds(lambda n: {"anniversary": n}, st.sampled_from([0, 1, 30]))
    return MAYBE_WINDOW | since | until | between | anniversary


def event_windows(world: World) -> st.SearchStrategy[dict[str, Any]]:
    """Also since the last of something."""
    since = st.builds(lambda event, window: {"since_event": event, **window}, TYPES, MAYBE_WINDOW)
    return all_windows(world) | since


# -- what is written on the contact -----------------------------------------------------------------------------------


@st.composite
def profile(draw: st.DrawFn, world: World) -> Leaf:
    """Each field with what may be asked of it."""
    names = ["name", "gender", "kind", "phone", "source_state", "first_added_at", "last_active_at", "created_at"]
    name = draw(st.sampled_from(names))
    leaf: Leaf = {"kind": "profile", "field": name}
    if draw(st.booleans()):
        leaf["or_missing"] = draw(st.booleans())
    has_presence = name not in ("kind", "created_at")
    if name == "phone" or (has_presence and draw(st.integers(0, 4)) == 0):
        return {**leaf, "op": draw(st.sampled_from(["exists", "is_missing"]))}
    if name.endswith("_at"):
        return leaf | draw(_times(world))
    texts = {"name": ["小", "陈小满", "满满%", "%", "O'Neil_\\"], "source_state": ["code-1", "code", "x"]}
    values = st.sampled_from(texts[name]) if name in texts else st.sampled_from([1, 2])
    op = draw(st.sampled_from(["eq", "ne", "in", "not_in", *(["contains", "starts_with"] if name in texts else [])]))
    if name in texts and draw(st.integers(0, 4)) == 0:
        patterns = ["^陈", "满.?%$", "code-[12]", r"O'N\w+l_\\\\", "小|x{2,3}"]
        return {**leaf, "op": "regexp", "value": draw(st.sampled_from(patterns))}
    value = draw(st.lists(values, min_size=1, max_size=2)) if op in ("in", "not_in") else draw(values)
    return {**leaf, "op": op, "value": value}


@st.composite
def _times(draw: st.DrawFn, world: World) -> Leaf:
    op = draw(st.sampled_from(["within", "older_than", "before", "after", "anniversary"]))
    if op == "anniversary":
        return {"op": op, "anniversary": draw(st.sampled_from([0, 1, 7, 60]))}
    if op == "within":
        return {"op": op, **draw(all_windows(world).filter(bool))}
    if op == "older_than":
        return {"op": op, "days": draw(st.sampled_from([1, 7, 30]))}
    return {"op": op, "value": (world.now - draw(agos(world))).isoformat()}


def lifecycle(world: World) -> Leaves:
    stages = one_or_many(st.sampled_from(["visitor", "new", "active", "silent", "lost"]))
    silent = st.sampled_from([{}, {"silent_days": 7}])
    return st.builds(lambda stage, more: {"kind": "lifecycle", "stage": stage, **more}, stages, silent)


def lost(world: World) -> Leaves:
    ops = st.sampled_from(["is", "is_not"])
    return st.builds(lambda op, window: {"kind": "lost", "op": op, **window}, ops, all_windows(world))


def stage(world: World) -> Leaves:
    made = one_or_many(STAGES)
    return st.builds(lambda key, window: {"kind": "stage", "stage": key, **window}, made, all_windows(world))


def identity(world: World) -> Leaves:
    return st.builds(lambda type_, op: {"kind": "identity", "type": type_, **op}, one_or_many(IDENTITIES), HAS)


def bucket(world: World) -> Leaves:
    bounds = st.integers(0, 99).flatmap(lambda low: st.tuples(st.just(low), st.integers(low + 1, 100)))
    salts = st.sampled_from(["q4", "%s:1", "a", "b", "c", "d"])
    return st.builds(lambda salt, b: {"kind": "bucket", "salt": salt, "lo": b[0], "hi": b[1]}, salts, bounds)


def segment(world: World) -> Leaves:
    ops = st.sampled_from([{}, {"op": "in"}, {"op": "not_in"}])
    chosen = st.sampled_from(sorted(world.segments))
    return st.builds(lambda key, op: {"kind": "segment", "segment_id": key, **op}, chosen, ops)


# -- whom and what the contact belongs to -----------------------------------------------------------------------------


def tag(world: World) -> Leaves:
    by_id = st.builds(lambda key: {"tag_id": key}, one_or_many(st.sampled_from([tag.pk for tag in world.tags])))
    by_name = st.builds(lambda name: {"tag": name}, one_or_many(st.sampled_from([str(tag) for tag in world.tags])))
    return st.builds(lambda named, op, w: {"kind": "tag", **named, **op, **w}, by_id | by_name, HAS, all_windows(world))


@st.composite
def follow(draw: st.DrawFn, world: World) -> Leaf:
    leaf: Leaf = {"kind": "follow", **draw(HAS)}
    if draw(st.booleans()):
        leaf["guide"] = draw(st.sampled_from(world.guides)).pk
    if draw(st.booleans()):
        leaf["store"] = world.store.pk
    if draw(st.booleans()):
        leaf["state"] = ["code-1", "x"]
    if draw(st.booleans()):
        leaf["live"] = draw(st.sampled_from([True, False, "any"]))
    return leaf


@st.composite
def group_member(draw: st.DrawFn, world: World) -> Leaf:
    leaf: Leaf = {"kind": "group_member", **draw(HAS), **draw(all_windows(world))}
    if draw(st.booleans()):
        leaf["chat_id"] = draw(st.sampled_from(world.chats)).pk
    return {**leaf, "live": draw(st.sampled_from([True, False, "any"]))} if draw(st.booleans()) else leaf


def points_balance(world: World) -> Leaves:
    values = st.sampled_from([0, 1, 100, 101])
    return st.builds(lambda op, value: {"kind": "points_balance", "op": op, "value": value}, OPS, values)


def points_expiring(world: World) -> Leaves:
    days = st.sampled_from([1, 5, 30])
    return st.builds(lambda leaf, n: {**leaf, "kind": "points_expiring", "days": n}, points_balance(world), days)


@st.composite
def tier(draw: st.DrawFn, world: World) -> Leaf:
    """One of them, at least one, any, none."""
    op = draw(st.sampled_from(["is", "is_not", "at_least"]))
    leaf: Leaf = {"kind": "tier", **draw(all_windows(world))}
    if op != "is" or draw(st.booleans()):
        leaf["op"] = op
    if op == "at_least":
        return leaf | {"tier": draw(TIERS)}
    return leaf | {"tier": draw(one_or_many(TIERS))} if draw(st.integers(0, 3)) else leaf


@st.composite
def journey(draw: st.DrawFn, world: World) -> Leaf:
    leaf = {"kind": "journey", "state": draw(st.sampled_from(["in", "done", "goal", "exited", "ever"])), **draw(HAS)}
    return {**leaf, "sop_id": draw(st.sampled_from(world.sops)).pk} if draw(st.booleans()) else leaf


@st.composite
def touch(draw: st.DrawFn, world: World) -> Leaf:
    what = draw(st.sampled_from([{}, {"what": "received"}, {"what": "replied"}, {"what": "confirmed"}]))
    leaf = {"kind": "touch", **what, **draw(all_windows(world))}
    if draw(st.booleans()):
        leaf["channel"] = draw(CHANNELS)
    if draw(st.booleans()):
        leaf["push_id"] = draw(one_or_many(st.sampled_from([push.pk for push in world.pushes])))
    return leaf | draw(_times_so_often(2))


def sop_touch(world: World) -> Leaves:
    return st.builds(lambda push: {"kind": "sop_touch", "push_id": push.pk}, st.sampled_from(world.pushes))


@st.composite
def interest(draw: st.DrawFn, world: World) -> Leaf:
    of = {"category": draw(one_or_many(CATEGORIES))} if draw(st.booleans()) else {"product_id": ["A1", "A2"]}
    op = draw(st.sampled_from([{}, {"op": "gte"}, {"op": "lt"}]))
    return {"kind": "interest", **of, **op, "value": draw(st.sampled_from([1, 50, 100, 200, 201, 400]))}


# -- what the contact did ---------------------------------------------------------------------------------------------


def _times_so_often(most: int) -> Leaves:
    """An op with a number of times; "fewer than none" is refused."""
    made = st.builds(lambda op, value: {"op": op, "value": value}, OPS, st.integers(0, most))
    return made.map(lambda said: {**said, "value": 1} if said == {"op": "lt", "value": 0} else said)


@st.composite
def filters(draw: st.DrawFn, event: str) -> Any:
    """A filter of either spelling."""
    where: Leaf = {}
    if draw(st.booleans()):
        where["category"] = draw(one_or_many(CATEGORIES))
    if event == "product_view" and draw(st.booleans()):
        where[draw(st.sampled_from(["min_dwell_seconds", "max_dwell_seconds"]))] = draw(st.integers(0, 20))
    if event == "x_club" and draw(st.booleans()):
        where |= draw(st.sampled_from([{"vip": True}, {"min_level": 2}, {"level": [0, 3]}, {"max_amount_fen": 100}]))
    if draw(st.booleans()):
        return where
    return draw(st.lists(comparisons(event), max_size=2))


@st.composite
def comparisons(draw: st.DrawFn, event: str, *, missing: bool = True) -> Leaf:
    """One test of a property."""
    props = {"product_view": ["category", "dwell_seconds"], "x_club": ["level", "vip", "word", "category"]}
    prop = draw(st.sampled_from(props.get(event, ["category", "amount_fen", "order_no"])))
    extra = {"or_missing": True} if missing and draw(st.booleans()) else {}
    if draw(st.integers(0, 3)) == 0:
        return {"prop": prop, "op": draw(st.sampled_from(["exists", "is_missing"]))}
    if prop in ("dwell_seconds", "amount_fen", "level"):
        op = draw(st.sampled_from(["eq", "ne", "in", "not_in", "gte", "gt", "lte", "lt", "between"]))
        value = {"in": [0, 3], "not_in": [0, 9900], "between": [1, 9900]}.get(
            op, draw(st.sampled_from([0, 2, 10, 9900]))
        )
    elif prop == "vip":
        op, value = draw(st.sampled_from(["eq", "ne"])), draw(st.booleans())
    else:
        op = draw(st.sampled_from(["eq", "ne", "in", "not_in", "contains", "starts_with", "regexp"]))
        word = draw(st.sampled_from(["婴童", "巾", "A1", "b%"]))
        value = {"in": ["婴童", "A1"], "not_in": ["巾帕", "A12"], "regexp": "^A[0-9]{2}$|婴"}.get(op, word)
    return {"prop": prop, "op": op, "value": value, **extra}


@st.composite
def event_count(draw: st.DrawFn, world: World) -> Leaf:
    event_ = draw(TYPES)
    where = draw(st.just({}) | filters(event_).map(lambda where: {"where": where}))
    window = draw(event_windows(world))
    return {"kind": "event_count", "event": event_, **where, **window, **draw(_times_so_often(3))}


@st.composite
def event_recency(draw: st.DrawFn, world: World) -> Leaf:
    event_ = draw(TYPES)
    where = draw(st.just({}) | filters(event_).map(lambda where: {"where": where}))
    op = draw(st.sampled_from(["within", "not_within"]))
    return {"kind": "event_recency", "event": event_, **where, "op": op, **draw(event_windows(world).filter(bool))}


@st.composite
def event_sum(draw: st.DrawFn, world: World) -> Leaf:
    event_ = draw(st.sampled_from(["order_paid", "x_club"]))
    where = draw(st.just({}) | filters(event_).map(lambda where: {"where": where}))
    said = {"op": draw(OPS), "value": draw(st.sampled_from([0, 100, 9900, 20_000]))}
    return {"kind": "event_sum", "event": event_, **where, **draw(event_windows(world)), **said}


@st.composite
def numbers(draw: st.DrawFn, values: list[int]) -> Leaf:
    """An op with a number, or two of them."""
    op, value = draw(OPS | st.just("between")), draw(st.sampled_from(values))
    return {"op": op, "value": [value, value + 1] if op == "between" else value}


@st.composite
def ages(draw: st.DrawFn) -> Leaf:
    """So long ago."""
    unit = draw(st.sampled_from([{}, {"unit": "days"}, {"unit": "hours"}]))
    if draw(st.integers(0, 3)) == 0:
        return {"op": "between", "value": draw(st.sampled_from([[0, 1], [3, 30]])), **unit}
    said = {"op": draw(st.sampled_from(["gte", "gt", "lte", "lt"])), "value": draw(st.sampled_from([1, 3, 24, 30]))}
    return {**said, **unit}


@st.composite
def event(draw: st.DrawFn, world: World) -> Leaf:
    type_ = draw(TYPES)
    leaf = {"kind": "event", "event": type_, "where": draw(filters(type_)), **draw(event_windows(world))}
    agg = draw(st.sampled_from(["count", "sum", "avg", "min", "max", "distinct", "first", "last"]))
    if agg == "count":
        return {**leaf, **draw(numbers([1, 2]))}
    if agg in ("first", "last"):
        said = draw(comparisons(type_, missing=False)) if draw(st.booleans()) else draw(ages())
        return {**leaf, "agg": agg, **said}
    number = {"product_view": "dwell_seconds", "order_paid": "amount_fen", "x_club": "level"}[type_]
    prop = draw(st.sampled_from(["category", number])) if agg == "distinct" else number
    return {**leaf, "agg": agg, "prop": prop, **draw(numbers([1, 2, 9900]))}


@st.composite
def order(draw: st.DrawFn, world: World) -> Leaf:
    measure = draw(st.sampled_from(["count", "amount", "net", "average", "last", "first"]))
    where = {"where": draw(filters("order_paid"))}
    said = ages() if measure in ("last", "first") else numbers([1, 2] if measure == "count" else [1, 100, 9900])
    return {"kind": "order", "measure": measure, **where, **draw(event_windows(world)), **draw(said)}


@st.composite
def sequence(draw: st.DrawFn, world: World) -> Leaf:
    types = draw(st.lists(TYPES, min_size=2, max_size=3))
    steps = [{"event": type_, "where": draw(filters(type_))} for type_ in types]
    steps = [{"event": step["event"]} if draw(st.booleans()) else step for step in steps]
    op = draw(st.sampled_from(["has", "has_not"]))
    leaf: Leaf = {"kind": "sequence", "steps": steps, **draw(all_windows(world)), "op": op}
    if draw(st.booleans()):
        leaf["within_hours"] = draw(st.sampled_from([1, 24]))
    if draw(st.booleans()):
        leaf["strict"] = True
    if draw(st.booleans()):
        leaf["then_not"] = {"event": draw(TYPES), **draw(st.sampled_from([{}, {"hours": 1}, {"hours": 72}]))}
    if leaf.get("within_hours", 0) > 24 * leaf.get("days", 10):
        del leaf["within_hours"]
    return leaf


DRAWS: dict[str, Callable[[World], Leaves]] = {
    "profile": profile,
    "lifecycle": lifecycle,
    "lost": lost,
    "stage": stage,
    "identity": identity,
    "bucket": bucket,
    "segment": segment,
    "tag": tag,
    "follow": follow,
    "group_member": group_member,
    "points_balance": points_balance,
    "points_expiring": points_expiring,
    "tier": tier,
    "journey": journey,
    "touch": touch,
    "sop_touch": sop_touch,
    "interest": interest,
    "event_count": event_count,
    "event_recency": event_recency,
    "event_sum": event_sum,
    "event": event,
    "order": order,
    "sequence": sequence,
}
"""kind → what draws a leaf of it"""
