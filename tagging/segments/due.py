"""What makes a dynamic segment look again: events, changed rows, moments that come, and its own first fill.

Each of these is a few thousand contacts a transaction. `work` does what waits in one brand; the beat calls it, and the
reactor does the part that cannot wait for the beat."""

from collections import defaultdict
from datetime import datetime

from django.db import connection

from events import log
from events.reactors import Batch, Reactor
from tagging.language.changes import Touched
from tagging.models import SegmentFill
from tagging.segments import fills, flips, followers, standings
from tenants.scope import brand_scope

LIMIT = 2000
"""contacts a transaction: about a second with a few segments"""
PERSON = "person"
"""source of touches by contacts that come into being, are deleted, merged or split: every segment looks"""


def handle(batch: Batch) -> None:
    """Look at the contacts whom the batch's events touch, in the segments that these events can change. Scoped.

    Imported events that fire nothing count in segments as others do, but the log is not told of who comes or goes by
    them: an SOP must not greet whom a file of last year's orders brings in."""
    followed = flips.followed()
    by_type, silently = _by_type(batch, fires=True), _by_type(batch, fires=False)
    if not (by_type or silently) or not (followed or _following()):
        return
    # An event that arrived while the reactors were running happened before now, whatever they call now.
    at = max([batch.at, *(row.received_at for row in batch.rows)])
    flips.hold(batch.brand_id)
    for fill in followed:
        touched = standings.touched_by(fill.tree)
        for some, is_told in ((by_type, True), (silently, False)):
            types = [type_ for type_ in some if touched.by_event(type_)]
            if types:
                who = set().union(*(some[type_] for type_ in types))
                why = "、".join(sorted(types))
                flips.look_again(fill, who, at=at, cause=flips.EVENT, why=why, is_told=is_told)
    # Reactors before this one have tagged the same people, and moved their last activity.
    take_touches(brand_id=batch.brand_id, at=at, followed=followed)


def _by_type(batch: Batch, *, fires: bool) -> dict[str, set[int]]:
    """Contacts by the type of what happened to them, without what we write ourselves.

    A segment asks about another by naming it, not by its events."""
    by_type: dict[str, set[int]] = defaultdict(set)
    for row in batch.rows:
        if row.fires == fires and row.type not in flips.OWN_EVENTS:
            by_type[row.type].add(row.contact_id)
    return by_type


REACTOR = Reactor("segments", None, handle, silent=True)


def work(*, brand_id: int, at: datetime, horizon: int | None = None) -> bool:
    """Do some of what waits in the brand; whether more can be done at once. Opens its own scopes.

    While somebody else looks in this brand it does nothing: they, or the next beat, will."""
    more = False
    for act in (_touched, _due, _fill):
        with brand_scope(brand_id):
            if not flips.hold(brand_id, wait=False):
                return False
            more |= act(brand_id, at, flips.followed(), horizon)
    return more


def waits(*, brand_id: int, at: datetime) -> bool:
    """Whether anything waits in the brand now. Scoped; three glances at indexes."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM tagging_contacttouch WHERE brand_id = %s)"
            " OR EXISTS (SELECT FROM tagging_segmentstanding WHERE brand_id = %s AND due_at <= %s)"
            " OR EXISTS (SELECT FROM tagging_segmentfill f WHERE f.brand_id = %s AND f.is_current"
            "            AND f.ended_at IS NULL)",
            [brand_id, brand_id, at, brand_id],
        )
        return bool(cursor.fetchone()[0])


def take_touches(*, brand_id: int, at: datetime, followed: list[SegmentFill]) -> bool:
    """Look at contacts whose rows were changed; whether more wait. Scoped; the caller holds the brand's turn."""
    with connection.cursor() as cursor:
        # Rows of a transaction that has not ended cannot be seen, so nothing is taken before what it reports.
        cursor.execute(
            "DELETE FROM tagging_contacttouch t USING (SELECT contact_id, source, txid FROM tagging_contacttouch"
            " WHERE brand_id = %s ORDER BY contact_id LIMIT %s) AS x WHERE t.brand_id = %s"
            " AND t.contact_id = x.contact_id AND t.source = x.source AND t.txid = x.txid"
            " RETURNING t.contact_id, t.source",
            [brand_id, LIMIT, brand_id],
        )
        rows = cursor.fetchall()
    by_source: dict[str, set[int]] = defaultdict(set)
    for contact_id, source in rows:
        by_source[source].add(contact_id)
    for fill in followed:
        touched = standings.touched_by(fill.tree)
        sources = [source for source in by_source if touched.by_source(source) or source == PERSON]
        if sources:
            who = set().union(*(by_source[source] for source in sources))
            flips.look_again(fill, who, at=at, cause=flips.ROW, why="、".join(sorted(sources)))
    for follower, touched in _following() if rows else ():
        who = set().union(*(who for source, who in by_source.items() if touched.by_source(source) or source == PERSON))
        follower.look_again(who, at=at)
    return len(rows) == LIMIT


def _following() -> list[tuple[followers.Follower, Touched]]:
    """Who else follows somebody in this brand, and by what."""
    return [(each, touched) for each in followers.all_of_them() if (touched := each.touched_by()) is not None]


def _touched(brand_id: int, at: datetime, followed: list[SegmentFill], _horizon: int | None) -> bool:
    return take_touches(brand_id=brand_id, at=at, followed=followed)


def _due(brand_id: int, at: datetime, followed: list[SegmentFill], _horizon: int | None) -> bool:
    """Look at contacts whose moment has come."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT segment_id, contact_id FROM tagging_segmentstanding WHERE brand_id = %s AND due_at <= %s"
            " ORDER BY due_at LIMIT %s",
            [brand_id, at, LIMIT],
        )
        rows = cursor.fetchall()
    by_segment: dict[int, list[int]] = defaultdict(list)
    for segment_id, contact_id in rows:
        by_segment[segment_id].append(contact_id)
    fill_of = {fill.segment_id: fill for fill in followed}
    for segment_id, contact_ids in by_segment.items():
        if segment_id in fill_of:
            flips.look_again(fill_of[segment_id], contact_ids, at=at, cause=flips.TIME)
        else:
            fills.forget(brand_id=brand_id, segment_id=segment_id)
    return len(rows) == LIMIT


def _fill(brand_id: int, at: datetime, _followed: list[SegmentFill], horizon: int | None) -> bool:
    """Bring the first unfinished fill one range further."""
    fill = fills.unfinished()
    if fill is None:
        return False
    below = log.horizon() if horizon is None else horizon
    if below <= fill.txid:
        return False
    fills.advance(fill, at=at)
    return True
