"""How many, in a moment: from a fixed sample of the contacts, with an interval that says how sure it is.

The sample is those of whose id's hash some bits are 0: a 64th of the contacts, the same ones each time, and what is
written of them has indexes of its own. Where too few of them match it is widened fourfold, as long as time allows; a
small brand is counted. The interval is Wilson's, made somewhat wider than 95 in a hundred would ask: all segments are
asked of the same sample, so a sample that is off is off for many of them."""

import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil, floor, sqrt
from typing import Any

from django.core.cache import cache
from django.db import connection
from django.utils import timezone

from tagging.language import compiler
from tagging.language.conditions import Frame, sampled
from tagging.language.sql import prepare
from tenants.scope import current_brand_id

MASKS = (63, 15, 3, 0)
"""the samples: a 64th, a 16th, a quarter, everybody"""
SLOWER = {63: 1, 15: 4, 3: 16, 0: 4}
"""about how much longer than the sample before each takes: a quarter has no indexes of its own"""
ENOUGH = 2_000
"""matches in the sample from which on a wider one is not worth its time"""
SMALL = 30_000
"""brands of fewer contacts are counted"""
BUDGET_SECONDS = 0.2
SURE = 2.33
"""standard deviations: 98 of 100 for an ordinary segment"""
KEPT = timedelta(minutes=5)
"""how long a brand's number of contacts is believed"""


@dataclass(frozen=True, slots=True)
class Estimate:
    """`count` contacts, surely between `low` and `high`."""

    count: int
    low: int
    high: int
    method: str
    """"sample" or "exact" """
    share: float
    """of the contacts that were looked at"""
    sampled: int
    matched: int
    at: datetime
    """the moment that the conditions' windows mean"""
    age_seconds: int
    """of the brand's number of contacts that the sample was scaled by; 0 when counted"""


def estimate(tree: Any, at: datetime, *, budget_seconds: float | None = BUDGET_SECONDS) -> Estimate:
    """About how many contacts satisfy the tree at `at`. Scoped. Raises Invalid for a wrong tree.

    `budget_seconds` bounds the widening: a sample whose predicted time exceeds what is left is not taken, and the
    interval is as wide as it must be. None: widen until enough match, at last to everybody."""
    brand_id = current_brand_id()
    compiler.validate(tree, depth=compiler.STORED_DEPTH)
    everybody, age = _contacts(brand_id)
    if everybody <= SMALL:
        return _counted(tree, brand_id, at, mask=0, everybody=everybody, age=0)
    began = time.perf_counter()
    found = None
    for mask in MASKS:
        if found is not None and budget_seconds is not None:
            took = time.perf_counter() - began
            if took * SLOWER[mask] > budget_seconds - took:
                break
        found = _counted(tree, brand_id, at, mask=mask, everybody=everybody, age=age)
        if found.matched >= ENOUGH:
            break
    assert found is not None  # noqa: S101 - the first sample is always taken
    return found


def interval(matched: int, number: int, *, sure: float = SURE) -> tuple[float, float]:
    """Wilson's interval of a share of which `matched` of `number` were seen; (0, 1) of none."""
    if number == 0:
        return 0.0, 1.0
    share, square = matched / number, sure * sure
    centre = (share + square / (2 * number)) / (1 + square / number)
    half = sure / (1 + square / number) * sqrt(share * (1 - share) / number + square / (4 * number * number))
    return max(0.0, centre - half), min(1.0, centre + half)


def _counted(tree: Any, brand_id: int, at: datetime, *, mask: int, everybody: int, age: int) -> Estimate:
    number, matched = _ask(tree, Frame(brand_id=brand_id, at=at, sample=mask))
    if mask == 0:
        return Estimate(matched, matched, matched, "exact", 1.0, number, matched, at, 0)
    low, high = interval(matched, number)
    return Estimate(
        round(matched / number * everybody) if number else 0,
        max(matched, floor(low * everybody)),
        min(everybody, ceil(high * everybody)),
        "sample",
        1 / (mask + 1),
        number,
        matched,
        at,
        age,
    )


def _ask(tree: Any, frame: Frame) -> tuple[int, int]:
    """(contacts in the sample, how many of them match)."""
    condition = compiler.compiled(tree, frame)
    inside = f" AND {sampled('c.id', frame.sample).text}" if frame.sample else ""
    with connection.cursor() as cursor:
        # A sample is read sooner than workers are started, and a count is as a segment's is.
        prepare(cursor, replace(condition, apart=condition.apart or bool(frame.sample)))
        # Two queries: a count beside a filtered count would test the conditions contact by contact, not as joins.
        cursor.execute(
            f"SELECT (SELECT count(*) FROM contacts_contact c WHERE c.brand_id = %s{inside}),"  # noqa: S608
            f" (SELECT count(*) FROM contacts_contact c WHERE c.brand_id = %s{inside} AND {condition.text})",
            [frame.brand_id, frame.brand_id, *condition.params],
        )
        number, matched = cursor.fetchone()
    return int(number), int(matched)


def _contacts(brand_id: int) -> tuple[int, int]:
    """(the brand's number of contacts, its age in seconds): counted now and then."""
    key, now = f"tagging:contacts:{brand_id}", timezone.now()
    kept = cache.get(key)
    if kept is not None:
        return kept[0], max(0, round((now - kept[1]).total_seconds()))
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM contacts_contact WHERE brand_id = %s", [brand_id])
        number = int(cursor.fetchone()[0])
    if number > SMALL:
        cache.set(key, (number, now), timeout=int(KEPT.total_seconds()))
    return number, 0
