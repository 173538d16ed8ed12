"""Random people and random condition trees of every kind of leaf."""

from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from tests.tagging.population import Happening, Somebody, World

ZONES = ("Asia/Shanghai", "America/New_York", "Asia/Kolkata")
OPS = st.sampled_from(["gte", "gt", "eq", "ne", "lte", "lt"])
CATEGORIES = st.sampled_from(["婴童", "巾帕", "家居"])
TYPES = st.sampled_from(["product_view", "order_paid", "x_club"])
IDENTITIES = st.sampled_from(["unionid", "external_userid", "phone"])
CHANNELS = st.sampled_from(["single", "moments"])
STATUSES = st.sampled_from(["active", "done", "goal", "exited"])

# On the boundary, just before it and just after it: most mistakes live there.
agos = st.builds(
    lambda days, seconds: timedelta(days=days, seconds=seconds),
    st.sampled_from([0, 0, 1, 3, 7, 30, 50, 365]),
    st.sampled_from([0, 1, 3600, 43_200]),
)
event_agos = agos.filter(lambda ago: ago.days < 300)
maybe = agos | st.none()


@st.composite
def happenings(draw: st.DrawFn) -> Happening:
    kind = draw(TYPES | st.sampled_from(["order_paid", "order_refunded", "message_delivered"]))
    props: dict[str, Any] = {}
    if kind == "message_delivered":
        return Happening(kind, draw(event_agos), {"push_id": draw(st.integers(1, 2)), "channel": draw(CHANNELS)})
    if kind.startswith("order") and draw(st.booleans()):
        props["order_no"] = draw(st.sampled_from(["A1", "A2"]))
    if draw(st.booleans()):
        props["category"] = draw(CATEGORIES)
    if kind == "product_view" and draw(st.booleans()):
        props["dwell_seconds"] = draw(st.integers(0, 20))
    if kind != "product_view" and draw(st.booleans()):
        props["amount_fen"] = draw(st.sampled_from([0, 100, 9900, 19_900]))
    if kind == "x_club" and draw(st.booleans()):
        props |= {"level": draw(st.none() | st.integers(0, 3)), "vip": draw(st.booleans())}
        props["word"] = draw(st.sampled_from(["A1", "A12", "b%_", 7]))
    return Happening(kind, draw(event_agos), props)


somebodies = st.builds(
    Somebody,
    name=st.sampled_from(["", "陈小满", "小林", "满满%", "O'Neil_\\"]),
    gender=st.sampled_from([0, 1, 2]),
    phone=st.sampled_from(["", "13800000000"]),
    source_state=st.sampled_from(["", "code-1", "code-2"]),
    first_added=maybe,
    last_active=maybe,
    lost=st.none() | agos,
    tags=st.dictionaries(
        st.integers(0, 2),
        st.tuples(agos, st.none() | st.sampled_from([timedelta(0), timedelta(seconds=1), timedelta(days=-1)])),
        max_size=2,
    ),
    follows=st.dictionaries(
        st.integers(0, 2), st.tuples(st.sampled_from(["", "code-1", "code-2"]), st.booleans()), max_size=2
    ),
    events=st.lists(happenings(), max_size=6),
    identities=st.sets(IDENTITIES, max_size=2),
    groups=st.dictionaries(st.integers(0, 2), st.tuples(agos, st.booleans()), max_size=2),
    lots=st.lists(
        st.tuples(
            st.sampled_from([1, 100]), st.none() | st.sampled_from([timedelta(days=n) for n in (-1, 0, 5, 30, 31)])
        ),
        max_size=2,
    ),
    journeys=st.dictionaries(st.integers(0, 1), STATUSES, max_size=2),
)

windows = st.one_of(
    st.builds(lambda n: {"days": n}, st.sampled_from([1, 3, 7, 30])),
    st.builds(lambda n: {"hours": n}, st.sampled_from([1, 12, 24])),
    st.builds(
        lambda calendar, offset: {"calendar": calendar, "offset": offset},
        st.sampled_from(["day", "week", "month"]),
        st.sampled_from([0, -1]),
    ),
)
maybe_window = windows | st.just({})


