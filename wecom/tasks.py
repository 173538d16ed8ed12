"""Doors from Celery into the inbox."""

from uuid import uuid4

from celery import shared_task
from django.utils import timezone

from wecom import inbox
from wecom.models import CallbackEndpoint
from wecom.store import connection

BATCH = 50
LOCK_SECONDS = 240
"""longer than the slowest handler may take; renewed before each item"""

_RENEW = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('expire', KEYS[1], ARGV[2]) end return 0"
_RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"


@shared_task(acks_late=True)
def drain_inbox(*, brand_id: int, **_later_args: object) -> None:
    """Handle a brand's due callbacks, one drain per brand at a time; a long queue goes on in the next task.

    The lock keeps order and fairness; that no item is handled twice at once is the row's claim."""
    lock, mine = f"wecom:drain:{brand_id}", uuid4().hex
    store = connection()
    # Looked at again after the release: who came while we held the lock has left it to us.
    while inbox.has_due(brand_id=brand_id, at=timezone.now()):
        if not store.set(lock, mine, nx=True, ex=LOCK_SECONDS):
            return
        try:
            for _turn in range(BATCH):
                store.eval(_RENEW, 1, lock, mine, LOCK_SECONDS)
                if not inbox.drain_one(brand_id=brand_id, clock=timezone.now):
                    break
            else:
                drain_inbox.delay(brand_id=brand_id)
                return
        finally:
            store.eval(_RELEASE, 1, lock, mine)


@shared_task
def sweep_inbox(**_later_args: object) -> None:
    """Wake the drain of every brand with due callbacks: retries, and what a lost message left behind."""
    for brand_id in CallbackEndpoint.objects.values_list("brand_id", flat=True).distinct():
        if inbox.has_due(brand_id=brand_id, at=timezone.now()):
            drain_inbox.delay(brand_id=brand_id)
