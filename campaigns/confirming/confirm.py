"""Guides confirm what is sent: following their tasks, reminding them, taking back what nobody confirmed."""

import logging
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import F
from django.utils.translation import gettext as _

from campaigns.dispatch import results
from campaigns.dispatch.dispatch import deliveries
from campaigns.models import Batch, Channel, DeliveryStatus, Push
from campaigns.moments import moments
from campaigns.pushes import release
from campaigns.reasons import Reason
from scrm.lib.errors import Refused
from tenants import audit
from tenants.actors import SYSTEM, Actor
from tenants.scope import brand_scope
from wecom.client import WeComClient
from wecom.errors import Gone, Misconfigured, OutcomeUnknown, Rejected, Throttled, Unreachable, WeComError

logger = logging.getLogger(__name__)

CONFIRM_WITHIN = timedelta(days=7)
"""then the task is taken back, and what it had reserved of the budget is free again"""
SOON = timedelta(minutes=1)


def follow(*, brand_id: int, batch_id: UUID, wecom: WeComClient, at: datetime) -> None:
    """Ask WeCom how far a created task is; take it back if its time is up or its push was cancelled.

    Opens its own scopes. Raises WeComError when WeCom cannot be asked."""
    with brand_scope(brand_id):
        batch = Batch.objects.select_related("push").filter(pk=batch_id).first()
    if batch is None:
        return
    is_open = batch.status == Batch.Status.CREATED
    is_late = batch.created_at is not None and batch.created_at < at - CONFIRM_WITHIN
    if is_open and batch.push.status == Push.Status.CANCELLED:
        take_back(brand_id=brand_id, batch_id=batch_id, wecom=wecom, at=at, reason=Reason.CANCELLED)
    elif is_open and is_late:
        take_back(brand_id=brand_id, batch_id=batch_id, wecom=wecom, at=at, reason=Reason.NOT_CONFIRMED)
    else:
        _poll(batch, wecom, at)


def remind(*, brand_id: int, push_id: int, wecom: WeComClient, at: datetime, actor: Actor = SYSTEM) -> int:
    """Remind the guides of a 1v1 or group push who have not confirmed; returns how many were. Opens its own scopes.

    WeCom takes 3 reminders of a task in 24 hours (reference §12.3); tasks that had theirs are passed over. Raises
    Refused when nothing waits for a guide, and Throttled when every task has had enough."""
    with brand_scope(brand_id):
        waiting = list(
            Batch.objects.filter(push_id=push_id, status=Batch.Status.CREATED, confirmed_at=None)
            .exclude(push__channel=Channel.MOMENTS)
            .values_list("pk", "msgid")
        )
    if not waiting:
        raise Refused(_("没有等待确认的导购。"), code="campaigns.nobody_to_remind")
    reminded = []
    enough: WeComError | None = None
    for batch_id, msgid in waiting:
        try:
            wecom.remind(msgid=msgid)
        except Throttled as limit:
            enough = limit
        except (Misconfigured, Unreachable) as trouble:  # the next would meet the same; who was reminded, was
            enough = trouble
            break
        except Rejected as error:  # this one is no more, or not in a state for it; the others are
            logger.info("campaigns.remind.refused", extra={"batch": str(batch_id), "code": error.problem_code})
        except OutcomeUnknown:
            reminded.append(batch_id)  # one too many does no harm
        else:
            reminded.append(batch_id)
    if enough and not reminded:
        raise enough
    with brand_scope(brand_id):
        Batch.objects.filter(pk__in=reminded).update(reminders=F("reminders") + 1)
        told = {"tasks": len(reminded)}
        audit.record(actor=actor, action="push.remind", object_type="push", object_id=push_id, after=told, at=at)
    return len(reminded)


def take_back(*, brand_id: int, batch_id: UUID, wecom: WeComClient, at: datetime, reason: Reason) -> None:
    """Stop guides who have not sent yet; what was sent stays sent, and is recorded. Opens its own scopes.

    `reason` is NOT_CONFIRMED (time is up) or CANCELLED (the push was). Raises WeComError when WeCom can't be asked."""
    batch = _created(brand_id, batch_id)
    if batch is None:
        return
    # What was sent is recorded first: WeCom answers nothing about a task once it is cancelled (41093).
    _poll(batch, wecom, at)
    if _created(brand_id, batch_id) is None:
        return
    _cancel(batch, wecom)
    is_cancelled = reason == Reason.CANCELLED
    with brand_scope(brand_id):
        Batch.objects.filter(pk=batch_id, status=Batch.Status.CREATED).update(
            status=Batch.Status.CANCELLED if is_cancelled else Batch.Status.FINAL, poll_due_at=None
        )
        deliveries(batch).filter(status=DeliveryStatus.CREATED).update(
            status=DeliveryStatus.CANCELLED if is_cancelled else DeliveryStatus.UNCONFIRMED,
            reason=reason,
            updated_at=at,
        )
        results.settle(batch=batch, at=at)


def wind_up(*, brand_id: int, push_id: int, at: datetime) -> bool:
    """Bring a stopped push (cancelled, or its plan failed) to its end, step by step; True when nothing of it is open.

    Opens its own scopes. What is not at WeCom yet is given up, what is there becomes due to be taken back. A push that
    is not stopped is left alone, and a repeat does no harm."""
    batches = Batch.objects.filter(push_id=push_id)
    stopped = Push.objects.filter(pk=push_id, status__in=release.STOPPED)
    with brand_scope(brand_id):
        if not stopped.exists():
            return False
        batches.filter(status=Batch.Status.PENDING).update(status=Batch.Status.CANCELLED)
        batches.filter(status=Batch.Status.CREATED, poll_due_at__gt=at + SOON).update(poll_due_at=at)
    release.release(brand_id=brand_id, push_id=push_id, at=at)
    with brand_scope(brand_id):
        if Batch.objects.filter(push_id=push_id, status__in=results.OPEN).exists():
            return False
        return bool(stopped.update(done_at=at))


def _created(brand_id: int, batch_id: UUID) -> Batch | None:
    with brand_scope(brand_id):
        return Batch.objects.select_related("push").filter(pk=batch_id, status=Batch.Status.CREATED).first()


def _poll(batch: Batch, wecom: WeComClient, at: datetime) -> None:
    poll = moments.poll if batch.push.channel == Channel.MOMENTS else results.poll
    poll(brand_id=batch.brand_id, batch_id=batch.pk, wecom=wecom, at=at)


def _cancel(batch: Batch, wecom: WeComClient) -> None:
    try:
        if batch.push.channel == Channel.MOMENTS:
            wecom.cancel_moment(moment_id=batch.msgid)
            moments.drop_tag(batch=batch, wecom=wecom)
        else:
            wecom.cancel_message(msgid=batch.msgid)
    except Gone as error:  # it is no more: nobody can confirm it
        logger.info("campaigns.cancel.gone", extra={"batch": str(batch.pk), "code": error.problem_code})
