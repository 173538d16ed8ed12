"""Finding the events at which a reactor fails, so that one of them does not hold up all that come after it."""

import traceback
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, transaction

Row = TypeVar("Row")

MOST = 20
"""events that may be parked out of one batch: when more fail, the reactor is broken and not the events"""
TRANSIENT = (OperationalError, InterfaceError)
"""deadlocks, lock time-outs, a lost connection: says nothing about the events, trying again is right"""


class HopelessError(Exception):
    """Too many of the batch's events fail: parking them would empty the log past a broken reactor."""


def sift(handle: Callable[[list[Row]], None], events: list[Row]) -> list[tuple[Row, Exception]]:
    """Let the reactor have all the events but those at which it fails, which are returned. In its scope.

    Halves what fails until single events remain; each piece is a savepoint, in the events' order. Raises HopelessError
    when there are more than MOST of them."""
    bad: list[tuple[Row, Exception]] = []

    def give(rows: list[Row]) -> None:
        try:
            with transaction.atomic():
                handle(rows)
        except TRANSIENT:
            raise
        except Exception as problem:
            if len(rows) > 1:
                half = len(rows) // 2
                give(rows[:half])
                give(rows[half:])
            elif len(bad) >= MOST:
                raise HopelessError from problem
            else:
                bad.append((rows[0], problem))

    give(events)
    return bad


def told(problem: BaseException) -> str:
    """The exception's class and where it was raised. Its text may name people: that goes to the process's log only."""
    frames = traceback.extract_tb(problem.__traceback__)
    place = f" ({frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno})" if frames else ""
    return f"{type(problem).__name__}{place}"[:200]
