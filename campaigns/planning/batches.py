"""From planned deliveries to batches: one call to WeCom each, per variant and guide, within WeCom's limit.

First the batches, empty and not yet due; then, range by range, the deliveries get theirs, filling each batch in order
of the contacts' ids. A batch becomes due when the plan is complete, so nobody sends one that is still being filled."""

# What is put into the text is ours; values travel beside it as parameters.
# ruff: noqa: S608

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from campaigns.models import Batch
from campaigns.planning.audience import Question
from campaigns.planning.decide import Range
from scrm.lib.ids import made_id

NOT_YET = timedelta(days=36500)
"""how far off the due moment of a batch lies while it is being filled"""


HAD = """had AS (
  SELECT variant_id, coalesce(staff_id, 0) AS staff_id, sum(size)::bigint AS n FROM campaigns_batch
  WHERE brand_id = %s AND push_id = %s GROUP BY 1, 2
)"""


@dataclass(frozen=True, slots=True)
class _Names:
    table: str
    key: str
    staff: str
    """whose batch a delivery `d` goes into; 0: a Moments task, which many guides publish"""


def open_empty(*, question: Question, at: datetime) -> None:
    """Create the batches that the push's planned, batchless deliveries need, with size 0. Scoped; repeatable.

    Loops over variants × guides, never over contacts."""
    most, push_id, brand_id = question.target.most, question.push.pk, question.brand_id
    made = (
        Batch(
            id=made_id(brand_id, "batch", push_id, variant_id, staff_id or None, seq),
            brand_id=brand_id,
            push_id=push_id,
            variant_id=variant_id,
            corp_id=question.corp_id,
            staff_id=staff_id or None,
            seq=seq,
            size=0,
            due_at=at + NOT_YET,
        )
        for variant_id, staff_id, had, wanted in _needed(question)
        for seq in range(had // most, (had + wanted - 1) // most + 1)
    )
    Batch.objects.bulk_create(made, batch_size=1000, ignore_conflicts=True)


def _needed(question: Question) -> list[tuple[int, int, int, int]]:
    """Per variant and guide: how many deliveries are in batches already, how many want one."""
    names = _names(question)
    brand_push = [question.brand_id, question.push.pk]
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
WITH {HAD}, wanted AS (
  SELECT d.variant_id, {names.staff} AS staff_id, count(*) AS n FROM {names.table} d
  WHERE d.brand_id = %s AND d.push_id = %s AND d.status = 'planned' AND d.batch_id IS NULL GROUP BY 1, 2
)
SELECT w.variant_id, w.staff_id, coalesce(h.n, 0), w.n
FROM wanted w LEFT JOIN had h ON h.variant_id = w.variant_id AND h.staff_id = w.staff_id ORDER BY 1, 2""",
            [*brand_push, *brand_push],
        )
        return list(cursor.fetchall())


def fill(*, question: Question, span: Range) -> int:
    """Give the planned deliveries of a range their batch; returns how many. Scoped, after `open_empty`.

    To be run once for each range: the caller keeps its cursor in the same transaction."""
    names = _names(question)
    where, bounds = span.of(f"d.{names.key}")
    numbered = f"""
WITH {HAD}, numbered AS (
  SELECT d.{names.key} AS key, d.variant_id, {names.staff} AS staff_id,
    row_number() OVER (PARTITION BY d.variant_id, {names.staff} ORDER BY d.{names.key}) - 1 AS n
  FROM {names.table} d
  WHERE d.brand_id = %s AND d.push_id = %s AND {where} AND d.status = 'planned' AND d.batch_id IS NULL
)
UPDATE {names.table} d SET batch_id = b.id
FROM numbered n
LEFT JOIN had h ON h.variant_id = n.variant_id AND h.staff_id = n.staff_id
JOIN campaigns_batch b ON b.brand_id = %s AND b.push_id = %s AND b.variant_id = n.variant_id
  AND coalesce(b.staff_id, 0) = n.staff_id AND b.seq = (coalesce(h.n, 0) + n.n) / %s
WHERE d.brand_id = %s AND d.push_id = %s AND {where} AND d.{names.key} = n.key"""
    brand_push = (question.brand_id, question.push.pk)
    # Hash joins: nested loops would compare all with all, as the planner has no statistics of a new push's rows yet.
    _run("SET LOCAL enable_nestloop = off", [])
    in_range = [*brand_push, *bounds]
    filled = _run(numbered, [*brand_push, *in_range, *brand_push, question.target.most, *in_range])
    _run(
        f"""
UPDATE campaigns_batch b SET size = b.size + s.n
FROM (SELECT d.batch_id, count(*) AS n FROM {names.table} d
      WHERE d.brand_id = %s AND d.push_id = %s AND {where} AND d.status = 'planned' GROUP BY 1) s
WHERE b.brand_id = %s AND b.id = s.batch_id""",
        [*in_range, question.brand_id],
    )
    return filled


def is_anybody_left(*, question: Question) -> bool:
    """Whether a planned delivery has no batch yet. Scoped."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT EXISTS (SELECT 1 FROM {question.target.table} WHERE brand_id = %s AND push_id = %s"
            " AND status = 'planned' AND batch_id IS NULL)",
            [question.brand_id, question.push.pk],
        )
        return bool(cursor.fetchone()[0])


def release_to_dispatch(*, push_id: int, at: datetime) -> int:
    """The plan is complete: its batches are due now. Scoped. Returns how many there are."""
    return Batch.objects.filter(push_id=push_id, status=Batch.Status.PENDING).update(due_at=at)


def _names(question: Question) -> _Names:
    target = question.target
    return _Names(target.table, target.key, "d.staff_id" if target.per_guide else "0::bigint")


def _run(text: str, params: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(text, params)
        return int(cursor.rowcount)
