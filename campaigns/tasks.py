"""What outreach does by itself. `tick` asks each brand's tables what is due and hands it out; tasks may run twice."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from celery import shared_task
from celery.contrib.django.task import DjangoTask
from django.db.models import QuerySet
from django.utils import timezone

from campaigns.confirming import confirm, reminding
from campaigns.dispatch import dispatch, lost_answers, results
from campaigns.models import Batch, Channel, Push
from campaigns.moments import moments
from campaigns.planning import plan
from campaigns.pushes import pushes, release
from campaigns.sop import sop
from scrm.lib.errors import DomainError
from tenants.models import Brand
from tenants.scope import brand_scope
from wecom.client import client_for

logger = logging.getLogger(__name__)
Status = Batch.Status

A_TURN = 200
HANDED_OUT = timedelta(seconds=60)
"""a row handed to a worker is not handed out again before; by then its message is void"""


@shared_task
def tick(**_later_args: object) -> None:
    """Plan, send, reconcile, poll and advance whatever is due in any brand."""
    for brand_id in Brand.objects.order_by("pk").values_list("pk", flat=True):
        try:
            hand_out(brand_id=brand_id, at=timezone.now())
        except Exception:  # a brand's trouble is not the next brand's
            logger.exception("campaigns.tick.failed", extra={"brand": brand_id})


@shared_task
def plan_push(*, brand_id: int, push_id: int, **_later_args: object) -> None:
    """Plan a push whose time has come."""
    plan.plan(brand_id=brand_id, push_id=push_id, at=timezone.now())


@shared_task
def wind_up_push(*, brand_id: int, push_id: int, **_later_args: object) -> None:
    """Bring a push that was cancelled, or whose plan failed, to its end."""
    confirm.wind_up(brand_id=brand_id, push_id=push_id, at=timezone.now())


@shared_task
def send_batch(*, brand_id: int, batch_id: str, **_later_args: object) -> None:
    """Give a batch to WeCom; a Moments batch is brought one step further."""
    is_more = _with_wecom(brand_id, batch_id, {Channel.MOMENTS: moments.advance}, dispatch.send)
    if is_more:
        send_batch.delay(brand_id=brand_id, batch_id=batch_id)


@shared_task
def reconcile_batch(*, brand_id: int, batch_id: str, **_later_args: object) -> None:
    """Find out what became of a batch in an unknown state."""
    _with_wecom(brand_id, batch_id, {Channel.MOMENTS: moments.reconcile}, lost_answers.reconcile)


@shared_task
def follow_batch(*, brand_id: int, batch_id: str, **_later_args: object) -> None:
    """Ask WeCom how far a task is; take it back if its guide had their time, or its push was cancelled."""
    _with_wecom(brand_id, batch_id, {}, confirm.follow)


@shared_task
def remind_push(*, brand_id: int, reminder_id: int, **_later_args: object) -> None:
    """Remind the guides of a push, as somebody has asked."""
    reminding.carry_out(brand_id=brand_id, reminder_id=reminder_id, at=timezone.now())


def hand_out(*, brand_id: int, at: datetime) -> None:
    """Collect what is due in a brand, put its next look off, and enqueue it when that is committed. Opens its scope.

    Nothing is lost with a message: what it was about is due again in a minute. Two at once share the rows."""
    with brand_scope(brand_id):
        dispatch.find_stale(at=at)
        results.finish(at=at)
        sop.advance(at=at)
        for push_id in pushes.due(at=at):
            _enqueue(plan_push, brand_id=brand_id, push_id=push_id)
        stopped = Push.objects.filter(status__in=release.STOPPED, done_at=None)
        for push_id in stopped.values_list("pk", flat=True):
            _enqueue(wind_up_push, brand_id=brand_id, push_id=push_id)
        for reminder_id in reminding.due(at=at, again_at=at + HANDED_OUT):
            _enqueue(remind_push, brand_id=brand_id, reminder_id=reminder_id)
        to_send = Batch.objects.filter(status=Status.PENDING, push__status=Push.Status.SENDING)
        with_job = Batch.objects.filter(status=Status.CLAIMED).exclude(jobid="")
        _take(send_batch, to_send, "due_at", brand_id, at)
        _take(send_batch, with_job, "due_at", brand_id, at)
        _take(reconcile_batch, Batch.objects.filter(status=Status.UNKNOWN), "due_at", brand_id, at)
        made = Batch.objects.filter(status__in=[Status.CREATED, Status.FINAL])
        _take(follow_batch, made, "poll_due_at", brand_id, at)


def _take(task: DjangoTask, rows: QuerySet[Batch], column: str, brand_id: int, at: datetime) -> None:
    """Enqueue the task for the rows that are due; another tick passes over rows that this one holds."""
    due = rows.filter(**{f"{column}__lte": at}).order_by(column)
    ids = list(due.select_for_update(of=("self",), skip_locked=True).values_list("pk", flat=True)[:A_TURN])
    if ids:
        Batch.objects.filter(pk__in=ids).update(**{column: at + HANDED_OUT})
    for batch_id in ids:
        _enqueue(task, brand_id=brand_id, batch_id=str(batch_id))


def _enqueue(task: DjangoTask, **kwargs: object) -> None:
    task.apply_async_on_commit(kwargs=kwargs, expires=HANDED_OUT.total_seconds())


def _with_wecom(
    brand_id: int, batch_id: str, by_channel: dict[str, Callable[..., Any]], usual: Callable[..., Any]
) -> Any:
    """Do the batch's work with its corp's client. A refusal of WeCom's is logged: the row is due again in a minute."""
    with brand_scope(brand_id):
        batch = Batch.objects.select_related("push").filter(pk=batch_id).first()
    if batch is None:
        return None
    work = by_channel.get(batch.push.channel, usual)
    try:
        wecom = client_for(brand_id=brand_id, corp_id=batch.corp_id)
        return work(brand_id=brand_id, batch_id=UUID(batch_id), wecom=wecom, at=timezone.now())
    except DomainError as error:
        logger.warning("campaigns.batch.put_off", extra={"batch": batch_id, "code": error.problem_code})
        return None