def wide_windows(now: datetime) -> st.SearchStrategy[dict[str, Any]]:
    """Also absolute ones, anniversaries, and since the last of something."""
    moment = st.builds(lambda ago: (now - ago).isoformat(), agos)
    absolute = st.one_of(
        st.builds(lambda start: {"from": start}, moment),
        st.builds(lambda end: {"to": end}, moment),
        st.builds(
            lambda ago, long: {"from": (now - ago - long).isoformat(), "to": (now - ago).isoformat()}, agos, spans
        ),
    )
    anniversary = st.builds(lambda n: {"anniversary": n}, st.sampled_from([0, 1, 30]))
    since = st.builds(lambda event, window: {"since_event": event, **window}, TYPES, maybe_window)
    return maybe_window | absolute | anniversary | since


spans = st.sampled_from([timedelta(seconds=1), timedelta(days=3), timedelta(days=40)])


@st.composite
def profile_leaves(draw: st.DrawFn, now: datetime) -> dict[str, Any]:
    name = draw(st.sampled_from(["name", "gender", "phone", "source_state", "first_added_at", "last_active_at"]))
    leaf: dict[str, Any] = {"kind": "profile", "field": name}
    if draw(st.booleans()):
        leaf["or_missing"] = draw(st.booleans())
    if name == "phone" or draw(st.integers(0, 4)) == 0:
        return {**leaf, "op": draw(st.sampled_from(["exists", "is_missing"]))}
    if name.endswith("_at"):
        op = draw(st.sampled_from(["within", "older_than", "before", "after", "anniversary"]))
        if op == "anniversary":
            return {**leaf, "op": op, "anniversary": draw(st.sampled_from([0, 1, 7, 60]))}
        if op == "within":
            return {**leaf, "op": op, **draw(windows)}
        if op == "older_than":
            return {**leaf, "op": op, "days": draw(st.sampled_from([1, 7, 30]))}
        return {**leaf, "op": op, "value": (now - draw(agos)).isoformat()}
    texts = {"name": ["小", "陈小满", "满满%", "%", "O'Neil_\\"], "source_state": ["code-1", "code", "x"]}
    values = st.sampled_from(texts[name]) if name in texts else st.sampled_from([1, 2])
    op = draw(st.sampled_from(["eq", "ne", "in", "not_in", *(["contains", "starts_with"] if name in texts else [])]))
    if name in texts and draw(st.integers(0, 4)) == 0:
        return {
            **leaf,
            "op": "regexp",
            "value": draw(st.sampled_from(["^陈", "满.?%$", "code-[12]", r"O'N\w+l_\\\\", "小|x{2,3}"])),
        }
    value = draw(st.lists(values, min_size=1, max_size=2)) if op in ("in", "not_in") else draw(values)
    return {**leaf, "op": op, "value": value}


@st.composite
def filters(draw: st.DrawFn, event: str) -> Any:
    """A filter of either spelling."""
    where: dict[str, Any] = {}
    if draw(st.booleans()):
        where["category"] = draw(CATEGORIES | st.lists(CATEGORIES, min_size=1, max_size=2))
    if event == "product_view" and draw(st.booleans()):
        where[draw(st.sampled_from(["min_dwell_seconds", "max_dwell_seconds"]))] = draw(st.integers(0, 20))
    if event == "x_club" and draw(st.booleans()):
        where |= draw(st.sampled_from([{"vip": True}, {"min_level": 2}, {"level": [0, 3]}, {"max_amount_fen": 100}]))
    if draw(st.booleans()):
        return where
    return draw(st.lists(comparisons(event), max_size=2))


@st.composite
def comparisons(draw: st.DrawFn, event: str, *, missing: bool = True) -> dict[str, Any]:
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


def numbers(draw: st.DrawFn, values: list[int]) -> dict[str, Any]:
    """An op with a number, or two of them."""
    op, value = draw(OPS | st.just("between")), draw(st.sampled_from(values))
    return {"op": op, "value": [value, value + 1] if op == "between" else value}


