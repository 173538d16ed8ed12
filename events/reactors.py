"""Reactors: what the product does because something happened.

A reactor is given a brand's new events in batches, does its work set at a time, and its cursor moves in the same
transaction: its effects in our database happen exactly once. A reactor that is new to a brand begins at the start of
the brand's log. Rows of unknown persons and rows that do not fire are passed over; linking brings the former back.

An event at which a reactor fails is found and parked, so that those after it are not held up. A reactor that fails at
everything stays where it is: that is a fault of ours, and parking would lose what it was to do. A batch for which the
database's time limit is too short is given in pieces."""

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any
from uuid import UUID

from django.db import connection

from events import log, poison
from events.models import ParkedEvent, ReactorCursor
from tenants.models import Brand
from tenants.scope import brand_scope

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event as reactors see it. Its person is known."""

    id: UUID
    occurred_at: datetime
    received_at: datetime
    type: str
    contact_id: int
    props: dict[str, Any]
    category: str | None
    product_id: str | None
    amount_fen: int | None
    dwell_seconds: int | None
    source: str
    fires: bool = True
    """False: an import of old events, to be counted but not to be reacted to"""


@dataclass(frozen=True, slots=True)
class Batch:
    """New events of one brand, in order of `occurred_at`. Later batches may hold earlier events."""

    brand_id: int
    rows: list[EventRow]
    at: datetime


@dataclass(frozen=True, slots=True)
class Reactor:
    """`handle` is called in the brand's scope with the events of `types` (None: all types). It must be harmless when an
    event comes again, and must not touch the network."""

    name: str
    types: frozenset[str] | Callable[[], frozenset[str]] | None
    """a function is asked for each batch, in the brand's scope"""
    handle: Callable[[Batch], None]
    limit: int = 2000
    """rows of the log read per transaction"""
    silent: bool = False
    """whether events that fire nothing (imports of old ones) are given too: for facts, never for reactions"""


@dataclass(frozen=True, slots=True)
class Progress:
    """What one call of `react` did."""

    read: int
    """rows of the log passed, of whatever type"""
    more: bool
    """there are probably further rows to read at once"""
    waiting: bool
    """there are rows above the horizon, or another process is reading: look again shortly"""


SIFTED_ROWS = 200
"""rows of the log read at once while looking for the bad ones: each is tried several times within a transaction"""
LONG_SECONDS = 20.0
"""a deadlock shows sooner: what fails after so long ran into the database's time limit (60 s), and would again"""
FAILING_FOR = timedelta(minutes=1)
"""so long a reactor that fails at all it is given is tried again before the events are blamed"""

REGISTRY: dict[str, Reactor] = {}


def register(reactor: Reactor) -> None:
    """Called from AppConfig.ready(). Names are unique: the name is the cursor's key."""
    if REGISTRY.setdefault(reactor.name, reactor) is not reactor:
        raise ValueError(f"There is a reactor named {reactor.name} already.")


def react(*, brand_id: int, reactor: str, at: datetime, horizon: int | None = None) -> Progress:
    """Give the reactor its next batch, and move its cursor in the same transaction. Opens its own scope.

    `horizon` is `events.log.horizon()` unless given: a test inside one open transaction passes its own txid + 1."""
    this, began = REGISTRY[reactor], time.monotonic()
    try:
        return _next(this, brand_id, at, horizon, this.limit)
    except poison.TRANSIENT:
        if time.monotonic() - began < LONG_SECONDS:
            raise
        logger.exception("events.reactor.too_long", extra={"brand": brand_id, "reactor": reactor})
        return _in_pieces(this, brand_id, at, horizon)


def _next(this: Reactor, brand_id: int, at: datetime, horizon: int | None, limit: int) -> Progress:
    try:
        with brand_scope(brand_id):
            return _read_on(this, brand_id, at, horizon, limit=limit, give=_all)
    except poison.TRANSIENT:
        raise
    except Exception as problem:
        logger.exception("events.reactor.failed", extra={"brand": brand_id, "reactor": this.name})
        return _without_the_bad(this, brand_id, at, horizon, problem)


