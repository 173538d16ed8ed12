"""The first look at everybody: a dynamic segment's, or the only one of a static segment. In ranges of contact ids.

A changed tree begins a new fill, which puts the members right range by range and keeps the history. Until it has
passed a contact, what happens to them is looked at by the new tree already, and written down as the new version's."""

import json
from datetime import datetime
from typing import Any

from django.db import connection

from events import log
from tagging.language.conditions import Frame
from tagging.models import Segment, SegmentFill
from tagging.segments import flips, standings

RANGE = 10_000
"""contacts a transaction: about a second's work"""


NOBODY: dict[str, Any] = {"any": []}


def begin(segment: Segment, *, at: datetime, tree: Any = None) -> SegmentFill:
    """Follow the segment's tree, or another, from now on. Scoped; the caller holds the segment's row."""
    last = SegmentFill.objects.filter(segment=segment).order_by("-number").first()
    SegmentFill.objects.filter(segment=segment, is_current=True).update(is_current=False)
    return SegmentFill.objects.create(
        segment=segment,
        number=last.number + 1 if last else 1,
        version=segment.version,
        tree=segment.tree if tree is None else tree,
        began_at=at,
        txid=log.current_txid(),
    )


def end(segment: Segment, *, at: datetime) -> None:
    """Follow it no longer: range by range, whoever is in leaves. Scoped; the caller holds the segment's row."""
    if SegmentFill.objects.filter(segment=segment, is_current=True).exclude(tree=NOBODY).exists():
        begin(segment, at=at, tree=NOBODY)


def forget(*, brand_id: int, segment_id: int) -> None:
    """Drop what was found of contacts in a segment that is not followed. Scoped; some thousands at a time."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM tagging_segmentstanding s USING (SELECT contact_id FROM tagging_segmentstanding"
            " WHERE brand_id = %s AND segment_id = %s ORDER BY contact_id LIMIT %s) AS x"
            " WHERE s.brand_id = %s AND s.segment_id = %s AND s.contact_id = x.contact_id",
            [brand_id, segment_id, RANGE, brand_id, segment_id],
        )


def unfinished() -> SegmentFill | None:
    """The oldest fill that has not seen everybody yet. Scoped."""
    fills = SegmentFill.objects.filter(is_current=True, ended_at=None)
    return fills.select_related("segment").order_by("began_at", "segment_id").first()


def advance(fill: SegmentFill, *, at: datetime) -> bool:
    """Look at the next range of contacts; whether that was the last. Scoped; the caller holds the brand's turn."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT min(id), max(id), count(*) FROM (SELECT id FROM contacts_contact WHERE brand_id = %s AND id >= %s"
            " ORDER BY id LIMIT %s) AS x",
            [fill.brand_id, fill.next_contact, RANGE],
        )
        first, last, number = cursor.fetchone()
    here = SegmentFill.objects.filter(segment=fill.segment_id, number=fill.number)
    if number:
        _look_at(fill, first, last, at=at)
        here.update(next_contact=last + 1)
    if number < RANGE:
        here.update(ended_at=at)
    return bool(number < RANGE)


def _look_at(fill: SegmentFill, first: int, last: int, *, at: datetime) -> None:
    frame = Frame(brand_id=fill.brand_id, at=at, within=(first, last))
    bits, due = standings.bits_sql(fill.tree, frame), standings.due_sql(fill.tree, frame)
    cause = flips.FILL if fill.number == 1 else flips.VERSION
    words: dict[str, Any] = {
        "brand": fill.brand_id,
        "segment": fill.segment_id,
        "first": first,
        "last": last,
        "fill": fill.number,
        "version": fill.version,
        "at": at,
        "reason": json.dumps({"cause": cause, "leaves": []}),
    }
    worth_a_row = f"x.bits <> 0 OR x.due_at IS NOT NULL OR {standings.verdict_sql(fill.tree, '0::bigint')}"
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL work_mem = '64MB'")
        cursor.execute(_CLEAR, words)
        cursor.execute(
            f"""INSERT INTO tagging_segmentstanding (brand_id, segment_id, contact_id, fill, bits, due_at)
                SELECT %s, %s, x.id, %s, x.bits, x.due_at
                FROM (SELECT c.id, {bits.text} AS bits, {due.text} AS due_at FROM contacts_contact c
                      WHERE c.brand_id = %s AND c.id BETWEEN %s AND %s OFFSET 0) AS x
                WHERE {worth_a_row}""",  # noqa: S608
            [
                fill.brand_id,
                fill.segment_id,
                fill.number,
                *bits.params,
                *due.params,
                fill.brand_id,
                first,
                last,
            ],
        )
        for statement in _PUT_RIGHT:
            cursor.execute(statement.format(verdict=standings.verdict_sql(fill.tree, "s.bits")), words)
        if fill.segment.mode != Segment.Mode.DYNAMIC:
            # Nobody looks again at a list that was taken once.
            cursor.execute(_CLEAR, words)


_CLEAR = (
    "DELETE FROM tagging_segmentstanding WHERE brand_id = %(brand)s AND segment_id = %(segment)s"
    " AND contact_id BETWEEN %(first)s AND %(last)s"
)
# Whoever is worth no row holds no leaf, and the tree does not hold of them: they are not in.
_IN = (
    "SELECT s.contact_id FROM tagging_segmentstanding s WHERE s.brand_id = %(brand)s AND s.segment_id = %(segment)s"
    " AND s.contact_id BETWEEN %(first)s AND %(last)s AND {verdict}"
)
_PUT_RIGHT = (
    f"""UPDATE tagging_membership AS m SET left_at = greatest(%(at)s, m.entered_at + interval '1 microsecond'),
            left_version = %(version)s, left_reason = %(reason)s::jsonb
        WHERE m.brand_id = %(brand)s AND m.segment_id = %(segment)s AND m.contact_id BETWEEN %(first)s AND %(last)s
          AND m.left_at IS NULL AND m.contact_id NOT IN ({_IN})""",  # noqa: S608
    f"""INSERT INTO tagging_membership (brand_id, segment_id, contact_id, entered_at, entered_version, entered_reason)
        SELECT %(brand)s, %(segment)s, i.contact_id,
               greatest(%(at)s, (SELECT max(m.left_at) FROM tagging_membership m WHERE m.brand_id = %(brand)s
                                 AND m.segment_id = %(segment)s AND m.contact_id = i.contact_id)),
               %(version)s, %(reason)s::jsonb
        FROM ({_IN}) AS i
        ON CONFLICT DO NOTHING""",  # noqa: S608
)
