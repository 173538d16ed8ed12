"""Doors from Celery into the inbox."""

from uuid import uuid4

from celery import shared_task
from django.db import connection
from django.utils import timezone

from wecom import inbox, store
from wecom.models import CallbackEndpoint

BATCH = 50
LOCK_SECONDS = 45
"""Renewed before each item. The lock of a killed worker holds up the brand no longer than this; where a handler takes
longer, a second drain may begin beside it, which costs the order but does no item twice."""

_RENEW = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('expire', KEYS[1], ARGV[2]) end return 0"
_RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"


@shared_task(acks_late=True)
def drain_inbox(*, brand_id: int, **_later_args: object) -> None:
    """Handle a brand's due callbacks, one drain per brand at a time; a long queue goes on in the next task.

    The lock keeps order and fairness; that no item is handled twice at once is the row's claim."""
    # The database's name is in it: two installations may share a Redis.
    lock, mine = f"wecom:drain:{connection.settings_dict['NAME']}:{brand_id}", uuid4().hex
    locks = store.connection()
    # Looked at again after each release: who came while we held the lock has left it to us.
    while inbox.has_due(brand_id=brand_id, at=timezone.now()):
        if not locks.set(lock, mine, nx=True, ex=LOCK_SECONDS):
            return
        try:
            handled = 0
            while handled < BATCH and inbox.drain_one(brand_id=brand_id, clock=timezone.now):
                handled += 1
                locks.eval(_RENEW, 1, lock, mine, LOCK_SECONDS)
        finally:
            locks.eval(_RELEASE, 1, lock, mine)
        if handled == BATCH:
            drain_inbox.delay(brand_id=brand_id)
        if handled in (0, BATCH):  # 0: what is due is being claimed elsewhere this moment
            return


@shared_task
def sweep_inbox(**_later_args: object) -> None:
    """Wake the drain of every brand with due callbacks: retries, and what a lost message left behind."""
    for brand_id in CallbackEndpoint.objects.values_list("brand_id", flat=True).distinct():
        if inbox.has_due(brand_id=brand_id, at=timezone.now()):
            drain_inbox.delay(brand_id=brand_id)
