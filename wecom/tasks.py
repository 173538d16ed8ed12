"""Doors from Celery into the inbox."""

import time
from collections.abc import Callable
from contextlib import suppress
from uuid import uuid4

import redis
from celery import shared_task
from django.db import connection
from django.utils import timezone

from tenants.models import Brand
from wecom import draining, inbox, store, waking
from wecom.models import CallbackEndpoint

PORTIONS = 4
"""claims of one task; then other work of the queue gets its turn"""
TURN_SECONDS = 10
"""after so long it does so earlier: where WeCom answers slowly, one brand's flood must not hold the workers"""
GREET_AGAIN = 3
"""seconds"""
LOCK_SECONDS = 60
"""Renewed between portions. The lock of a killed worker holds up the brand no longer than this; where a handler takes
longer, a second drain may begin beside it, which costs the order but does no item twice."""

_RENEW = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('expire', KEYS[1], ARGV[2]) end return 0"
_RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"


@shared_task(acks_late=True)
def drain_inbox(*, brand_id: int, **_later_args: object) -> None:
    """Handle a brand's due callbacks, one drain per brand at a time; a long queue goes on in the next task.

    The lock keeps order and fairness; that no item is handled twice at once is the row's claim. So without Redis, or
    when it loses the lock, nothing worse happens than that two drains share the items."""
    # The database's name is in it: two installations may share a Redis.
    lock, mine = f"wecom:drain:{connection.settings_dict['NAME']}:{brand_id}", uuid4().hex
    locks = store.connection()
    try:
        if not locks.set(lock, mine, nx=True, ex=LOCK_SECONDS):
            return
    except redis.RedisError as trouble:
        store.note_away(trouble)

    def renew() -> None:
        with suppress(redis.RedisError):
            locks.eval(_RENEW, 1, lock, mine, LOCK_SECONDS)

    try:
        handled = _some_portions(brand_id, renew)
    finally:
        with suppress(redis.RedisError):
            locks.eval(_RELEASE, 1, lock, mine)
    # Looked at again after the release: who came while we held the lock has left it to us.
    waking.began(drain_inbox, brand_id=brand_id)
    if draining.has_due(brand_id=brand_id, at=timezone.now()):
        # What is due and could not be taken is held by somebody for a moment.
        drain_inbox.apply_async(kwargs={"brand_id": brand_id}, countdown=0 if handled else 1)


def _some_portions(brand_id: int, renew: Callable[[], object]) -> int:
    handled, until = 0, time.monotonic() + TURN_SECONDS
    for _portion in range(PORTIONS):
        waking.began(drain_inbox, brand_id=brand_id)
        some = draining.drain_some(brand_id=brand_id, clock=timezone.now, alive=renew)
        handled += some
        if some == 0 or time.monotonic() > until:
            break
    return handled


@shared_task(acks_late=True)
def greet_inbox(*, brand_id: int, **_later_args: object) -> None:
    """Take up the brand's WelcomeCodes. Runs in a queue of its own: each is dead after 20 seconds."""
    waking.began(greet_inbox, brand_id=brand_id)
    while draining.greet_some(brand_id=brand_id):
        waking.began(greet_inbox, brand_id=brand_id)
    if draining.has_welcome(brand_id=brand_id):  # WeCom was out of reach: once more while the code lives
        greet_inbox.apply_async(kwargs={"brand_id": brand_id}, countdown=GREET_AGAIN)


@shared_task
def sweep_inbox(**_later_args: object) -> None:
    """Wake the drain of every brand with due callbacks: retries, and what a lost message left behind."""
    for brand_id in CallbackEndpoint.objects.values_list("brand_id", flat=True).distinct():
        if draining.has_welcome(brand_id=brand_id):
            waking.ask(greet_inbox, brand_id=brand_id)
        draining.mend_clock(brand_id=brand_id, at=timezone.now())
        if draining.has_due(brand_id=brand_id, at=timezone.now()):
            waking.ask(drain_inbox, brand_id=brand_id)


@shared_task
def clean_inbox(**_later_args: object) -> None:
    """Delete what was handled long ago (`inbox.KEPT`)."""
    for brand_id in Brand.objects.order_by("pk").values_list("pk", flat=True):
        inbox.sweep_old(brand_id=brand_id, at=timezone.now())
