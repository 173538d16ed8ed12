"""Contacts who come into a dynamic segment or leave it: looked at again, written down, and told to the log.

Whoever looks holds the brand's lock, so that two who look at the same contact do so one after the other, and what is
written last is what was seen last. The log is told of stays that begin or end because something happened to the
contact; a first fill and a changed tree write history only."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from django.db import connection

from events import log
from tagging.language import compiler
from tagging.models import Segment, SegmentFill
from tagging.segments import standings
from tagging.segments.standings import Found

EVENT, ROW, TIME, FILL, VERSION, HAND = "event", "row", "time", "fill", "version", "hand"
"""causes: an event, a changed row, time alone, the first look at everybody, a changed tree, somebody's hand"""
OWN_EVENTS = frozenset({"segment_entered", "segment_left"})
CROWD = 2000
"""contacts looked at per statement"""
_LOCK_SPACE = 0x736567


@dataclass(frozen=True, slots=True)
class Flip:
    """One contact comes or goes."""

    contact_id: int
    enters: bool
    moment: datetime
    reason: dict[str, Any]
    is_told: bool


def hold(brand_id: int, *, wait: bool = True) -> bool:
    """Take the brand's turn to look, until the end of the transaction. Without `wait`: whether it was free. Scoped."""
    key = (_LOCK_SPACE << 40) + brand_id
    with connection.cursor() as cursor:
        if wait:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [key])
            return True
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [key])
        return bool(cursor.fetchone()[0])


def followed() -> list[SegmentFill]:
    """The dynamic segments of the brand, each with the tree that it is followed by. Scoped."""
    fills = SegmentFill.objects.filter(
        is_current=True, segment__mode=Segment.Mode.DYNAMIC, segment__archived_at=None
    ).select_related("segment")
    return list(fills.order_by("segment_id"))


def look_again(
    fill: SegmentFill, contact_ids: Iterable[int], *, at: datetime, cause: str, why: str = "", is_told: bool = True
) -> int:
    """Look at these contacts in one segment; returns how many came or went. Scoped; the caller holds the brand's turn.

    `why` goes into the reason: the types of events. `is_told`: whether the log is told of them."""
    ids, flipped = sorted(set(contact_ids)), 0
    for first in range(0, len(ids), CROWD):
        found = standings.look(
            brand_id=fill.brand_id,
            segment_id=fill.segment_id,
            tree=fill.tree,
            contact_ids=ids[first : first + CROWD],
            at=at,
        )
        flips = [flip for each in found if (flip := _flip(fill, each, at=at, cause=cause, why=why, is_told=is_told))]
        _remember(fill, found)
        write(fill, flips, at=at)
        flipped += len(flips)
    return flipped


def write(fill: SegmentFill, flips: Sequence[Flip], *, at: datetime) -> None:
    """Open and close stays, and tell the log. Scoped."""
    for enters, statement, type_ in ((True, _ENTER, "segment_entered"), (False, _LEAVE, "segment_left")):
        some = [flip for flip in flips if flip.enters == enters]
        if not some:
            continue
        with connection.cursor() as cursor:
            cursor.execute(
                statement,
                {
                    "brand": fill.brand_id,
                    "segment": fill.segment_id,
                    "version": fill.version,
                    "contacts": [flip.contact_id for flip in some],
                    "moments": [flip.moment for flip in some],
                    "reasons": [json.dumps(flip.reason) for flip in some],
                },
            )
            moments = dict(cursor.fetchall())
        told = [flip.contact_id for flip in some if flip.is_told and flip.contact_id in moments]
        _tell(fill, type_, {contact: moments[contact] for contact in told}, some[0].reason["cause"], at=at)


def _flip(fill: SegmentFill, found: Found, *, at: datetime, cause: str, why: str, is_told: bool) -> Flip | None:
    enters = found.exists and standings.holds(fill.tree, found.bits)
    if enters == (found.entered_at is not None):
        return None
    before = _known_before(fill, found)
    if before is None:
        first = {"cause": FILL if fill.number == 1 else VERSION, "leaves": []}
        return Flip(found.contact_id, enters, at, first, is_told=False)
    moment = at
    if cause == TIME and found.known_due_at is not None:
        # It changed at its moment, however late somebody looked; but the log's older months may be closed.
        moment = max(found.known_due_at, at - timedelta(days=1))
    leaves, held = _reason(json.dumps(fill.tree), before, found.bits)
    reason = {"cause": cause, "leaves": leaves, "held": held} | ({"why": why} if why else {})
    return Flip(found.contact_id, enters, min(moment, at), reason, is_told)


