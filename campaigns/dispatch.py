"""Handing planned batches to WeCom, each at most once.

WeCom's send call is not idempotent and may end without an answer. So a batch is claimed in the database before the
call and marked after it. A batch found claimed but unmarked, because a worker died or the answer was lost, becomes
*unknown*: `reconcile` asks WeCom which tasks there are and compares receivers. It is offered again only when two
listings, at least 15 minutes after the claim, do not show it. A customer must not be written to twice."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import F

from campaigns import results
from campaigns.models import Batch, Channel, Delivery, DeliveryStatus, GroupDelivery, Push
from campaigns.reasons import Reason
from contacts.models import Follow
from tenants.scope import brand_scope
from wecom.client import WeComClient
from wecom.errors import Misconfigured, OutcomeUnknown, Rejected, Throttled, Unreachable
from wecom.types import MassMessage, MassSend

logger = logging.getLogger(__name__)

STALE_AFTER = timedelta(minutes=2)
"""far above the call's own timeout: who has not marked a batch by then is dead"""
NOT_CREATED_AFTER = timedelta(minutes=15)
LISTINGS_NEEDED = 2
RETRY_SECONDS = 30
PAUSE_FOR_OPERATOR = timedelta(minutes=10)
CLOCK_SKEW = timedelta(minutes=5)
"""how far WeCom's create_time may lie from our claim"""


@dataclass(frozen=True, slots=True)
class Message:
    """What one batch asks WeCom to send."""

    chat_type: str
    sender: str
    receivers: list[str]
    """external_userids, or chat_ids of a group push"""
    text: str
    attachments: list[dict[str, Any]]


def send(*, brand_id: int, batch_id: UUID, wecom: WeComClient, at: datetime) -> None:
    """Give one pending 1v1 or group batch to WeCom, at most once. Opens its own scopes.

    A batch that somebody else holds, or of a push no longer sending, is left alone."""
    with brand_scope(brand_id):
        message = _claimed(batch_id, at)
    if message is None:
        return
    try:
        outcome: MassSend | Exception = _call(wecom, message)
    except (Unreachable, Throttled, Misconfigured, OutcomeUnknown, Rejected) as error:
        outcome = error
    # A worker killed between the call and this scope leaves the batch claimed: `find_stale` makes it unknown.
    with brand_scope(brand_id):
        if isinstance(outcome, MassSend):
            record_created(batch_id=batch_id, msgid=outcome.msgid, failed=outcome.failed, at=at)
        else:
            record_error(batch_id=batch_id, error=outcome, at=at)


def find_stale(*, at: datetime) -> int:
    """Batches claimed long ago and never marked become unknown; returns how many. Scoped."""
    stale = Batch.objects.filter(status=Batch.Status.CLAIMED, claimed_at__lt=at - STALE_AFTER)
    return stale.update(status=Batch.Status.UNKNOWN, due_at=at, attempts=0, error_code="dispatch.unknown")


def reconcile(*, brand_id: int, batch_id: UUID, wecom: WeComClient, at: datetime) -> str:
    """Ask WeCom what became of an unknown 1v1 or group batch. Opens its own scopes.

    Returns `created`, `pending` (WeCom never made it: offered again) or `unknown` (asked again later)."""
    with brand_scope(brand_id):
        batch = Batch.objects.select_related("push", "staff", "variant__content").filter(pk=batch_id).first()
        if batch is None or batch.status != Batch.Status.UNKNOWN or batch.claimed_at is None:
            return "unknown"
        receivers = set(_receivers(batch))
    found = _find_created(brand_id=brand_id, batch=batch, receivers=receivers, wecom=wecom, at=at)
    with brand_scope(brand_id):
        if found:
            record_created(batch_id=batch_id, msgid=found, failed=[], at=at)
            return "created"
        unknown = Batch.objects.filter(pk=batch_id, status=Batch.Status.UNKNOWN)
        if at - batch.claimed_at >= NOT_CREATED_AFTER and batch.attempts + 1 >= LISTINGS_NEEDED:
            unknown.update(status=Batch.Status.PENDING, due_at=at, claimed_at=None, attempts=0, error_code="")
            return "pending"
        unknown.update(attempts=F("attempts") + 1, due_at=at + timedelta(minutes=1))
    return "unknown"


def record_created(*, batch_id: UUID, msgid: str, failed: Sequence[str], at: datetime) -> None:
    """WeCom made the task: its receivers wait for the guide, those it left out have failed. Scoped."""
    batch = Batch.objects.select_related("push").get(pk=batch_id)
    Batch.objects.filter(pk=batch_id, status__in=[Batch.Status.CLAIMED, Batch.Status.UNKNOWN]).update(
        status=Batch.Status.CREATED,
        msgid=msgid,
        created_at=at,
        poll_due_at=at + results.poll_delay(0),
        attempts=0,
        error_code="",
        error="",
    )
    waiting = _deliveries(batch).filter(status=DeliveryStatus.PLANNED)
    if failed:
        named = (
            {"chat__chat_id__in": failed} if batch.push.channel == Channel.GROUP else {"external_userid__in": failed}
        )
        waiting.filter(**named).update(status=DeliveryStatus.FAILED, reason=Reason.CONTACT_GONE, updated_at=at)
    waiting.update(status=DeliveryStatus.CREATED, updated_at=at)
    logger.info("campaigns.batch.created", extra={"brand": batch.brand_id, "batch": str(batch_id)})