@st.composite
def newer_leaves(draw: st.DrawFn, world: World) -> dict[str, Any]:
    """The general event leaf, orders, sequences."""
    event, window = draw(TYPES), wide_windows(world.now)
    kind = draw(st.sampled_from(["event", "event", "event", "order", "order", "sequence"]))
    ages = {"op": draw(st.sampled_from(["gte", "gt", "lte", "lt"])), "value": draw(st.sampled_from([1, 3, 30]))}
    if draw(st.integers(0, 3)) == 0:
        ages = {"op": "between", "value": draw(st.sampled_from([[0, 1], [3, 30]]))}
    if kind == "order":
        measure = draw(st.sampled_from(["count", "amount", "net", "average", "last", "first"]))
        where = {"where": draw(filters("order_paid"))} if measure != "net" else {}
        said = ages if measure in ("last", "first") else numbers(draw, [1, 2] if measure == "count" else [1, 100, 9900])
        return {"kind": kind, "measure": measure, **where, **draw(window), **said}
    if kind == "sequence":
        types = draw(st.lists(TYPES, min_size=2, max_size=3))
        steps = [{"event": type_, "where": draw(filters(type_))} for type_ in types]
        steps = [{"event": step["event"]} if draw(st.booleans()) else step for step in steps]
        leaf = {
            "kind": kind,
            "steps": steps,
            **draw(windows | st.just({})),
            "op": draw(st.sampled_from(["has", "has_not"])),
        }
        if draw(st.booleans()):
            leaf["within_hours"] = draw(st.sampled_from([1, 24]))
        if draw(st.booleans()):
            leaf["strict"] = True
        if draw(st.booleans()):
            leaf["then_not"] = {"event": draw(TYPES), **draw(st.sampled_from([{}, {"hours": 1}, {"hours": 72}]))}
        return leaf
    leaf = {"kind": kind, "event": event, "where": draw(filters(event)), **draw(window)}
    agg = draw(st.sampled_from(["count", "sum", "avg", "min", "max", "distinct", "first", "last"]))
    if agg == "count":
        return {**leaf, **numbers(draw, [1, 2])}
    if agg in ("first", "last"):
        said = {**draw(comparisons(event, missing=False))} if draw(st.booleans()) else ages
        return {**leaf, "agg": agg, **said}
    number = {"product_view": "dwell_seconds", "order_paid": "amount_fen", "x_club": "level"}[event]
    prop = draw(st.sampled_from(["category", number])) if agg == "distinct" else number
    return {**leaf, "agg": agg, "prop": prop, **numbers(draw, [1, 2, 9900])}


@st.composite
def belonging_leaves(draw: st.DrawFn, world: World) -> dict[str, Any]:
    """Identities, segments, chance, groups, points, outreach."""
    kind = draw(st.sampled_from(["identity", "segment", "bucket", "group_member", "points", "journey", "touch"]))
    op = {"op": draw(st.sampled_from(["has", "has_not"]))} if draw(st.booleans()) else {}
    if kind == "identity":
        return {"kind": kind, "type": draw(IDENTITIES | st.lists(IDENTITIES, min_size=1, max_size=2)), **op}
    if kind == "segment":
        chosen = draw(st.sampled_from(sorted(world.segments)))
        return {"kind": kind, "segment_id": chosen, "op": draw(st.sampled_from(["in", "not_in"]))}
    if kind == "bucket":
        low = draw(st.integers(0, 99))
        return {
            "kind": kind,
            "salt": draw(st.sampled_from(["q4", "%s:1"])),
            "lo": low,
            "hi": draw(st.integers(low + 1, 100)),
        }
    if kind == "group_member":
        leaf = {"kind": kind, **op, **draw(maybe_window)}
        if draw(st.booleans()):
            leaf["chat_id"] = draw(st.sampled_from(world.chats)).pk
        return {**leaf, "live": draw(st.sampled_from([True, False, "any"]))} if draw(st.booleans()) else leaf
    if kind == "points":
        said = {"op": draw(OPS), "value": draw(st.sampled_from([0, 1, 100, 101]))}
        return draw(
            st.sampled_from([{"kind": "points_balance", **said}, {"kind": "points_expiring", "days": 30, **said}])
        )
    if kind == "journey":
        leaf = {"kind": kind, "state": draw(st.sampled_from(["in", "done", "goal", "exited", "ever"])), **op}
        return {**leaf, "sop_id": draw(st.sampled_from(world.sops)).pk} if draw(st.booleans()) else leaf
    leaf = {"kind": kind, "what": draw(st.sampled_from(["received", "replied"])), **draw(maybe_window)}
    if draw(st.booleans()):
        leaf |= draw(st.sampled_from([{"channel": "single"}, {"push_id": [1]}]))
    value = draw(st.integers(0, 2))
    said = draw(OPS)
    return {**leaf, "op": said, "value": value + 1 if (said, value) == ("lt", 0) else value}


