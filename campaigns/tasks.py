"""What outreach does by itself. `tick` asks each brand's tables what is due and hands it out; tasks may run twice."""

from datetime import datetime, timedelta
from uuid import UUID

from celery import shared_task
from django.db.models import QuerySet
from django.utils import timezone

from campaigns import confirm, dispatch, moments, plan, results, sop
from campaigns.models import Batch, Channel, Push
from campaigns.reasons import Reason
from tenants.models import Brand
from tenants.scope import brand_scope
from wecom.client import WeComClient, client_for

A_TURN = 200
HANDED_OUT = timedelta(seconds=60)
"""a row handed to a worker is not handed out again before"""


@shared_task
def tick(**_later_args: object) -> None:
    """Plan, send, reconcile, poll and advance whatever is due in any brand."""
    for brand_id in Brand.objects.order_by("pk").values_list("pk", flat=True):
        with brand_scope(brand_id):
            _hand_out(brand_id, timezone.now())


@shared_task
def plan_push(*, brand_id: int, push_id: int, **_later_args: object) -> None:
    """Plan a push whose time has come."""
    plan.plan(brand_id=brand_id, push_id=push_id, at=timezone.now())


@shared_task
def send_batch(*, brand_id: int, batch_id: str, **_later_args: object) -> None:
    """Give a batch to WeCom."""
    wecom, channel = _wecom_of(brand_id, batch_id)
    if wecom is None:
        return
    if channel != Channel.MOMENTS:
        dispatch.send(brand_id=brand_id, batch_id=UUID(batch_id), wecom=wecom, at=timezone.now())
        return
    if moments.advance(brand_id=brand_id, batch_id=UUID(batch_id), wecom=wecom, at=timezone.now()):
        send_batch.delay(brand_id=brand_id, batch_id=batch_id)


@shared_task
def reconcile_batch(*, brand_id: int, batch_id: str, **_later_args: object) -> None:
    """Find out what became of a batch in an unknown state."""
    wecom, channel = _wecom_of(brand_id, batch_id)
    if wecom is not None:
        reconcile = moments.reconcile if channel == Channel.MOMENTS else dispatch.reconcile
        reconcile(brand_id=brand_id, batch_id=UUID(batch_id), wecom=wecom, at=timezone.now())


@shared_task
def poll_batch(*, brand_id: int, batch_id: str, **_later_args: object) -> None:
    """Ask WeCom for a batch's results."""
    wecom, channel = _wecom_of(brand_id, batch_id)
    if wecom is not None:
        poll = moments.poll if channel == Channel.MOMENTS else results.poll
        poll(brand_id=brand_id, batch_id=UUID(batch_id), wecom=wecom, at=timezone.now())


@shared_task
def close_batch(*, brand_id: int, batch_id: str, **_later_args: object) -> None:
    """Take back a task whose guide had their time, or whose push was cancelled."""
    wecom, _channel = _wecom_of(brand_id, batch_id)
    if wecom is None:
        return
    with brand_scope(brand_id):
        cancelled = Batch.objects.filter(pk=batch_id, push__status=Push.Status.CANCELLED).exists()
    reason = Reason.CANCELLED if cancelled else Reason.NOT_CONFIRMED
    confirm.take_back(brand_id=brand_id, batch_id=UUID(batch_id), wecom=wecom, at=timezone.now(), reason=reason)


def _hand_out(brand_id: int, at: datetime) -> None:
    """Collect what is due, put its next look off, and enqueue it once the transaction has committed. Scoped."""
    dispatch.find_stale(at=at)
    sop.advance(at=at)
    due = Push.objects.filter(status__in=[Push.Status.SCHEDULED, Push.Status.PLANNING], scheduled_at__lte=at)
    for push_id in due.values_list("pk", flat=True)[:A_TURN]:
        plan_push.delay_on_commit(brand_id=brand_id, push_id=push_id)
    status = Batch.Status
    sending = Batch.objects.filter(push__status=Push.Status.SENDING)
    with_job = sending.filter(status=status.CLAIMED).exclude(jobid="")
    for batch_id in _take(sending.filter(status=status.PENDING, due_at__lte=at), "due_at", at):
        send_batch.delay_on_commit(brand_id=brand_id, batch_id=batch_id)
    for batch_id in _take(with_job.filter(due_at__lte=at), "due_at", at):
        send_batch.delay_on_commit(brand_id=brand_id, batch_id=batch_id)
    for batch_id in _take(Batch.objects.filter(status=status.UNKNOWN, due_at__lte=at), "due_at", at):
        reconcile_batch.delay_on_commit(brand_id=brand_id, batch_id=batch_id)
    for batch_id in _take(Batch.objects.filter(status=status.CREATED, poll_due_at__lte=at), "poll_due_at", at):
        poll_batch.delay_on_commit(brand_id=brand_id, batch_id=batch_id)
    for batch_id in confirm.overdue(at=at):
        close_batch.delay_on_commit(brand_id=brand_id, batch_id=str(batch_id))


def _take(rows: QuerySet[Batch], column: str, at: datetime) -> list[str]:
    ids = list(rows.order_by(column).values_list("pk", flat=True)[:A_TURN])
    Batch.objects.filter(pk__in=ids).update(**{column: at + HANDED_OUT})
    return [str(batch_id) for batch_id in ids]


def _wecom_of(brand_id: int, batch_id: str) -> tuple[WeComClient | None, str]:
    with brand_scope(brand_id):
        batch = Batch.objects.select_related("push").filter(pk=batch_id).first()
    if batch is None:
        return None, ""
    return client_for(brand_id=brand_id, corp_id=batch.corp_id), batch.push.channel
