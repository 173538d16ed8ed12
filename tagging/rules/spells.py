"""Who is in which lifecycle stage since when: looked at, written down, and told to the log.

A contact is looked at again when something happens to them (a reactor), when a row about them is changed (the queue of
dynamic segments, `tagging.segments.due`), when a moment comes at which time alone may change their stage (kept with the
spell), and once after the stages were changed. A change is an event, `lifecycle_changed` {from, to}. A contact's first
stage, and what changed stages make of somebody, are history and no news: the spell's `cause` tells them from moves."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from events import log
from events.reactors import Batch, Reactor
from scrm.lib.errors import FieldError
from tagging.language import compiler
from tagging.language.changes import Touched
from tagging.language.conditions import Frame
from tagging.language.sql import Sql
from tagging.models import LifecycleSpell, LifecycleStage
from tagging.rules import lifecycle
from tagging.segments import standings
from tenants.scope import current_brand_id

Cause = LifecycleSpell.Cause
OLDEST_TOLD = timedelta(days=1)
OWN = "lifecycle_changed"
SKIPPED = frozenset({OWN, "segment_entered", "segment_left"})
_LOCK_SPACE = 0x6C6966


def handle(batch: Batch) -> None:
    """Look at the contacts of a batch. Scoped."""
    who = {row.contact_id for row in batch.rows if row.type not in SKIPPED}
    look(contact_ids=who, at=batch.at, cause=Cause.EVENT)


REACTOR = Reactor("lifecycle", None, handle)


class Follower:
    """What dynamic segments' queue of touched contacts needs to know of stages."""

    def touched_by(self) -> Touched | None:
        """By what any stage can change; None for a brand that keeps none. Scoped."""
        kept = lifecycle.stages()
        return standings.touched_by(_together(kept)) if kept else None

    def look_again(self, contact_ids: Collection[int], *, at: datetime) -> None:
        """Rows about them were changed. Scoped."""
        look(contact_ids=contact_ids, at=at, cause=Cause.ROW)

    def trees(self) -> list[tuple[str, Any]]:
        """Every stage's. Scoped."""
        return [(stage.name, stage.tree) for stage in lifecycle.stages()]

    def refused(self, tree: Any, path: str) -> list[FieldError]:
        """A stage asks for no stage, nor does a segment that it names. Scoped."""
        return lifecycle.circular(tree, path)

    def ask_anew(self, *, at: datetime) -> None:
        """A stage's segment asks something else now. Scoped."""
        lifecycle.place_anew(began_by="", at=at)


def look(
    *,
    at: datetime,
    cause: str,
    contact_ids: Collection[int] | None = None,
    between: tuple[int, int] | None = None,
) -> int:
    """Look at some contacts, or at all with ids of a range; returns how many changed their stage. Scoped.

    Whoever looks holds the brand's turn, so that what is written last is what was seen last."""
    kept = lifecycle.stages()
    if contact_ids is not None and not contact_ids:
        return 0
    if not kept:
        return _end(between, at=at) if between else 0
    brand_id = current_brand_id()
    frame = Frame(brand_id=brand_id, at=at, within=between, singly=contact_ids is not None)
    stage, due = _stage_sql(kept, frame), standings.due_sql(_together(kept), frame)
    if contact_ids is not None:
        who = Sql("c.id = ANY (ARRAY(SELECT unnest(%s::bigint[])))", (sorted(contact_ids),))
    else:
        first, last = between or (0, 2**63 - 1)
        who = Sql("c.id BETWEEN %s AND %s", (first, last))
    # Who has no spell yet and came after the stages is new; who was there before is placed for the first time.
    since = max(each.created_at for each in kept)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [(_LOCK_SPACE << 40) + brand_id])
        cursor.execute(
            f"SELECT n.id, n.stage, n.due_at, s.stage, s.since, s.due_at,"  # noqa: S608
            " CASE WHEN s.since IS NOT NULL THEN %s WHEN n.created_at > %s THEN %s ELSE %s END FROM ("
            f" SELECT c.id, c.created_at, {stage.text} AS stage, {due.text} AS due_at FROM contacts_contact c"
            f" WHERE c.brand_id = %s AND {who.text}) AS n"
            " LEFT JOIN LATERAL (SELECT s.stage, s.since, s.due_at FROM tagging_lifecyclespell s"
            " WHERE s.brand_id = %s AND s.contact_id = n.id AND s.until IS NULL) AS s ON TRUE"
            " WHERE s.stage IS DISTINCT FROM n.stage OR s.due_at IS DISTINCT FROM n.due_at ORDER BY n.id",
            [
                *(cause, since, Cause.NEW, Cause.FIRST),
                *stage.params,
                *due.params,
                brand_id,
                *who.params,
                brand_id,
            ],
        )
        rows = cursor.fetchall()
    return _write(rows, brand_id=brand_id, at=at)