def _in_pieces(this: Reactor, brand_id: int, at: datetime, horizon: int | None) -> Progress:
    """The rows of one batch a few at a time, each piece a transaction of its own. A failure at the first is noted."""
    read = 0
    for _piece in range(max(1, this.limit // SIFTED_ROWS)):
        try:
            done = _next(this, brand_id, at, horizon, min(this.limit, SIFTED_ROWS))
        except poison.TRANSIENT as problem:
            if not read:
                with brand_scope(brand_id):
                    _note_failing(this.name, brand_id, poison.told(problem), at)
            raise
        read += done.read
        if not done.more:
            break
    return Progress(read, done.more, done.waiting)


Give = Callable[[Reactor, Batch], None]


def _read_on(this: Reactor, brand_id: int, at: datetime, horizon: int | None, *, limit: int, give: Give) -> Progress:
    """Give the next batch, of at most `limit` rows of the log, and move the cursor. Scoped."""
    below = log.horizon() if horizon is None else horizon
    unread, waiting = _peek(this.name, brand_id, below)
    if not unread:
        return Progress(0, more=False, waiting=waiting)
    cursor = _claimed(this.name, brand_id, at)
    if cursor is None:
        return Progress(0, more=False, waiting=True)
    rows, passed, last = _window(this, brand_id, cursor, below, limit)
    if rows:
        give(this, Batch(brand_id, sorted(rows, key=attrgetter("occurred_at")), at))
    if last:
        _move(this.name, brand_id, last, at)
    return Progress(passed, more=passed == limit, waiting=waiting)


def _all(this: Reactor, batch: Batch) -> None:
    this.handle(batch)


def _without_the_bad(this: Reactor, brand_id: int, at: datetime, horizon: int | None, problem: Exception) -> Progress:
    """The next rows once more, fewer of them, with those parked at which the reactor fails.

    Raises `problem`, with nothing done, when the reactor and not the events seem to be at fault: it fails at many of
    them, or at all, and has not done so for FAILING_FOR yet."""
    try:
        with brand_scope(brand_id):
            return _read_on(this, brand_id, at, horizon, limit=min(this.limit, SIFTED_ROWS), give=_sifted)
    except poison.HopelessError:
        with brand_scope(brand_id):
            _note_failing(this.name, brand_id, poison.told(problem), at)
        raise problem from None


def _sifted(this: Reactor, batch: Batch) -> None:
    bad = poison.sift(lambda rows: this.handle(replace(batch, rows=rows)), batch.rows)
    if len(bad) == len(batch.rows) and not _has_failed_long(this.name, batch):
        raise poison.HopelessError
    ParkedEvent.objects.bulk_create(
        [
            ParkedEvent(
                brand_id=batch.brand_id,
                reactor=this.name,
                event_id=row.id,
                occurred_at=row.occurred_at,
                type=row.type,
                problem=poison.told(problem),
                parked_at=batch.at,
            )
            for row, problem in bad
        ],
        ignore_conflicts=True,
    )
    for row, problem in bad:
        ids = {"brand": batch.brand_id, "reactor": this.name, "event": str(row.id)}
        logger.error("events.reactor.parked", exc_info=problem, extra=ids)


def run(*, brand_id: int, at: datetime, batches: int | None = None) -> Progress:
    """Let every reactor read, at most `batches` each (None: to the end). Opens its own scopes.

    A reactor that fails is logged and stays where it is; the others go on."""
    read, more, waiting = 0, False, False
    for name in list(REGISTRY):
        try:
            progress = _run_one(brand_id=brand_id, reactor=name, at=at, batches=batches)
        except Exception:
            # A bug in one reactor must not stop the others. Its cursor has not moved: the sweep tries again, and
            # /readyz shows its age and its name.
            logger.exception("events.reactor.stuck", extra={"brand": brand_id, "reactor": name})
            continue
        read += progress.read
        more |= progress.more
        waiting |= progress.waiting
    return Progress(read, more, waiting)


def brands_with_unread() -> list[int]:
    """Ids of all brands for which some reactor has rows left to read. Opens each brand's scope in turn."""
    behind = []
    for brand_id in Brand.objects.order_by("id").values_list("id", flat=True):
        with brand_scope(brand_id):
            if first_unread(brand_id) is not None:
                behind.append(brand_id)
    return behind


def first_unread(brand_id: int) -> tuple[int, UUID] | None:
    """Key (txid, id) of the first row that some reactor has not read, above the horizon or below it. Scoped."""
    if not REGISTRY:
        return None
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT coalesce(c.txid, 0), coalesce(c.event_id, %s)
            FROM unnest(%s::text[]) AS name
            LEFT JOIN events_reactorcursor c ON c.brand_id = %s AND c.reactor = name
            ORDER BY 1, 2 LIMIT 1
            """,
            [_FIRST, list(REGISTRY), brand_id],
        )
        least = cursor.fetchone()
        cursor.execute(
            "SELECT txid, id FROM events_event WHERE brand_id = %s AND (txid, id) > (%s, %s) ORDER BY txid, id LIMIT 1",
            [brand_id, *least],
        )
        row = cursor.fetchone()
    return (int(row[0]), row[1]) if row else None


_FIRST = UUID(int=0)

_PEEK = """
    WITH cursor AS (
        SELECT coalesce(max(txid), 0) AS txid, coalesce((array_agg(event_id))[1], %(first)s) AS id
        FROM events_reactorcursor WHERE brand_id = %(brand)s AND reactor = %(reactor)s
    )
    SELECT
        EXISTS (SELECT FROM events_event e WHERE e.brand_id = %(brand)s AND e.txid < %(below)s
                AND (e.txid, e.id) > ((SELECT txid FROM cursor), (SELECT id FROM cursor))),
        EXISTS (SELECT FROM events_event e WHERE e.brand_id = %(brand)s AND e.txid >= %(below)s)
"""


def _run_one(*, brand_id: int, reactor: str, at: datetime, batches: int | None) -> Progress:
    read = 0
    while True:
        progress = react(brand_id=brand_id, reactor=reactor, at=at)
        read += progress.read
        if batches is not None:
            batches -= 1
        if not progress.more or batches == 0:
            return Progress(read, progress.more, progress.waiting)


def _peek(reactor: str, brand_id: int, below: int) -> tuple[bool, bool]:
    """(rows to read, rows above the horizon), asked without a lock: an idle reactor writes nothing."""
    with connection.cursor() as cursor:
        cursor.execute(_PEEK, {"first": _FIRST, "brand": brand_id, "reactor": reactor, "below": below})
        unread, waiting = cursor.fetchone()
    return bool(unread), bool(waiting)


def _claimed(reactor: str, brand_id: int, at: datetime) -> tuple[int, UUID] | None:
    """The cursor, locked until the end of the transaction; None while another process holds it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO events_reactorcursor (brand_id, reactor, txid, event_id, updated_at)"
            " VALUES (%s, %s, 0, %s, %s) ON CONFLICT DO NOTHING",
            [brand_id, reactor, _FIRST, at],
        )
        cursor.execute(
            "SELECT txid, event_id FROM events_reactorcursor WHERE brand_id = %s AND reactor = %s"
            " FOR UPDATE SKIP LOCKED",
            [brand_id, reactor],
        )
        row = cursor.fetchone()
    return (int(row[0]), row[1]) if row else None


_READ = """
    SELECT txid, id, contact_id IS NOT NULL AND (fires OR %s) AND (%s::text[] IS NULL OR type = ANY (%s)), occurred_at,
           received_at, type, contact_id, props, category, product_id, amount_fen, dwell_seconds, source, fires
    FROM events_event
    WHERE brand_id = %s AND (txid, id) > (%s, %s) AND txid < %s
    ORDER BY txid, id LIMIT %s
"""


def _window(
    reactor: Reactor, brand_id: int, cursor_at: tuple[int, UUID], below: int, limit: int
) -> tuple[list[EventRow], int, tuple[int, UUID] | None]:
    """(wanted rows, number of rows passed, key of the last one) behind the cursor and below the horizon."""
    wanted = reactor.types() if callable(reactor.types) else reactor.types
    types = sorted(wanted) if wanted is not None else None
    with connection.cursor() as cursor:
        cursor.execute(_READ, [reactor.silent, types, types, brand_id, *cursor_at, below, limit])
        read = cursor.fetchall()
    rows = [_row((key, *rest)) for _txid, key, wanted, *rest in read if wanted]
    return rows, len(read), (int(read[-1][0]), read[-1][1]) if read else None


def _move(reactor: str, brand_id: int, to: tuple[int, UUID], at: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE events_reactorcursor SET txid = %s, event_id = %s, updated_at = %s, failing_since = NULL,"
            " problem = '' WHERE brand_id = %s AND reactor = %s",
            [*to, at, brand_id, reactor],
        )


def rows_by_key(keys: Sequence[tuple[datetime, UUID]]) -> list[EventRow]:
    """Events by (occurred_at, id), as reactors see them; those that are gone or have no person are missing.
    Scoped."""
    if not keys:
        return []
    moments, ids = zip(*keys, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(_BY_KEY, [list(moments), list(map(str, ids))])
        return [_row(found) for found in cursor.fetchall()]


_BY_KEY = """
    SELECT e.id, e.occurred_at, e.received_at, e.type, e.contact_id, e.props, e.category, e.product_id, e.amount_fen,
           e.dwell_seconds, e.source, e.fires
    FROM unnest(%s::timestamptz[], %s::uuid[]) AS k (occurred_at, id)
    JOIN events_event e ON e.brand_id = current_setting('orchard.brand_id')::bigint
         AND e.occurred_at = k.occurred_at AND e.id = k.id
    WHERE e.contact_id IS NOT NULL
"""


def _row(found: Sequence[Any]) -> EventRow:
    key, occurred, received, kind, contact, props, *rest = found
    return EventRow(key, occurred, received, kind, contact, json.loads(props), *rest)


def _has_failed_long(reactor: str, batch: Batch) -> bool:
    since = ReactorCursor.objects.filter(reactor=reactor).values_list("failing_since", flat=True).first()
    return since is not None and batch.at - since >= FAILING_FOR


def _note_failing(reactor: str, brand_id: int, problem: str, at: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO events_reactorcursor AS c"
            " (brand_id, reactor, txid, event_id, updated_at, failing_since, problem)"
            " VALUES (%s, %s, 0, %s, %s, %s, %s) ON CONFLICT (brand_id, reactor) DO UPDATE"
            " SET failing_since = coalesce(c.failing_since, excluded.failing_since), problem = excluded.problem",
            [brand_id, reactor, _FIRST, at, at, problem],
        )
