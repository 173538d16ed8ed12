"""Questions about a million contacts: a count beside SQL by hand, estimates with their intervals, small beside large.

The rows are bench.big's. "Alone" is the first of the twenty other brands before anybody else is there; "beside" is the
same brand, of the same rows, in the company of the million and the nineteen."""

import json
import random
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from django.core.cache import cache
from django.db import connection
from django.utils import timezone

from bench import big
from bench.big import Big
from bench.measure import Measure, seconds
from bench.scratch import Admin
from events.models import Event
from events.reactors import Batch, EventRow
from scrm.runtime import environment
from tagging.language import compiler
from tagging.language.conditions import Frame
from tagging.language.sql import prepare
from tagging.rules import rules
from tagging.segments import estimate, segments, standings
from tenants.actors import SYSTEM
from tenants.scope import brand_scope

RANDOM_SEGMENTS = 200
PAIRS = 9
SLOWER = 1.5
"""a small brand beside the million may take so much longer"""
COUNT_MS, ESTIMATE_MS = 3000.0, 300.0

BY_HAND = """
SELECT count(*)
FROM contacts_contact c
JOIN tagging_contacttag t ON t.brand_id = c.brand_id AND t.contact_id = c.id AND t.tag_id = %(tag)s
  AND (t.expires_at IS NULL OR t.expires_at > %(at)s)
WHERE c.brand_id = %(brand)s AND c.gender = 2
  AND (c.id IN (SELECT contact_id FROM events_event
                WHERE brand_id = %(brand)s AND type = 'product_view' AND category = '婴童'
                  AND occurred_at >= %(month)s AND occurred_at < %(at)s
                GROUP BY contact_id HAVING count(*) >= 2)
    OR c.id IN (SELECT contact_id FROM events_event
                WHERE brand_id = %(brand)s AND type = 'order_paid'
                  AND occurred_at >= %(quarter)s AND occurred_at < %(at)s
                GROUP BY contact_id HAVING sum(amount_fen) >= 60000))
  AND NOT EXISTS (SELECT FROM events_event s WHERE s.brand_id = %(brand)s AND s.contact_id = c.id
                  AND s.type = 'sign_in' AND s.occurred_at >= %(week)s AND s.occurred_at < %(at)s)
"""

SERIALLY = "SET LOCAL max_parallel_workers_per_gather TO 0"
SETTINGS = ("", SERIALLY, f"{SERIALLY}; SET LOCAL enable_seqscan TO off; SET LOCAL enable_mergejoin TO off")
"""what somebody would try by hand, to keep the best"""


def measure(admin: Admin, scale: float, rounds: int) -> list[Measure]:
    """Load the small brand alone, then everything, and ask."""
    alone = _small(big.make(admin, scale, others=False))
    made = big.make(admin, scale)
    measures = [_loading(made), *_count(made, rounds), *_estimates(made)]
    measures += _neighbours(alone, _small(made))
    from bench import plans  # it asks this module's question

    print(f"plans of the ten main queries: {plans.write(made)}", flush=True)
    return measures


def five_leaves(tag_id: int) -> dict[str, Any]:
    """Women with a tag who looked twice or paid much, and have not signed in this week."""
    viewed = {"kind": "event_count", "event": "product_view", "where": {"category": "婴童"}, "days": 30}
    paid = {"kind": "event_sum", "event": "order_paid", "days": 90, "op": "gte", "value": 60_000}
    return {
        "all": [
            {"kind": "tag", "tag_id": tag_id},
            {"kind": "profile", "field": "gender", "op": "eq", "value": 2},
            {"any": [{**viewed, "op": "gte", "value": 2}, paid]},
            {"none": [{"kind": "event_recency", "event": "sign_in", "op": "within", "days": 7}]},
        ]
    }


def by_hand(brand_id: int, tag_id: int, at: datetime, *, setting: str = "") -> int:
    """The same five leaves as somebody writes them who knows the tables, under settings of the planner. Scoped."""
    words: dict[str, Any] = {"brand": brand_id, "tag": tag_id, "at": at}
    words |= {"week": at - timedelta(days=7), "month": at - timedelta(days=30), "quarter": at - timedelta(days=90)}
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL work_mem = '64MB'")
        cursor.execute(f"{setting}; {BY_HAND}", words)
        return int(cursor.fetchone()[0])


def _loading(made: Big) -> Measure:
    took = sum(made.took.values())
    parts = ", ".join(f"{name} {seconds_:.0f} s" for name, seconds_ in made.took.items())
    return Measure(
        "loading the bench's rows",
        took,
        "s",
        360.0,
        note=f"{made.contacts:,} contacts of one brand beside {big.OTHERS} others, {made.events:,} events: {parts}",
        is_time=True,
    )


