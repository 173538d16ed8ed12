"""Writing the behaviour log, and how far it may be read.

Rows carry the id of the transaction that wrote (or later linked) them, plus the log's era. A reader takes only rows
below the *horizon*, the oldest transaction still running: whatever commits late is above it, so nothing is skipped."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID, uuid4
from zlib import crc32

from django.db import connection

from events import resolver, wake


@dataclass(slots=True)
class NewEvent:
    """One event to write. Give `contact_id`, or an `identity` (type, canonical value) for the resolver.

    `id` and `occurred_at` make the row's key: a retry must repeat both. Without an id one is drawn, and a repeat is
    another event: callers that may run twice pass `made_id(...)`."""

    type: str
    occurred_at: datetime
    id: UUID | None = None
    contact_id: int | None = None
    identity: tuple[str, str] | None = None
    props: dict[str, Any] = field(default_factory=dict)
    source: str = "system"
    """api, wecom, import or system"""
    fires: bool = True
    """False: counts in segments but reaches no reactor"""
    skew_ms: int | None = None
    """sender's clock minus ours"""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a batch: `new` are the ids now first written, `unlinked` those whose person is unknown yet."""

    written: int
    duplicates: int
    new: frozenset[UUID] = frozenset()
    unlinked: frozenset[UUID] = frozenset()


_INSERT = """
    INSERT INTO events_event (brand_id, txid, received_at, id, occurred_at, type, source, contact_id,
                              identity_type, identity_value, props, fires, skew_ms)
    SELECT %s, %s, %s, e.*
    FROM json_to_recordset(%s) AS e (a uuid, b timestamptz, c text, d text, e bigint, f text, g text, h jsonb,
                                     i boolean, j bigint)
    ON CONFLICT DO NOTHING
    RETURNING id
"""


def write(events: Sequence[NewEvent], *, at: datetime) -> Written:
    """Append the events, received `at`; rows that are there already stay as they are. Scoped.

    One multi-row insert whatever the number (keep it below some thousands). Wakes the brand's reactors on commit.
    `occurred_at` must lie in a month that has a partition (`events.partitions`), else the database refuses all."""
    if not events:
        return Written(0, 0)
    for event in events:
        event.id = event.id or uuid4()
    contacts = _contacts_of(events)
    brand_id, txid = _transaction()
    # In key order, so that two senders of the same events cannot deadlock.
    ordered = sorted(events, key=attrgetter("occurred_at", "id"))
    rows = json.dumps([_row(event, contacts) for event in ordered], ensure_ascii=False)
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, [brand_id, txid, at, rows])
        new = [row[0] for row in cursor.fetchall()]
    if new:
        wake.on_commit(brand_id)
    unlinked = frozenset(e.id for e in events if e.id and not e.contact_id and e.identity not in contacts)
    return Written(len(new), len(events) - len(new), frozenset(new), unlinked)


def write_select(*, select: str, params: Sequence[Any], at: datetime) -> int:
    """Append an event for each row of `select`, in one statement; returns how many were new. Scoped.

    `select` yields columns named `id` (uuid, made), `occurred_at`, `type`, `contact_id` and `props` (jsonb), with `%s`
    for `params`. The events' source is 'system'. Choose key ranges so that it ends within about a second."""
    brand_id, txid = _transaction()
    statement = f"""
        INSERT INTO events_event (brand_id, txid, received_at, source, fires, id, occurred_at, type, contact_id, props)
        SELECT %s, %s, %s, 'system', true, made.id, made.occurred_at, made.type, made.contact_id, made.props
        FROM ({select}) AS made
        ON CONFLICT DO NOTHING
    """  # noqa: S608 - the select is our own code's text; values are parameters
    with connection.cursor() as cursor:
        cursor.execute(statement, [brand_id, txid, at, *params])
        written = cursor.rowcount
    if written:
        wake.on_commit(brand_id)
    return int(written)


