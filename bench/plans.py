"""EXPLAIN ANALYZE of the main queries on the bench's rows, as the product itself sends them.

The product's functions are called; a wrapper around the connection explains each of their SELECTs before it runs, and
the slowest of a call is kept. docs/performance.md shows what was seen."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db import connection
from django.utils import timezone

from bench.big import Big
from bench.leaves import five_leaves
from contacts import profile
from contacts.models import Contact
from events import reactors
from scrm.runtime import environment
from tagging import bulk
from tagging.models import ContactTag, SegmentFill
from tagging.segments import due, estimate, fills, flips, memberships, overlap, segments, standings
from tenants.actors import SYSTEM
from tenants.scope import brand_scope

MOST_LINES = 40
Query = tuple[str, Callable[[], object]]


def write(made: Big) -> Path:
    """Explain the ten, into `.orchard/plans.txt`."""
    path = environment.state_directory() / "plans.txt"
    path.write_text("\n\n".join(f"## {name}\n{_plan(made.brand_id, act)}" for name, act in _queries(made)) + "\n")
    return path


def _queries(made: Big) -> list[Query]:
    at, brand = timezone.now(), made.brand_id
    tree = five_leaves(made.first_tag)
    with brand_scope(brand):
        ids = list(Contact.objects.order_by("-last_active_at").values_list("pk", flat=True)[:500])
        segment = segments.save(name="plans", tree=tree, actor=SYSTEM, at=at)
        memberships.set_mode(segment_id=segment.pk, mode="dynamic", actor=SYSTEM, at=at)
    for _ in range(3):  # the first thirty thousand contacts
        with brand_scope(brand):
            flips.hold(brand)
            fill = fills.unfinished()
            if fill is not None:
                fills.advance(fill, at=at)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    with brand_scope(brand):
        followed = SegmentFill.objects.get(segment=segment, is_current=True)
        tag = {"kind": "tag", "tag_id": made.first_tag + 1}

    def due_ones() -> None:
        due.waits(brand_id=brand, at=at + timedelta(days=1))

    return [
        ("count of 5 nested leaves", lambda: segments.count(tree, at)),
        ("sample of 20 members", lambda: segments.sample(tree, at, 20)),
        ("estimate, a 64th", lambda: estimate.estimate(tree, at, budget_seconds=0)),
        ("overlap of two groups, a 16th", lambda: overlap.overlap([tree, tag], at, is_exact=False)),
        ("why is a contact in: all leaves of one", lambda: segments.explain(tree, ids[0], at)),
        (
            "a look at 500 contacts whom events touched",
            lambda: standings.look(brand_id=brand, segment_id=followed.segment_id, tree=tree, contact_ids=ids, at=at),
        ),
        ("does anything wait: touches, moments, fills", due_ones),
        ("holders of every tag", lambda: bulk.holders(_tags(), at=at)),
        ("a contact's timeline", lambda: profile.timeline(ids[0], limit=50)),
        ("what a reactor has not read", lambda: reactors.first_unread(brand)),
    ]


def _tags() -> list[int]:
    return list(ContactTag.objects.order_by().values_list("tag_id", flat=True).distinct()[:3])


def _plan(brand_id: int, act: Callable[[], object]) -> str:
    """The plan of the slowest SELECT that the act sends."""
    slowest: tuple[float, str] = (0.0, "nothing was asked")

    def explained(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal slowest
        if not many and sql.lstrip()[:6].upper() in ("SELECT", "WITH"):
            with connection.connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, BUFFERS OFF) {sql}", params)
                lines = [line for (line,) in cursor.fetchall()]
            took = float(next(line for line in lines if line.startswith("Execution Time")).split()[2])
            if took >= slowest[0]:
                slowest = (took, _short(lines))
        return execute(sql, params, many, context)

    with brand_scope(brand_id), connection.execute_wrapper(explained):
        act()
    return slowest[1]


def _short(lines: list[str]) -> str:
    """Without what every line repeats, and cut where it is long."""
    kept = [line for line in lines if "One-Time Filter" not in line and "Batches:" not in line]
    text = "\n".join(kept[:MOST_LINES] + (["…", *kept[-2:]] if len(kept) > MOST_LINES else []))
    return re.sub(r"\(actual (rows=\d+) (loops=\d+)\)", r"(\1 \2)", text)