@st.composite
def event_leaves(draw: st.DrawFn) -> dict[str, Any]:
    event = draw(TYPES)
    where = draw(filters(event))
    leaf: dict[str, Any] = {"event": event, **({"where": where} if where else {})}
    kind = draw(st.sampled_from(["event_count", "event_count", "event_recency", "event_sum"]))
    if kind == "event_recency":
        return {"kind": kind, **leaf, "op": draw(st.sampled_from(["within", "not_within"])), **draw(windows)}
    leaf |= draw(maybe_window)
    if kind == "event_sum" and event != "product_view":
        value = draw(st.sampled_from([0, 100, 9900, 20_000]))
        return {"kind": kind, **leaf, "op": draw(OPS), "value": value}
    op, value = draw(OPS), draw(st.integers(0, 3))
    return {"kind": "event_count", **leaf, "op": op, "value": value + 1 if (op, value) == ("lt", 0) else value}


@st.composite
def other_leaves(draw: st.DrawFn, world: World) -> dict[str, Any]:
    kind = draw(st.sampled_from(["tag", "follow", "lifecycle", "lost"]))
    op = {"op": draw(st.sampled_from(["has", "has_not"]))} if draw(st.booleans()) else {}
    if kind == "tag":
        tags = draw(st.lists(st.sampled_from(world.tags), min_size=1, max_size=2))
        named = {"tag_id": [tag.pk for tag in tags]} if draw(st.booleans()) else {"tag": str(tags[0])}
        window = draw(maybe_window)
        return {"kind": kind, **named, **op, **window}
    if kind == "follow":
        leaf: dict[str, Any] = {"kind": kind, **op}
        if draw(st.booleans()):
            leaf["guide"] = draw(st.sampled_from(world.guides)).pk
        if draw(st.booleans()):
            leaf["store"] = world.store.pk
        if draw(st.booleans()):
            leaf["state"] = ["code-1", "x"]
        if draw(st.booleans()):
            leaf["live"] = draw(st.sampled_from([True, False, "any"]))
        return leaf
    if kind == "lifecycle":
        stages = st.sampled_from(["visitor", "new", "active", "silent", "lost"])
        stage = draw(stages | st.lists(stages, min_size=1, max_size=3))
        return {"kind": kind, "stage": stage, **({"silent_days": 7} if draw(st.booleans()) else {})}
    return {"kind": kind, "op": draw(st.sampled_from(["is", "is_not"])), **draw(maybe_window)}


def trees(world: World) -> st.SearchStrategy[dict[str, Any]]:
    leaves = (
        profile_leaves(world.now) | event_leaves() | other_leaves(world) | newer_leaves(world) | belonging_leaves(world)
    )
    return st.recursive(
        leaves,
        lambda children: st.builds(
            lambda group, nodes: {group: nodes},
            st.sampled_from(["all", "any", "none"]),
            st.lists(children, min_size=1, max_size=3),
        ),
        max_leaves=6,
    )