def link(found: Sequence[tuple[str, str, int]]) -> int:
    """Give events of yet unknown persons their contact: `found` is (identity type, canonical value, contact id).

    Scoped; call it in the transaction that stored the identities, after storing them, with all of them at once. The
    linked rows get this transaction's id, so reactors meet them as new. Returns how many events were linked."""
    if not found:
        return 0
    # A writer that did not find the identity yet holds this lock until its rows are there for us to see.
    _lock_identities({(kind, value) for kind, value, _contact in found}, shared=False)
    brand_id, txid = _transaction()
    if not _has_unlinked(brand_id):
        return 0
    kinds, values, contacts = zip(*found, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE events_event SET contact_id = found.contact_id, txid = %s
            FROM unnest(%s::text[], %s::text[], %s::bigint[]) AS found (type, value, contact_id)
            WHERE events_event.brand_id = %s AND events_event.contact_id IS NULL
              AND events_event.identity_type = found.type AND events_event.identity_value = found.value
            """,
            [txid, list(kinds), list(values), list(contacts), brand_id],
        )
        linked = cursor.rowcount
    if linked:
        wake.on_commit(brand_id)
    return int(linked)


def current_txid() -> int:
    """The number that rows written by this transaction carry: era + pg_current_xact_id(). Scoped."""
    return _transaction()[1]


def horizon() -> int:
    """Every row below this number is committed or never will be: era + pg_snapshot_xmin(pg_current_snapshot()).

    Ask before reading, in a statement of its own, and read `txid < horizon`."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce((SELECT era FROM events_logera WHERE id = 1), 0)"
            " + pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
        )
        return int(cursor.fetchone()[0])


def _transaction() -> tuple[int, int]:
    """(brand of the scope, txid of this transaction): asked once and passed in, so that an INSERT … SELECT that runs
    on another node carries the same number."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('orchard.brand_id')::bigint,"
            " coalesce((SELECT era FROM events_logera WHERE id = 1), 0) + pg_current_xact_id()::text::bigint"
        )
        brand_id, txid = cursor.fetchone()
    return int(brand_id), int(txid)


def _contacts_of(events: Sequence[NewEvent]) -> dict[tuple[str, str], int]:
    """The contacts behind the identities of events that do not name theirs."""
    wanted = {event.identity for event in events if event.identity and event.contact_id is None}
    contacts = resolver.resolve(wanted)
    unknown = wanted - contacts.keys()
    if unknown:
        # Somebody may be storing one of these just now, and linked before our rows can be seen. Wait for them and ask
        # again, or make them wait for us: else the events would stay without a contact for ever.
        _lock_identities(unknown, shared=True)
        contacts |= resolver.resolve(unknown)
    return contacts


def _has_unlinked(brand_id: int) -> bool:
    """Whether any event of the brand waits for its person: a first sync links thousands to an empty log."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM events_event WHERE brand_id = %s AND contact_id IS NULL)", [brand_id]
        )
        return bool(cursor.fetchone()[0])


_LOCK_SPACE = 0x6C6F67
_BUCKETS = 64
"""Identities share so many locks per brand: a batch of new persons must not fill PostgreSQL's lock table."""


def _lock_identities(identities: set[tuple[str, str]], *, shared: bool) -> None:
    """Hold the identities' locks until the end of the transaction, taken in one order so that no two can deadlock."""
    buckets = sorted({crc32(f"{kind}:{value}".encode()) % _BUCKETS for kind, value in identities})
    function = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {function}((%s::bigint << 40) + (current_setting('orchard.brand_id')::bigint << 8) + bucket)"  # noqa: S608
            " FROM unnest(%s::bigint[]) AS bucket",
            [_LOCK_SPACE, buckets],
        )


def _row(event: NewEvent, contacts: dict[tuple[str, str], int]) -> dict[str, Any]:
    """The event as the insert's record; the short names keep a batch of 500 small."""
    identity = event.identity
    contact_id = event.contact_id
    if contact_id is None and identity:
        contact_id = contacts.get(identity)
    return {
        "a": str(event.id),
        "b": event.occurred_at.isoformat(),
        "c": event.type,
        "d": event.source,
        "e": contact_id,
        "f": identity[0] if identity else None,
        "g": identity[1] if identity else None,
        "h": event.props,
        "i": event.fires,
        "j": event.skew_ms,
    }
