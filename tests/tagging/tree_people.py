"""Random people for random trees: rows on, just before and just after the edges of windows, to come, and of nobody."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

from hypothesis import strategies as st

from events import partitions
from tests.tagging.population import Happening, Somebody, World

ZONES = ("Asia/Shanghai", "America/New_York", "Asia/Kolkata", "America/Santiago")
"""one without summer time, one with, one of half an hour, one whose summer begins at midnight"""
DAYS = (
    None,  # today
    "2026-09-06",  # has no midnight in Santiago
    "2026-11-01",  # has 25 hours in New York
    "2023-12-31",
    "2024-02-01",
    "2024-02-29",
    "2024-03-01",
    "2024-03-10",  # has 23 hours in New York
)
TYPES = st.sampled_from(["product_view", "order_paid", "x_club"])
CATEGORIES = st.sampled_from(["婴童", "巾帕", "家居"])
IDENTITIES = st.sampled_from(["unionid", "external_userid", "phone"])
CHANNELS = st.sampled_from(["single", "moments"])
STATUSES = st.sampled_from(["active", "done", "goal", "exited"])
STAGES = st.sampled_from(["buyer", "won_back"])
TIERS = st.sampled_from(["silver", "gold", "black"])
"""from the lowest"""
DAY, TICK = timedelta(days=1), timedelta(microseconds=1)
_MONTHS = ("2026-07", "2026-08", "2026-09", "2023-01", "2023-02", "2023-03", "2023-11", "2023-12")
_MONTHS += ("2024-01", "2024-02", "2024-03")


def make_months() -> None:
    """Partitions for the events of all those days."""
    partitions.ensure(datetime.fromisoformat(f"{month}-01").replace(tzinfo=UTC) for month in _MONTHS)


def moments_of(world: World, day: str | None) -> st.SearchStrategy[datetime]:
    """Moments of the day: its first ones, one in the middle, its last."""
    local = world.now.astimezone(world.zone).date() if day is None else datetime.fromisoformat(day).date()
    first, last = (datetime.combine(local + timedelta(days=n), time.min, tzinfo=world.zone) for n in (0, 1))
    noon = datetime.combine(local, time(12), tzinfo=world.zone)
    known = [first.astimezone(UTC), last.astimezone(UTC) - timedelta(seconds=1)]
    return st.sampled_from([known[0], known[0] + TICK, noon.astimezone(UTC), known[1]])


def agos(world: World) -> st.SearchStrategy[timedelta]:
    """How long ago: on a boundary, just before it and just after it, where most mistakes live; or not yet."""
    plain = st.builds(
        lambda days, seconds: timedelta(days=days, seconds=seconds),
        st.sampled_from([0, 0, 1, 3, 7, 30, 50, 365]),
        st.sampled_from([0, 1, 3600, 43_200]),
    )
    return plain | st.sampled_from(_edges(world)) | st.sampled_from([-TICK, timedelta(minutes=-5)])


def _edges(world: World) -> list[timedelta]:
    today = world.now.astimezone(world.zone).date()
    first = today.replace(day=1)
    days = [today - timedelta(days=n) for n in (0, 1, 7, 30, today.weekday(), today.weekday() + 7)]
    days += [first, (first - DAY).replace(day=1), today - timedelta(days=365), today - timedelta(days=366)]
    starts = [datetime.combine(day, time.min, tzinfo=world.zone) for day in days]
    return [world.now - start.astimezone(UTC) + step for start in starts for step in (-TICK, timedelta(0), TICK)]


def event_agos(world: World) -> st.SearchStrategy[timedelta]:
    """Those in whose months there is a log."""
    usual = {f"{world.today + timedelta(days=n):%Y-%m}" for n in (-30, 0, 1)}
    known = usual | set(_MONTHS)
    return agos(world).filter(lambda ago: f"{world.now - ago:%Y-%m}" in known)


@st.composite
def happenings(draw: st.DrawFn, world: World) -> Happening:
    """One event."""
    kind = draw(TYPES | st.sampled_from(["order_paid", "order_refunded", "message_delivered"]))
    ago = draw(event_agos(world))
    props: dict[str, Any] = {}
    if kind == "message_delivered":
        push = draw(st.sampled_from(world.pushes)).pk
        return Happening(kind, ago, {"push_id": push, "channel": draw(CHANNELS)})
    if kind.startswith("order") and draw(st.booleans()):
        props["order_no"] = draw(st.sampled_from(["A1", "A2"]))
    if draw(st.booleans()):
        props["category"] = draw(CATEGORIES)
    if kind == "product_view" and draw(st.booleans()):
        props["dwell_seconds"] = draw(st.integers(0, 20))
    if kind != "product_view" and draw(st.booleans()):
        props["amount_fen"] = draw(st.sampled_from([0, 100, 9900, 19_900]))
    if kind == "x_club" and draw(st.booleans()):
        props |= {"level": draw(st.none() | st.integers(0, 3) | st.just(2.5)), "vip": draw(st.booleans())}
        props["word"] = draw(st.sampled_from(["A1", "A12", "b%_", 7]))
    return Happening(kind, ago, props)


def somebodies(world: World) -> st.SearchStrategy[Somebody]:
    """One person, with rows in every table that conditions read."""
    ago = agos(world)
    expiries = st.sampled_from([timedelta(days=n) for n in (-1, 0, 5, 30, 31)])
    return st.builds(
        Somebody,
        name=st.sampled_from(["", "陈小满", "小林", "满满%", "O'Neil_\\"]),
        gender=st.sampled_from([0, 1, 2]),
        kind=st.sampled_from([1, 2]),
        phone=st.sampled_from(["", "13800000000"]),
        source_state=st.sampled_from(["", "code-1", "code-2"]),
        first_added=ago | st.none(),
        last_active=ago | st.none(),
        lost=st.none() | ago,
        tags=st.dictionaries(
            st.integers(0, 2),
            st.tuples(ago, st.none() | st.sampled_from([timedelta(0), timedelta(seconds=1), timedelta(days=-1)])),
            max_size=2,
        ),
        follows=st.dictionaries(
            st.integers(0, 2), st.tuples(st.sampled_from(["", "code-1", "code-2"]), st.booleans()), max_size=2
        ),
        events=st.lists(happenings(world), max_size=6),
        identities=st.sets(IDENTITIES, max_size=2),
        groups=st.dictionaries(st.integers(0, 2), st.tuples(ago, st.booleans()), max_size=2),
        lots=st.lists(st.tuples(st.sampled_from([1, 100]), st.none() | expiries), max_size=2),
        journeys=st.dictionaries(st.integers(0, 1), STATUSES, max_size=2),
        scores=st.dictionaries(
            st.tuples(st.just("category"), CATEGORIES) | st.tuples(st.just("product"), st.just("A1")),
            st.tuples(st.sampled_from([1.0, 2.0, 4.0]), st.sampled_from([timedelta(days=n) for n in (0, 7, 14, 28)])),
            max_size=2,
        ),
        stage=st.none() | st.tuples(STAGES, ago),
        stage_before=st.none() | STAGES,
        tier=st.none() | st.tuples(TIERS | st.just(""), ago),
        tier_before=st.none() | TIERS,
        reached=st.sets(st.integers(0, 2), max_size=2),
        moved=st.sets(st.integers(0, 2), max_size=1),
        hidden=st.sampled_from(["", "", "", "", "merged", "erased"]),
    )