def _count(made: Big, rounds: int) -> list[Measure]:
    at = timezone.now()
    counts: set[int] = set()
    took, floors = [], []

    def ours() -> None:
        with brand_scope(made.brand_id):
            counts.add(segments.count(five_leaves(made.first_tag), at))

    def theirs(setting: str) -> None:
        with brand_scope(made.brand_id):
            counts.add(by_hand(made.brand_id, made.first_tag, at, setting=setting))

    for _ in range(max(2, rounds)):
        took += [seconds(ours) * 1000 for _ in range(2)]
        floors += [seconds(partial(theirs, setting)) * 1000 for setting in SETTINGS]
    if len(counts) != 1:
        raise RuntimeError(f"The segment and the query by hand differ: {counts}")
    note = f"{counts.pop():,} of {made.contacts:,} contacts; nested, 5 leaves, windows up to 90 days"
    return [
        Measure("count of 5 nested leaves, beside SQL by hand", min(took), "ms", min(floors) * 1.3, 1.0, note, True),
        Measure("count of 5 nested leaves, in all", min(took), "ms", COUNT_MS, 1.0, note, True),
    ]


def _estimates(made: Big) -> list[Measure]:
    chance, at = random.Random(20_261_122), timezone.now()
    pool = _leaves(made.first_tag, chance)
    truth_of = _truths(made.brand_id, pool, at)
    took, held, widths = [], 0, []
    cache.delete(f"tagging:contacts:{made.brand_id}")
    for _ in range(RANDOM_SEGMENTS):
        tree = _random_tree(pool, chance)
        truth = truth_of(tree)
        with brand_scope(made.brand_id):
            found: list[estimate.Estimate] = []
            took.append(seconds(lambda: found.append(estimate.estimate(tree, at))) * 1000)  # noqa: B023
        held += found[0].low <= truth <= found[0].high
        widths.append((found[0].high - found[0].low) / made.contacts)
    took.sort()
    sizes = f"{RANDOM_SEGMENTS} random segments of 1 to 4 leaves; intervals {median(widths):.1%} of the brand wide"
    return [
        Measure(
            "estimate, 95th of 100",
            took[int(len(took) * 0.95)],
            "ms",
            ESTIMATE_MS,
            1.0,
            f"{sizes}; median {median(took):.0f} ms, longest {took[-1]:.0f} ms",
            True,
        ),
        Measure("estimates whose interval holds", held / RANDOM_SEGMENTS * 100, "of 100", 95.0, 1.0, sizes),
    ]


def _leaves(tag_id: int, chance: random.Random) -> list[dict[str, Any]]:
    """Leaves of all sizes and sorts."""
    leaves: list[dict[str, Any]] = [
        {"kind": "profile", "field": "gender", "op": "eq", "value": 2},
        {"kind": "profile", "field": "phone", "op": "exists"},
        {"kind": "profile", "field": "source_state", "op": "in", "value": ["code-1", "code-2"]},
        {"kind": "profile", "field": "last_active_at", "op": "within", "days": 14},
        {"kind": "lifecycle", "stage": ["active", "new"]},
    ]
    leaves += [{"kind": "tag", "tag_id": tag_id + place} for place in (0, 1, 2, 5, 11, 23, 41)]
    leaves += [{"kind": "tag", "tag_id": tag_id + place, "days": 30} for place in (0, 3)]
    for event, number in (("product_view", 5), ("page_view", 2), ("add_cart", 1), ("sign_in", 3), ("order_paid", 1)):
        days = chance.choice([7, 30, 60, 90])
        leaves.append({"kind": "event_count", "event": event, "days": days, "op": "gte", "value": number})
        leaves.append({"kind": "event_recency", "event": event, "days": chance.choice([3, 14, 45]), "op": "within"})
    leaves.append({"kind": "event_sum", "event": "order_paid", "days": 90, "op": "gte", "value": 50_000})
    return leaves


def _random_tree(pool: list[dict[str, Any]], chance: random.Random) -> dict[str, Any]:
    some = chance.sample(pool, chance.randint(1, 4))
    wrapped = [{"none": [leaf]} if chance.random() < 0.3 else leaf for leaf in some]
    if len(wrapped) > 2 and chance.random() < 0.5:
        wrapped = [wrapped[0], {"any": wrapped[1:]}]
    return {chance.choice(["all", "any"]) if len(wrapped) > 1 else "all": wrapped}


