"""Doing an act again that the database has undone so that another could go on."""

import logging
from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError
from psycopg2.errors import (  # type: ignore[import-untyped]
    DeadlockDetected,
    LockNotAvailable,
    QueryCanceled,
    SerializationFailure,
)

logger = logging.getLogger(__name__)

T = TypeVar("T")
ATTEMPTS = 3


def was_undone(error: OperationalError) -> bool:
    """Whether the database ended the transaction for another's sake: nothing of it was kept, and it may be tried again.

    PostgreSQL 40P01 (deadlock) and 40001 (serialization). A lost connection is neither: it may have committed."""
    return isinstance(error.__cause__, DeadlockDetected | SerializationFailure)


def is_busy(error: OperationalError) -> bool:
    """Whether the database gave up waiting, for a lock or for the end of a statement; the transaction is undone."""
    return was_undone(error) or isinstance(error.__cause__, LockNotAvailable | QueryCanceled)


def until_done(act: Callable[[], T], *, attempts: int = ATTEMPTS) -> T:
    """What `act` returns, one whole transaction with no effect outside it. Raises the last error as it came."""
    for _attempt in range(attempts - 1):
        try:
            return act()
        except OperationalError as error:
            if not was_undone(error):
                raise
            logger.info("transaction.undone")
    return act()