def _known_before(fill: SegmentFill, found: Found) -> int | None:
    """The bits as last seen; None if this tree has never been asked of the contact."""
    if found.known_fill == fill.number:
        return found.known_bits
    is_past = fill.ended_at is not None or found.contact_id < fill.next_contact
    return 0 if is_past else None


@lru_cache(maxsize=10_000)
def _reason(tree: str, before: int, after: int) -> tuple[list[str], list[bool]]:
    """The leaves that turned, and whether each holds now. A batch flips hundreds of contacts in a handful of ways."""
    loaded = json.loads(tree)
    leaves = standings.reason(loaded, before, after)
    place_of = {path: place for place, (path, _leaf) in enumerate(compiler.leaves_of(loaded))}
    return leaves, [bool(after >> place_of[path] & 1) for path in leaves]


def _remember(fill: SegmentFill, found: Sequence[Found]) -> None:
    """Keep what was found where it differs from what was known."""
    by_default = standings.holds(fill.tree, 0)
    kept, gone = [], []
    for each in found:
        is_worth_a_row = each.exists and (each.bits or each.due_at is not None or by_default)
        known = (each.known_fill, each.known_bits, each.known_due_at)
        if is_worth_a_row and known != (fill.number, each.bits, each.due_at):
            kept.append(each)
        elif not is_worth_a_row and each.known_fill is not None:
            gone.append(each.contact_id)
    with connection.cursor() as cursor:
        if kept:
            cursor.execute(
                "INSERT INTO tagging_segmentstanding AS s (brand_id, segment_id, contact_id, fill, bits, due_at)"
                " SELECT %s, %s, r.id, %s, r.bits, r.due_at"
                " FROM unnest(%s::bigint[], %s::bigint[], %s::timestamptz[]) AS r (id, bits, due_at)"
                " ON CONFLICT (brand_id, segment_id, contact_id) DO UPDATE"
                " SET fill = excluded.fill, bits = excluded.bits, due_at = excluded.due_at",
                [
                    fill.brand_id,
                    fill.segment_id,
                    fill.number,
                    [each.contact_id for each in kept],
                    [each.bits for each in kept],
                    [each.due_at for each in kept],
                ],
            )
        if gone:
            cursor.execute(
                "DELETE FROM tagging_segmentstanding WHERE brand_id = %s AND segment_id = %s"
                " AND contact_id = ANY (%s::bigint[])",
                [fill.brand_id, fill.segment_id, gone],
            )


_FLIPS = (
    "unnest(%(contacts)s::bigint[], %(moments)s::timestamptz[], %(reasons)s::text[]) AS r (contact_id, moment, reason)"
)
# A stay never begins before the last one ended, so no two of them can have the same key.
_ENTER = f"""
    INSERT INTO tagging_membership (brand_id, segment_id, contact_id, entered_at, entered_version, entered_reason)
    SELECT %(brand)s, %(segment)s, r.contact_id,
           greatest(r.moment, (SELECT max(m.left_at) FROM tagging_membership m WHERE m.brand_id = %(brand)s
                               AND m.segment_id = %(segment)s AND m.contact_id = r.contact_id)),
           %(version)s, r.reason::jsonb
    FROM {_FLIPS} ORDER BY r.contact_id
    ON CONFLICT DO NOTHING
    RETURNING contact_id, entered_at
"""  # noqa: S608
_LEAVE = f"""
    UPDATE tagging_membership AS m
    SET left_at = greatest(r.moment, m.entered_at + interval '1 microsecond'), left_version = %(version)s,
        left_reason = r.reason::jsonb
    FROM {_FLIPS}
    WHERE m.brand_id = %(brand)s AND m.segment_id = %(segment)s AND m.contact_id = r.contact_id AND m.left_at IS NULL
    RETURNING m.contact_id, m.left_at
"""  # noqa: S608


def _tell(fill: SegmentFill, type_: str, moments: dict[int, datetime], cause: str, *, at: datetime) -> None:
    if not moments:
        return
    log.write_select(
        select="SELECT made_id(concat_ws(':', %s::text, %s::text, %s::text, who::text,"
        " extract(epoch FROM moment)::text)) AS id, moment AS occurred_at, %s::text AS type, who AS contact_id,"
        " jsonb_build_object('segment_id', %s::bigint, 'segment', %s::text, 'version', %s::int, 'reason', %s::text)"
        " AS props FROM unnest(%s::bigint[], %s::timestamptz[]) AS r (who, moment)",
        params=[
            fill.brand_id,
            type_,
            fill.segment_id,
            type_,
            fill.segment_id,
            fill.segment.name,
            fill.version,
            cause,
            list(moments),
            list(moments.values()),
        ],
        at=at,
    )