def _truths(brand_id: int, pool: list[dict[str, Any]], at: datetime) -> Callable[[Any], int]:
    """How many satisfy any tree of these leaves, exactly: each leaf is asked of each contact once."""
    everything = {"any": pool}
    bits = standings.bits_sql(everything, Frame(brand_id=brand_id, at=at))
    with brand_scope(brand_id), connection.cursor() as cursor:
        cursor.execute("SET LOCAL work_mem = '256MB'")
        cursor.execute(
            f"SELECT x.bits, count(*) FROM (SELECT {bits.text} AS bits FROM contacts_contact c"
            " WHERE c.brand_id = %s) x GROUP BY 1",
            [*bits.params, brand_id],
        )
        counted = cursor.fetchall()
    place_of = {json.dumps(leaf, sort_keys=True): place for place, leaf in enumerate(pool)}

    def truth(tree: Any) -> int:
        places = [place_of[json.dumps(leaf, sort_keys=True)] for _path, leaf in compiler.leaves_of(tree)]
        verdicts: dict[int, bool] = {}
        total = 0
        for known, number in counted:
            mine = sum((known >> place & 1) << index for index, place in enumerate(places))
            if mine not in verdicts:
                verdicts[mine] = standings.holds(tree, mine)
            total += number if verdicts[mine] else 0
        return total

    return truth


Small = dict[str, tuple[list[float], str]]


def _small(made: Big) -> Small:
    """Name → (milliseconds of each of nine times, the plan) of what the small brand asks."""
    at, brand_id = timezone.now(), made.other_id
    tree = five_leaves(made.other_first_tag)
    with brand_scope(brand_id):
        for rule in range(20):
            rules.save(
                name=f"规则{rule}",
                tag_id=made.other_first_tag + rule,
                event_type="product_view",
                where={"product_id": f"P{rule}"},
                min_count=1,
                window_days=30,
                actor=SYSTEM,
                at=at,
            )
        rows = [
            EventRow(
                e.id,
                e.occurred_at,
                e.received_at,
                e.type,
                e.contact_id or 0,
                e.props,
                e.category,
                e.product_id,
                e.amount_fen,
                e.dwell_seconds,
                e.source,
            )
            for e in Event.objects.filter(contact_id__isnull=False).order_by("-occurred_at")[:2000]
        ]

    def counted() -> None:
        with brand_scope(brand_id):
            segments.count(tree, at)

    def ruled() -> None:
        with brand_scope(brand_id):
            rules.handle(Batch(brand_id, rows, at))

    ruled()  # the tags are given once; from then on it is counting
    found: Small = {}
    for name, act in (("segment", counted), ("rules", ruled)):
        act()
        found[name] = ([seconds(act) * 1000 for _ in range(PAIRS)], "")
    with brand_scope(brand_id), connection.cursor() as cursor:
        condition = compiler.condition_sql(tree, brand_id=brand_id, at=at)
        prepare(cursor, condition)
        cursor.execute(
            f"EXPLAIN SELECT count(*) FROM contacts_contact c WHERE c.brand_id = %s AND {condition.text}",
            [brand_id, *condition.params],
        )
        plan = "\n".join(line for (line,) in cursor.fetchall())
    found["segment"] = (found["segment"][0], shape(plan))
    return found


def shape(plan: str) -> str:
    """A plan's nodes without costs, values and names of partitions: what "the same plan" compares."""
    nodes = [
        re.sub(r"_\d{6}\w*", "", re.sub(r"\s*\(cost.*?\)", "", line)).strip()
        for line in plan.splitlines()
        if "->" in line
    ]
    return "\n".join(re.sub(r"\s+[a-z]+(_\d+)?$", "", node) for node in nodes)


def _differing(alone: Small, beside: Small) -> Path:
    path = environment.state_directory() / "plans-small.txt"
    path.write_text(f"alone\n{alone['segment'][1]}\n\nbeside\n{beside['segment'][1]}\n")
    return path


def _neighbours(alone: Small, beside: Small) -> list[Measure]:
    measures = []
    for name, said in (("segment", "count of 5 nested leaves"), ("rules", "20 rules over a batch of 2,000 events")):
        ratios = [b / a for a, b in zip(sorted(alone[name][0]), sorted(beside[name][0]), strict=True)]
        same = (
            "the same plan" if alone[name][1] == beside[name][1] else f"ANOTHER PLAN, see {_differing(alone, beside)}"
        )
        note = f"{said}: {median(alone[name][0]):.0f} ms alone, {median(beside[name][0]):.0f} ms beside the million"
        measures.append(
            Measure(
                f"small brand beside the large, {name}",
                median(ratios),
                "× alone",
                SLOWER,
                1.0,
                note + (f"; {same}" if alone[name][1] else ""),
                True,
            )
        )
    return measures
