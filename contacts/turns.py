"""Whose turn a sync run is: a hint in the cache that keeps workers from reading the same pages.

Only a hint, and losing it does no harm: that two of them never both write is the cursor's doing."""

import os
import threading

from django.core.cache import cache
from django.db import connection

ALIVE_SECONDS = 15
"""a worker that has not written for so long is taken for dead"""


def claim(run_id: int) -> None:
    """This thread has the run in hand."""
    cache.set(_key(run_id), _me(), timeout=ALIVE_SECONDS)


def is_taken(run_id: int) -> bool:
    """Whether any worker wrote for this run within the last seconds."""
    return cache.get(_key(run_id)) is not None


def somebody_else(run_id: int) -> bool:
    """Whether another worker did."""
    return cache.get(_key(run_id)) not in (None, _me())


def end(run_id: int) -> None:
    """Nobody has the run in hand: it is over."""
    cache.delete(_key(run_id))


def leave(run_id: int) -> None:
    """Let another worker go on with the run at once."""
    if not somebody_else(run_id):
        end(run_id)


def _key(run_id: int) -> str:
    # Several databases (the tests', say) may share one cache.
    return f"contacts-sync:{connection.settings_dict['NAME']}:{run_id}"


def _me() -> str:
    return f"{os.getpid()}:{threading.get_ident()}"
