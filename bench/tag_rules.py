"""Twenty rules of every kind over arriving events, and interest scores, beside reading the same pages for nothing."""

from django.utils import timezone

from bench import people, reading
from bench.measure import Measure, seconds
from bench.people import CATEGORIES, People
from bench.scratch import Admin
from events import reactors
from tagging import groups, tags
from tagging.rules import interests, reacting, rules
from tenants.actors import SYSTEM
from tenants.scope import brand_scope

CONTACTS, EVENTS = 50_000, 200_000
EFFECTS = ("tagging_contacttag", "tagging_interestscore", "events_reactorcursor")


def measure(admin: Admin, scale: float, rounds: int) -> list[Measure]:
    """Events per second past twenty rules, and past the interest scores."""
    admin.empty(*people.EVERYTHING)
    events = max(1000, round(EVENTS * scale))
    crowd = people.make(admin, slug="bench-rules", contacts=max(200, round(CONTACTS * scale)), guides=10)
    people.visits(admin, crowd, events=events)
    made = _rules(crowd)
    ((horizon,),) = admin.rows("SELECT max(txid) + 1 FROM events_event")
    results = []
    for name, label in ((reacting.REACTOR.name, f"{made} tag rules"), (interests.NAME, "interest scores")):
        took, floors = [], []
        for _ in range(rounds):
            admin.run("DELETE FROM events_event WHERE source = 'system'")
            admin.run("VACUUM ANALYZE events_event")
            admin.empty(*EFFECTS)
            took.append(seconds(lambda name=name: _react(crowd, name, horizon, events)))  # type: ignore[misc]
            floors.append(seconds(lambda: reading.read_all(crowd, horizon, events, times=1)))
        ((tagged, scores),) = admin.rows(
            "SELECT (SELECT count(*) FROM tagging_contacttag), (SELECT count(*) FROM tagging_interestscore)"
        )
        results.append(
            Measure(
                label,
                events / min(took),
                "events/s",
                events / min(floors),
                note=f"{events:,} events of {crowd.contacts:,} contacts, {tagged:,} tags, {scores:,} scores; "
                "floor: the same pages read and dropped",
            )
        )
    return results


def _rules(crowd: People) -> int:
    """Counts with filters, sums, forgetting ones with two thresholds, and an order; five tags exclude each other."""
    at = timezone.now()
    number = 0
    with brand_scope(crowd.brand_id):
        for category in CATEGORIES:
            where = {"category": category}
            kinds: list[tuple[str, dict[str, object]]] = [
                ("看过", {"event_type": "product_view", "where": {**where, "min_dwell_seconds": 8}, "min_count": 2,
                         "keep_days": 45}),
                ("常看", {"event_type": "product_view", "where": where, "min_count": 3, "low": 2, 
                         "half_life_days": 14}),
                ("加购", {"event_type": "add_cart", "where": where, "measure": "recency", "window_days": 7}),
                ("先看后买", {"measure": "sequence", "within_hours": 72, "keep_days": 30,
                           "steps": [{"event": "add_cart", "where": where}, {"event": "order_paid"}]}),
            ]  # fmt: skip
            for group, fields in kinds:
                tag = tags.create(group=group, name=category, actor=SYSTEM, at=at)
                rules.save(name=f"{group}{category}", tag_id=tag.pk, actor=SYSTEM, at=at, **fields)  # type: ignore[arg-type]
                number += 1
        groups.set_group(name="常看", exclusive="latest", actor=SYSTEM, at=at)
    return number


def _react(crowd: People, name: str, horizon: int, events: int) -> None:
    at = timezone.now()
    read, more = 0, True
    while more:
        progress = reactors.react(brand_id=crowd.brand_id, reactor=name, at=at, horizon=horizon)
        read, more = read + progress.read, progress.more
    if read != events:
        raise RuntimeError(f"{name} read {read} of {events} events")
