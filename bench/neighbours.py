"""A small brand's questions, alone and beside a million contacts: its times, and whether its plan is the same.

"Alone" is the first of the twenty other brands before anybody else is there; "beside" is the same brand, of the same
rows, in the company of the million and the nineteen."""

import re
from pathlib import Path
from statistics import median

from django.db import connection
from django.utils import timezone

from bench.big import Big
from bench.leaves import five_leaves
from bench.measure import Measure, seconds
from events.models import Event
from events.reactors import Batch, EventRow
from scrm.runtime import environment
from tagging.language import compiler
from tagging.language.sql import prepare
from tagging.rules import reacting, rules
from tagging.segments import segments
from tenants.actors import SYSTEM
from tenants.scope import brand_scope

PAIRS = 9
SLOWER = 1.5
"""a small brand beside the million may take so much longer"""

Small = dict[str, tuple[list[float], str]]


def asked(made: Big) -> Small:
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
            reacting.handle(Batch(brand_id, rows, at))

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


def compared(alone: Small, beside: Small) -> list[Measure]:
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
