"""Reactors for tests, and people who write the log from threads of their own."""

import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, connections

from contacts.oneid.identity import Claim, Draft, attach
from events.log import NewEvent
from events.reactors import Batch, EventRow, Progress, Reactor, run
from tenants.scope import brand_scope
from tests.cast import NOON


class Heard:
    """What a reactor was given, in the order it was given."""

    def __init__(self) -> None:
        self.rows: list[EventRow] = []

    @property
    def ids(self) -> list[UUID]:
        return [row.id for row in self.rows]

    def reactor(self, name: str, types: frozenset[str] | None = None, limit: int = 2000) -> Reactor:
        return Reactor(name, types, self.note, limit)

    def note(self, batch: Batch) -> None:
        self.rows += batch.rows


def read_all(brand_id: int, at: datetime = NOON) -> Progress:
    """Run the reactors until nothing lies above the horizon: any writer in the cluster may hold it back for a while."""
    for _ in range(6_000):
        progress = run(brand_id=brand_id, at=at)
        if not progress.waiting:
            return progress
        threading.Event().wait(0.01)
    raise AssertionError("some transaction in this cluster has held back the horizon for a minute")


def event(type: str, at: datetime, contact_id: int | None = None, **fields: Any) -> NewEvent:
    return NewEvent(type=type, occurred_at=at, contact_id=contact_id, **fields)


def known_as(brand_id: int, key: tuple[str, str], at: datetime) -> int:
    """Store an identity with a new contact, as a sync would; returns the contact's id."""
    with brand_scope(brand_id):
        return attach(claims=[Claim((key,), Draft(name="周周"))], at=at).contact_ids[0]


def in_thread(act: Callable[[], None]) -> threading.Thread:
    """Run `act` with a database connection of its own."""

    def run() -> None:
        try:
            act()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def wait_until_locked(pid: int) -> None:
    """Poll until the backend waits for a lock; asks on the caller's connection."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute("SELECT wait_event_type FROM pg_stat_activity WHERE pid = %s", [pid])
            row = cursor.fetchone()
        if row and row[0] == "Lock":
            return
        threading.Event().wait(0.005)
    raise AssertionError(f"backend {pid} never waited for a lock")


def backend_pid() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])