def _end(between: tuple[int, int], *, at: datetime) -> int:
    """Nobody is in any stage any more: there are none."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [(_LOCK_SPACE << 40) + current_brand_id()])
        cursor.execute(
            "UPDATE tagging_lifecyclespell SET until = greatest(%s, since + interval '1 microsecond'), due_at = NULL"
            " WHERE brand_id = %s AND until IS NULL AND contact_id BETWEEN %s AND %s",
            [at, current_brand_id(), *between],
        )
        return int(cursor.rowcount)


def look_at_due(*, at: datetime, limit: int = 2000) -> int:
    """Look at those whose moment has come; returns how many were looked at. Scoped."""
    due = LifecycleSpell.objects.filter(until=None, due_at__lte=at).order_by("due_at")
    ids = list(due.values_list("contact_id", flat=True)[:limit])
    if ids and not look(contact_ids=ids, at=at, cause=Cause.TIME):
        # Of contacts who are hidden (merged, erased) nothing is seen: their moment is past for good.
        with connection.cursor() as cursor:
            cursor.execute("SELECT id FROM contacts_contact WHERE id = ANY (%s)", [ids])
            shown = {key for (key,) in cursor.fetchall()}
        hidden = [key for key in ids if key not in shown]
        LifecycleSpell.objects.filter(until=None, contact_id__in=hidden).update(due_at=None)
    return len(ids)


def waits(*, at: datetime) -> bool:
    """Whether somebody's moment has come. Scoped."""
    return LifecycleSpell.objects.filter(until=None, due_at__lte=at).exists() and LifecycleStage.objects.exists()


def _together(kept: Sequence[LifecycleStage]) -> dict[str, Any]:
    return {"any": [stage.tree for stage in kept]}


def _stage_sql(kept: Sequence[LifecycleStage], frame: Frame) -> Sql:
    cases, params = [], []
    for stage in kept:
        compiler.validate(stage.tree, depth=compiler.STORED_DEPTH)
        condition = compiler.compiled(stage.tree, frame)
        cases.append(f"WHEN {condition.text} THEN %s")
        params += [*condition.params, stage.key]
    return Sql(f"(CASE {' '.join(cases)} ELSE '' END)", tuple(params))


def _write(rows: Sequence[tuple[Any, ...]], *, brand_id: int, at: datetime) -> int:
    """Rows: contact, stage and due as seen; stage, since and due as known; cause of a new spell."""
    changed = [row for row in rows if row[1] != row[3]]
    moments = [_moment(row, at) for row in changed]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE tagging_lifecyclespell s SET due_at = n.due_at"
            " FROM unnest(%s::bigint[], %s::timestamptz[]) AS n (id, due_at)"
            " WHERE s.brand_id = %s AND s.contact_id = n.id AND s.until IS NULL",
            [[row[0] for row in rows if row[1] == row[3]], [row[2] for row in rows if row[1] == row[3]], brand_id],
        )
        if not changed:
            return 0
        ids = [row[0] for row in changed]
        cursor.execute(
            "UPDATE tagging_lifecyclespell s SET until = n.moment, due_at = NULL"
            " FROM unnest(%s::bigint[], %s::timestamptz[]) AS n (id, moment)"
            " WHERE s.brand_id = %s AND s.contact_id = n.id AND s.until IS NULL",
            [ids, moments, brand_id],
        )
        cursor.execute(
            "INSERT INTO tagging_lifecyclespell (brand_id, contact_id, since, stage, due_at, cause)"
            " SELECT %s, n.id, n.moment, n.stage, n.due_at, n.cause"
            " FROM unnest(%s::bigint[], %s::timestamptz[], %s::text[], %s::timestamptz[], %s::text[])"
            " AS n (id, moment, stage, due_at, cause) ORDER BY n.id ON CONFLICT DO NOTHING",
            [brand_id, ids, moments, *([row[place] for row in changed] for place in (1, 2, 6))],
        )
    news = [(row, moment) for row, moment in zip(changed, moments, strict=True) if row[6] not in Cause.untold()]
    _tell([(row[0], moment, row[3], row[1]) for row, moment in news], brand_id=brand_id, at=at)
    return len(changed)


def _moment(row: tuple[Any, ...], at: datetime) -> datetime:
    """When the stage changed: at the known moment if time alone did it, however late somebody looked."""
    _contact, _stage, _due, _known, since, known_due, _cause = row
    moment = at
    if known_due is not None and known_due <= at:
        moment = max(known_due, at - OLDEST_TOLD)
    if since is not None and moment <= since:
        moment = since + timedelta(microseconds=1)
    return moment


def _tell(told: Sequence[tuple[int, datetime, str, str]], *, brand_id: int, at: datetime) -> None:
    if not told:
        return
    log.write_select(
        select="SELECT made_id(concat_ws(':', %s::text, %s::text, n.id::text,"
        " extract(epoch FROM n.moment)::text)) AS id,"
        " n.moment AS occurred_at, %s::text AS type, n.id AS contact_id,"
        " jsonb_build_object('from', n.was, 'to', n.now) AS props"
        " FROM unnest(%s::bigint[], %s::timestamptz[], %s::text[], %s::text[]) AS n (id, moment, was, now)",
        params=[brand_id, OWN, OWN, *(list(column) for column in zip(*told, strict=True))],
        at=at,
    )
