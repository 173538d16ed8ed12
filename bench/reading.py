"""Reactors that read the log: tag rules and points, beside reading the same pages and doing nothing about them."""

from typing import Any

from django.db import connection
from django.utils import timezone

from bench import people
from bench.measure import Measure, seconds
from bench.people import CATEGORIES, People
from bench.scratch import Admin
from events import reactors
from points import rules as earning
from tagging import tags
from tagging.rules import reacting, rules
from tenants.actors import SYSTEM
from tenants.scope import brand_scope

CONTACTS, EVENTS = 20_000, 100_000
REACTORS = (reacting.REACTOR.name, earning.REACTOR)
EFFECTS = ("tagging_contacttag", "points_pointsaccount", "points_transfer", "events_reactorcursor")
LIMIT = 2000
FIRST = "00000000-0000-0000-0000-000000000000"

PAGE = """
SELECT txid, id, occurred_at, received_at, type, contact_id, props, category, product_id, amount_fen, dwell_seconds,
  source
FROM events_event WHERE brand_id = %s AND (txid, id) > (%s, %s) AND txid < %s ORDER BY txid, id LIMIT %s
"""


def measure(admin: Admin, scale: float, rounds: int) -> list[Measure]:
    """Events per second that have been seen by both reactors."""
    admin.empty(*people.EVERYTHING)
    events = max(1000, round(EVENTS * scale))
    crowd = people.make(admin, slug="bench-reading", contacts=max(200, round(CONTACTS * scale)), guides=10)
    people.visits(admin, crowd, events=events)
    rules_of(crowd)
    # Below everything that the reactors themselves write.
    ((horizon,),) = admin.rows("SELECT max(txid) + 1 FROM events_event")
    took, floors = [], []
    for _ in range(rounds):
        admin.run("DELETE FROM events_event WHERE source = 'system'")
        admin.run("VACUUM ANALYZE events_event")
        admin.empty(*EFFECTS)
        took.append(seconds(lambda: _react(crowd, horizon, events)))
        floors.append(seconds(lambda: read_all(crowd, horizon, events, times=len(REACTORS))))
    ((tagged, paid),) = admin.rows(
        "SELECT (SELECT count(*) FROM tagging_contacttag), (SELECT count(*) FROM points_transfer)"
    )
    return [
        Measure(
            "reactors, tag rules and points",
            events / min(took),
            "events/s",
            events / min(floors),
            note=f"{events:,} events of {crowd.contacts:,} contacts read by both, {tagged:,} tags by {len(CATEGORIES)} "
            f"rules, {paid:,} grants of points; floor: the same pages of {LIMIT:,} rows read twice and dropped",
        )
    ]


def rules_of(crowd: People) -> None:
    """A tag rule for each category of products, and points for signing in."""
    at = timezone.now()
    with brand_scope(crowd.brand_id):
        for category in CATEGORIES:
            tag = tags.create(group="兴趣", name=category, actor=SYSTEM, at=at)
            where = {"category": category, "min_dwell_seconds": 8}
            rules.save(
                name=category,
                tag_id=tag.pk,
                event_type="product_view",
                where=where,
                min_count=2,
                window_days=30,
                keep_days=45,
                actor=SYSTEM,
                at=at,
            )
        earning.save(name="签到", event_type="sign_in", points=10, per_day=1, actor=SYSTEM, at=at)


def _react(crowd: People, horizon: int, events: int) -> None:
    at = timezone.now()
    for name in REACTORS:
        read, more = 0, True
        while more:
            progress = reactors.react(brand_id=crowd.brand_id, reactor=name, at=at, horizon=horizon)
            read, more = read + progress.read, progress.more
        if read != events:
            raise RuntimeError(f"{name} read {read} of {events} events")


def read_all(crowd: People, horizon: int, events: int, *, times: int) -> None:
    """The floor: the same pages, read and dropped."""
    for _ in range(times):
        after: tuple[Any, ...] = (0, FIRST)
        read = 0
        while page := _page(crowd, after, horizon):
            read, after = read + len(page), page[-1][:2]
        if read != events:
            raise RuntimeError(f"{read} of {events} events were read")


def _page(crowd: People, after: tuple[Any, ...], horizon: int) -> list[tuple[Any, ...]]:
    with brand_scope(crowd.brand_id), connection.cursor() as cursor:
        cursor.execute(PAGE, [crowd.brand_id, *after, horizon, LIMIT])
        return list(cursor.fetchall())