def record_error(*, batch_id: UUID, error: Exception, at: datetime) -> None:
    """Nothing was made, or nobody knows: the row says which, and when it is looked at again. Scoped."""
    batch = Batch.objects.select_related("push").get(pk=batch_id)
    code = str(getattr(error, "problem_code", "wecom.error"))
    told = {"error_code": code, "error": str(getattr(error, "detail", error))[:500]}
    row = Batch.objects.filter(pk=batch_id, status=Batch.Status.CLAIMED)
    if isinstance(error, OutcomeUnknown):
        row.update(status=Batch.Status.UNKNOWN, due_at=at + timedelta(seconds=RETRY_SECONDS), attempts=0, **told)
    elif isinstance(error, Rejected):
        row.update(status=Batch.Status.REFUSED, **told)
        _deliveries(batch).filter(status=DeliveryStatus.PLANNED).update(
            status=DeliveryStatus.FAILED, reason=Reason.REFUSED, updated_at=at
        )
        results.settle(push_id=batch.push_id, at=at)
    else:
        row.update(status=Batch.Status.PENDING, due_at=at + _pause(error, batch), attempts=F("attempts") + 1, **told)
    logger.warning("campaigns.batch.not_created", extra={"batch": str(batch_id), "code": code})


def _pause(error: Exception, batch: Batch) -> timedelta:
    if isinstance(error, Throttled):
        return timedelta(seconds=error.retry_after)
    if isinstance(error, Misconfigured):
        return PAUSE_FOR_OPERATOR
    return timedelta(seconds=RETRY_SECONDS * 2 ** min(batch.attempts, 6))


def claim(*, batch_id: UUID, at: datetime) -> Batch | None:
    """Take a pending batch of a push that is sending; None if it is not ours to send. Scoped."""
    mine = Batch.objects.filter(pk=batch_id, status=Batch.Status.PENDING, push__status=Push.Status.SENDING)
    if mine.update(status=Batch.Status.CLAIMED, claimed_at=at) != 1:
        return None
    return Batch.objects.select_related("push", "staff", "variant__content").get(pk=batch_id)


def _claimed(batch_id: UUID, at: datetime) -> Message | None:
    batch = claim(batch_id=batch_id, at=at)
    if batch is None:
        return None
    _drop_lost(batch, at)
    receivers = _receivers(batch)
    if not receivers:
        Batch.objects.filter(pk=batch_id).update(status=Batch.Status.FINAL)
        results.settle(push_id=batch.push_id, at=at)
        return None
    content = batch.variant.content
    sender = batch.staff.userid if batch.staff else ""
    return Message(batch.push.channel, sender, receivers, content.text, content.attachments)


def _call(wecom: WeComClient, message: Message) -> MassSend:
    who = {"chat_ids" if message.chat_type == Channel.GROUP else "external_userids": message.receivers}
    return wecom.add_msg_template(
        chat_type=message.chat_type,
        sender=message.sender,
        text=message.text,
        attachments=message.attachments,
        **who,
    )


def _drop_lost(batch: Batch, at: datetime) -> None:
    """Friendships may have ended since the plan: writing to such a contact would only fail."""
    lost = Follow.objects.filter(staff_id=batch.staff_id, lost_at__isnull=False).values("contact_id")
    if batch.push.channel == Channel.SINGLE:
        Delivery.objects.filter(batch=batch, status=DeliveryStatus.PLANNED, contact_id__in=lost).update(
            status=DeliveryStatus.FAILED, reason=Reason.CONTACT_GONE, updated_at=at
        )


def _deliveries(batch: Batch) -> Any:
    model = GroupDelivery if batch.push.channel == Channel.GROUP else Delivery
    return model.objects.filter(batch=batch)


def _receivers(batch: Batch) -> list[str]:
    planned = _deliveries(batch).filter(status=DeliveryStatus.PLANNED)
    column = "chat__chat_id" if batch.push.channel == Channel.GROUP else "external_userid"
    return list(planned.order_by(column).values_list(column, flat=True))


def _find_created(*, brand_id: int, batch: Batch, receivers: set[str], wecom: WeComClient, at: datetime) -> str | None:
    """The msgid of a task with this text, this guide and these receivers that no batch of ours owns yet."""
    if batch.claimed_at is None or batch.staff is None:
        return None
    for message in _listed(wecom, batch.push.channel, batch.claimed_at - CLOCK_SKEW, at + CLOCK_SKEW):
        if message.text != batch.variant.content.text:
            continue
        with brand_scope(brand_id):
            if Batch.objects.filter(msgid=message.msgid).exists():
                continue
        if [task.userid for task in results.all_tasks(wecom, message.msgid)] != [batch.staff.userid]:
            continue
        listed = {
            row.chat_id or row.external_userid for row in results.all_results(wecom, message.msgid, batch.staff.userid)
        }
        # A group task lists only what was sent, and WeCom leaves out receivers it cannot reach: a part will do.
        if listed <= receivers and (listed or batch.push.channel == Channel.GROUP):
            return message.msgid
    return None


def _listed(wecom: WeComClient, chat_type: str, start: datetime, end: datetime) -> list[MassMessage]:
    found: list[MassMessage] = []
    cursor = ""
    while True:
        page = wecom.group_messages(start=start, end=end, chat_type=chat_type, cursor=cursor)
        found += page.items
        cursor = page.next_cursor
        if not cursor:
            return found
