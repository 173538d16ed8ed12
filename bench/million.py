"""Questions about a million contacts: a count beside SQL by hand, estimates with their intervals.

The rows are bench.big's."""

import json
import random
from collections.abc import Callable
from datetime import datetime
from functools import partial
from statistics import median
from typing import Any

from django.core.cache import cache
from django.db import connection
from django.utils import timezone

from bench import big, neighbours, plans
from bench.big import Big
from bench.leaves import by_hand, five_leaves
from bench.measure import Measure, seconds
from bench.scratch import Admin
from tagging.language import compiler
from tagging.language.conditions import Frame
from tagging.segments import estimate, segments, standings
from tenants.scope import brand_scope

RANDOM_SEGMENTS = 200
COUNT_MS, ESTIMATE_MS = 3000.0, 300.0

SERIALLY = "SET LOCAL max_parallel_workers_per_gather TO 0"
SETTINGS = ("", SERIALLY, f"{SERIALLY}; SET LOCAL enable_seqscan TO off; SET LOCAL enable_mergejoin TO off")
"""what somebody would try by hand, to keep the best"""


def measure(admin: Admin, scale: float, rounds: int) -> list[Measure]:
    """Load the small brand alone, then everything, and ask."""
    alone = neighbours.asked(big.make(admin, scale, others=False))
    made = big.make(admin, scale)
    measures = [_loading(made), *_count(made, rounds), *_estimates(made)]
    measures += neighbours.compared(alone, neighbours.asked(made))
    print(f"plans of the ten main queries: {plans.write(made)}", flush=True)
    return measures


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
