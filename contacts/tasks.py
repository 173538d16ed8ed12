"""Doors for Celery: full syncs, one at a time per corp, in steps that enqueue the next."""

import logging
import time
from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from contacts import health, reconcile, sync, turns
from contacts.models import SyncRun
from tenants import statistics
from wecom.client import client_for
from wecom.errors import Misconfigured, Throttled, Unreachable, WeComError

logger = logging.getLogger(__name__)

TURN_SECONDS = 10
"""then other work of the queue gets its turn: a welcome must leave within 20 s"""


@shared_task(acks_late=True)
def sync_corp(*, brand_id: int, corp_id: int, **_later_args: object) -> None:
    """Start or go on with the corp's full sync. A run that another worker has in hand is left to it."""
    try:
        wecom = client_for(brand_id=brand_id, corp_id=corp_id)
    except Misconfigured as ended:  # the corp was disconnected since this was enqueued
        logger.info("contacts.sync.not_connected", extra={"brand": brand_id, "reason": ended.problem_code})
        return
    run_id = sync.start(brand_id=brand_id, corp_id=corp_id, at=timezone.now())
    if turns.is_taken(run_id):
        return
    try:
        until = time.monotonic() + TURN_SECONDS
        while time.monotonic() < until:
            if not sync.advance(brand_id=brand_id, run_id=run_id, wecom=wecom, at=timezone.now()):
                statistics.refresh(sync.SYNCED)
                return
    except sync.Overtaken:
        return
    except (Throttled, Unreachable) as trouble:
        # sync_due comes back to a run that is not over, every minute.
        logger.warning("contacts.sync.waits", extra={"brand": brand_id, "run": run_id, "reason": trouble.problem_code})
        return
    turns.leave(run_id)
    sync_corp.delay(brand_id=brand_id, corp_id=corp_id)


@shared_task(acks_late=True)
def sync_due(**_later_args: object) -> None:
    """Enqueue the syncs that are due: a run left unfinished, or the last one too long ago."""
    for state in health.last_syncs(at=timezone.now()):
        if state.is_due(every=timedelta(hours=24), after_trouble=timedelta(hours=1)):
            sync_corp.delay(brand_id=state.brand_id, corp_id=state.corp_id)


@shared_task(acks_late=True)
def reconcile_corp(*, brand_id: int, corp_id: int, **_later_args: object) -> None:
    """Compare some guides' lists with our rows, and mend what callbacks lost."""
    try:
        wecom = client_for(brand_id=brand_id, corp_id=corp_id)
        reconcile.step(brand_id=brand_id, corp_id=corp_id, wecom=wecom, clock=timezone.now)
    except WeComError as trouble:  # reconcile_due comes again in five minutes
        ids = {"brand": brand_id, "corp": corp_id, "reason": trouble.problem_code}
        logger.warning("contacts.reconcile.waits", extra=ids)


@shared_task(acks_late=True)
def reconcile_due(**_later_args: object) -> None:
    """Enqueue the comparing of every corp that was synced and is not being synced."""
    for state in health.last_syncs(at=timezone.now()):
        if state.complete_age is not None and state.status != SyncRun.Status.RUNNING:
            reconcile_corp.apply_async(
                kwargs={"brand_id": state.brand_id, "corp_id": state.corp_id},
                expires=reconcile.EVERY.total_seconds(),
            )
