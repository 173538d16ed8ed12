"""Thin doors for Celery."""

from celery import shared_task
from django.utils import timezone

from tagging import expiry
from tagging.corp import marking
from tagging.rules import rerun, spells
from tagging.segments import due
from tenants.models import Brand
from tenants.scope import brand_scope
from wecom.client import client_for
from wecom.errors import WeComError

STEP = 5000
TURNS = 5
"""transactions of about a second at most; then the brand goes to the end of the queue"""


@shared_task
def sweep_expired(**_later_args: object) -> None:
    """Remove every brand's expired tags, a few thousand a transaction."""
    for brand_id in Brand.objects.order_by("id").values_list("id", flat=True):
        swept = STEP
        while swept == STEP:
            with brand_scope(brand_id):
                swept = expiry.sweep(brand_id=brand_id, at=timezone.now(), limit=STEP)


@shared_task
def tick(**_later_args: object) -> None:
    """Hand out the brands whose segments wait for a look: a moment has come, a row was changed, a fill goes on."""
    for brand_id in Brand.objects.order_by("id").values_list("id", flat=True):
        with brand_scope(brand_id):
            is_waiting = due.waits(brand_id=brand_id, at=timezone.now())
            corps = marking.due(at=timezone.now())
            has_runs = bool(rerun.open_runs()) or spells.waits(at=timezone.now())
        if is_waiting:
            follow_segments.apply_async(kwargs={"brand_id": brand_id}, expires=60)
        for corp_id in corps:
            mark_corp.apply_async(kwargs={"brand_id": brand_id, "corp_id": corp_id}, expires=60)
        if has_runs:
            go_on.apply_async(kwargs={"brand_id": brand_id}, expires=60)


@shared_task
def follow_segments(*, brand_id: int, **_later_args: object) -> None:
    """Look at whoever waits in the brand's dynamic segments."""
    for _turn in range(TURNS):
        if not due.work(brand_id=brand_id, at=timezone.now()):
            return
    follow_segments.apply_async(kwargs={"brand_id": brand_id}, expires=60)


@shared_task
def go_on(*, brand_id: int, **_later_args: object) -> None:
    """Bring the brand's long runs some ranges further, and look at those whose lifecycle moment has come."""
    for _turn in range(TURNS):
        with brand_scope(brand_id):
            looked = spells.look_at_due(at=timezone.now()) if spells.waits(at=timezone.now()) else 0
            runs = [run.pk for run in rerun.open_runs()]
        for run_id in runs:
            rerun.advance(brand_id=brand_id, run_id=run_id, now=timezone.now())
        if not looked and not runs:
            return


@shared_task
def mark_corp(*, brand_id: int, corp_id: int, **_later_args: object) -> None:
    """Bring a corp's tags and ours some steps closer; one worker a corp."""
    at = timezone.now()
    if not marking.take_up(brand_id=brand_id, corp_id=corp_id, at=at):
        return
    try:
        wecom = client_for(brand_id=brand_id, corp_id=corp_id)
    except WeComError as error:  # not connected any more since it was handed out
        marking.put_off(brand_id=brand_id, corp_id=corp_id, error=error, at=at)
        return
    marking.work(brand_id=brand_id, corp_id=corp_id, wecom=wecom, at=at)
