"""Waking a brand's reactors through the queue: one waiting message per brand, however many batches arrive."""

import logging

from celery import current_app
from django.core.cache import cache
from django.db import transaction

logger = logging.getLogger(__name__)

QUEUED_FOR_SECONDS = 10
"""A lost message keeps a brand from being woken for so long at most; a queue longer than this gets a second one."""


def on_commit(brand_id: int) -> None:
    """Wake the brand when the present transaction commits. A broker that is down costs seconds, not events: the sweep
    finds what is unread."""
    transaction.on_commit(lambda: now(brand_id), robust=True)


def now(brand_id: int, *, after_seconds: float = 0, **details: int) -> bool:
    """Queue `events.tasks.react_brand`, unless one is queued already; tells whether it did."""
    # Set only if absent: a thousand batches in one second are one message.
    if not cache.add(_flag(brand_id), 1, timeout=QUEUED_FOR_SECONDS):
        return False
    current_app.send_task(
        "events.tasks.react_brand",
        kwargs={"brand_id": brand_id, **details},
        countdown=after_seconds or None,
    )
    return True


def taken(brand_id: int) -> None:
    """The queued message has arrived. Called before reading, so that whoever commits from here on queues another."""
    cache.delete(_flag(brand_id))


def _flag(brand_id: int) -> str:
    return f"events:queued:{brand_id}"
