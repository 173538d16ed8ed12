"""The brand scope: which brand's rows a transaction may see.

Row-level security compares every tenant row's `brand_id` with the setting `orchard.brand_id` of the transaction.
Outside a scope a tenant table raises, so a forgotten scope is an error someone sees."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from django.db import connection, transaction

T = TypeVar("T")
_kept: ContextVar[dict[str, Any] | None] = ContextVar("kept_in_scope", default=None)


@contextmanager
def brand_scope(brand_id: int) -> Iterator[None]:
    """One durable transaction in which exactly this brand's rows exist. Nesting it raises RuntimeError."""
    with transaction.atomic(durable=True):
        _set(str(int(brand_id)))
        token = _kept.set({})
        try:
            yield
        finally:
            _kept.reset(token)
        if connection.savepoint_ids:
            # Only inside a test's outer transaction: SET LOCAL would outlive the block there. On an error the
            # rollback restores it, and clearing here would hide that error behind an aborted transaction.
            _set("")


def current_brand_id() -> int:
    """The brand of the scope we are in; raises a database error outside one."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('orchard.brand_id')::bigint")
        return int(cursor.fetchone()[0])


def is_open() -> bool:
    """Whether we are in a brand's scope."""
    return _kept.get() is not None


def kept(key: str, make: Callable[[], T]) -> T:
    """What `make` gives, asked once per scope: for small things that many rows of one act need. Scoped."""
    memory = _kept.get()
    if memory is None:
        return make()
    if key not in memory:
        memory[key] = make()
    found: T = memory[key]
    return found


def forget(key: str) -> None:
    """Ask again: what `kept` remembers has changed in this scope."""
    (_kept.get() or {}).pop(key, None)


def _set(value: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL orchard.brand_id = %s", [value])
