"""Handing planned batches to WeCom, each at most once.

WeCom's send call is not idempotent and may end without an answer. So a batch is claimed in the database before the
call and marked after it. A batch found claimed but unmarked, because a worker died or the answer was lost, becomes
*unknown*, and WeCom is asked (campaigns.dispatch.lost_answers). A customer must not be written to twice.

A claim is known by its moment, `claimed_at`: who wakes up after the claim was taken from them changes nothing."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, cast
from uuid import UUID

from django.db.models import F

from campaigns.contents import attached
from campaigns.dispatch import results
from campaigns.models import Batch, Channel, Delivery, DeliveryStatus, GroupDelivery, Push
from campaigns.reasons import Reason
from contacts.models import Follow
from media import copies
from tenants.scope import brand_scope
from wecom.client import WeComClient
from wecom.errors import Misconfigured, OutcomeUnknown, Rejected, Throttled, WeComError
from wecom.types import MassSend

logger = logging.getLogger(__name__)
Status = Batch.Status

STALE_AFTER = timedelta(minutes=2)
"""far above the call's own timeout: who has not marked a batch by then is dead"""
RETRY_SECONDS = 30
PAUSE_FOR_OPERATOR = timedelta(minutes=10)
RENEWALS = 3
"""how often a file that WeCom has forgotten is given to it again"""
NOBODY_THERE = ("wecom.nobody", "wecom.no_relation", "wecom.no_contact")


@dataclass(frozen=True, slots=True)
class Message:
    """What one batch asks WeCom to send."""

    batch: Batch
    sender: str
    receivers: list[str]
    """external_userids, or chat_ids of a group push"""


def send(*, brand_id: int, batch_id: UUID, wecom: WeComClient, at: datetime) -> None:
    """Give one pending 1v1 or group batch to WeCom, at most once. Opens its own scopes.

    A batch that somebody else holds, or of a push no longer sending, is left alone. Files that its content shows are
    brought to WeCom before the claim: a claim does not last as long as an upload may."""
    attachments = prepared(brand_id=brand_id, batch_id=batch_id, wecom=wecom, at=at)
    if attachments is None:
        return
    with brand_scope(brand_id):
        message = _claimed(batch_id, at)
    if message is None:
        return
    outcome = _call(wecom, message, attachments)
    # A worker killed between the call and this scope leaves the batch claimed: `find_stale` makes it unknown.
    with brand_scope(brand_id):
        if isinstance(outcome, MassSend):
            record_created(batch=message.batch, msgid=outcome.msgid, failed=outcome.failed, at=at)
        else:
            record_error(batch=message.batch, error=outcome, at=at)


def prepared(*, brand_id: int, batch_id: UUID, wecom: WeComClient, at: datetime) -> list[dict[str, Any]] | None:
    """The attachments of a pending batch as WeCom takes them now; None when they, or the batch, are not to be had: then
    the row says why, and when it is looked at again. Opens its own scopes."""
    with brand_scope(brand_id):
        rows = Batch.objects.filter(pk=batch_id, status=Status.PENDING, push__status=Push.Status.SENDING)
        batch = rows.select_related("push", "variant__content").first()
    if batch is None:
        return None
    try:
        return attached.ready(
            brand_id=brand_id,
            corp_id=batch.corp_id,
            channel=batch.push.channel,
            attachments=batch.variant.content.attachments,
            wecom=wecom,
            at=at,
        )
    except WeComError as error:
        with brand_scope(brand_id):
            put_off(batch=batch, error=error, at=at)
        return None


def put_off(*, batch: Batch, error: WeComError, at: datetime) -> None:
    """A pending batch whose files cannot be brought to WeCom: later, or never when WeCom does not take them. Scoped."""
    told = {"error_code": error.problem_code, "error": str(error.detail)[:500]}
    if isinstance(error, Rejected):
        refuse(batch=batch, reason=Reason.REFUSED, at=at, **told)
    else:
        again = at + pause_after(error, batch.attempts)
        Batch.objects.filter(pk=batch.pk, status=Status.PENDING).update(
            due_at=again, attempts=F("attempts") + 1, **told
        )
    logger.warning("campaigns.batch.put_off", extra={"batch": str(batch.pk), "code": error.problem_code})


def find_stale(*, at: datetime) -> int:
    """Batches claimed long ago and never marked become unknown; returns how many. Scoped."""
    # A Moments batch with a job is not stale: it waits for WeCom, see campaigns.moments.moments.
    stale = Batch.objects.filter(status=Status.CLAIMED, claimed_at__lt=at - STALE_AFTER, jobid="")
    return stale.update(status=Status.UNKNOWN, due_at=at, attempts=0, error_code="dispatch.unknown")


def claim(*, batch_id: UUID, at: datetime) -> Batch | None:
    """Take a pending batch of a push that is sending; None if it is not ours to send. Scoped."""
    # Not `push__status=`: a join turns the UPDATE's whole condition into a sub-select, which PostgreSQL does not look
    # at again for a row that somebody has just changed, and two workers would both claim it.
    mine = Batch.objects.filter(pk=batch_id, status=Status.PENDING, push__in=Push.objects.filter(status="sending"))
    if mine.update(status=Status.CLAIMED, claimed_at=at) != 1:
        return None
    return Batch.objects.select_related("push", "staff", "variant__content").get(pk=batch_id)


def record_created(*, batch: Batch, msgid: str, failed: Collection[str], at: datetime) -> None:
    """WeCom made the task of a claimed or unknown batch: its receivers wait for the guide, those left out have failed.

    Scoped. `batch` is as its claim left it; without effect when the claim is no longer that one."""
    taken = held(batch).update(
        status=Status.CREATED,
        msgid=msgid,
        created_at=at,
        poll_due_at=at + results.poll_delay(0),
        attempts=0,
        error_code="",
        error="",
    )
    if not taken:
        # Found by reconcile in the meantime, most likely; else the task at WeCom is nobody's, so its id is kept here.
        logger.warning("campaigns.batch.late", extra={"brand": batch.brand_id, "batch": str(batch.pk), "msgid": msgid})
        return
    Push.objects.filter(pk=batch.push_id, dispatched_at=None).update(dispatched_at=at)
    waiting = deliveries(batch).filter(status=DeliveryStatus.PLANNED)
    if failed:
        column = "chat__chat_id" if batch.push.channel == Channel.GROUP else "external_userid"
        left_out = waiting.filter(**{f"{column}__in": list(failed)})
        left_out.update(status=DeliveryStatus.FAILED, reason=Reason.CONTACT_GONE, updated_at=at)
    waiting.update(status=DeliveryStatus.CREATED, updated_at=at)
    results.settle(batch=batch, at=at)
    logger.info("campaigns.batch.created", extra={"brand": batch.brand_id, "batch": str(batch.pk)})


def record_error(*, batch: Batch, error: WeComError, at: datetime) -> None:
    """Nothing was made, or nobody knows: the row says which, and when it is looked at again. Scoped."""
    told = {"error_code": error.problem_code, "error": str(error.detail)[:500]}
    if isinstance(error, OutcomeUnknown):
        held(batch).update(status=Status.UNKNOWN, due_at=at + timedelta(seconds=RETRY_SECONDS), attempts=0, **told)
    elif _is_renewable(batch, error):
        # WeCom has forgotten a file earlier than it says: it gets it again.
        ids = attached.named(batch.variant.content.attachments)
        copies.forget(corp_id=batch.corp_id, media_ids=ids, made_before=at)
        held(batch).update(status=Status.PENDING, claimed_at=None, due_at=at, attempts=F("attempts") + 1, **told)
    elif isinstance(error, Rejected):
        reason = Reason.CONTACT_GONE if error.problem_code in NOBODY_THERE else Reason.REFUSED
        refuse(batch=batch, reason=reason, at=at, **told)
    else:
        again = at + pause_after(error, batch.attempts)
        held(batch).update(status=Status.PENDING, due_at=again, attempts=F("attempts") + 1, **told)
    logger.warning("campaigns.batch.not_created", extra={"batch": str(batch.pk), "code": error.problem_code})


def _is_renewable(batch: Batch, error: WeComError) -> bool:
    """Whether WeCom refused for a file that we can give it again."""
    names_ours = bool(attached.named(batch.variant.content.attachments))
    return error.problem_code == copies.EXPIRED and names_ours and batch.attempts < RENEWALS


def refuse(*, batch: Batch, reason: Reason, at: datetime, **told: str) -> None:
    """End a batch that WeCom will not send: what it planned has failed. Scoped."""
    row = Batch.objects.filter(pk=batch.pk, status=batch.status, claimed_at=batch.claimed_at)
    if row.update(status=Status.REFUSED, poll_due_at=None, **told):
        planned = deliveries(batch).filter(status=DeliveryStatus.PLANNED)
        planned.update(status=DeliveryStatus.FAILED, reason=reason, updated_at=at)
        results.settle(batch=batch, at=at)


def pause_after(error: WeComError, attempts: int) -> timedelta:
    """How long to wait before the next try: as WeCom says, until an operator could have acted, or ever longer."""
    if isinstance(error, Throttled):
        return timedelta(seconds=error.retry_after)
    if isinstance(error, Misconfigured):
        return PAUSE_FOR_OPERATOR
    return timedelta(seconds=RETRY_SECONDS * 2 ** min(attempts, 6))


def deliveries(batch: Batch) -> Any:
    """The batch's deliveries, to customers or to groups. Scoped."""
    model = GroupDelivery if batch.push.channel == Channel.GROUP else Delivery
    return model.objects.filter(batch=batch)


def held(batch: Batch) -> Any:
    """The batch's row while it is still in the claim that `batch` shows."""
    return Batch.objects.filter(pk=batch.pk, claimed_at=batch.claimed_at, status__in=[Status.CLAIMED, Status.UNKNOWN])


def _claimed(batch_id: UUID, at: datetime) -> Message | None:
    batch = claim(batch_id=batch_id, at=at)
    if batch is None:
        return None
    _drop_lost(batch, at)
    receivers = receivers_of(batch)
    if not receivers:
        Batch.objects.filter(pk=batch_id).update(status=Status.FINAL)
        results.settle(batch=batch, at=at)
        return None
    return Message(batch, batch.staff.userid if batch.staff else "", receivers)


def _call(wecom: WeComClient, message: Message, attachments: Sequence[dict[str, Any]]) -> MassSend | WeComError:
    chat_type = cast(Literal["single", "group"], message.batch.push.channel)
    content = message.batch.variant.content
    who = {"chat_ids" if chat_type == Channel.GROUP else "external_userids": message.receivers}
    try:
        return wecom.add_msg_template(
            chat_type=chat_type, sender=message.sender, text=content.text, attachments=attachments, **who
        )
    except WeComError as error:
        return error


def _drop_lost(batch: Batch, at: datetime) -> None:
    """Friendships may have ended since the plan: writing to such a contact would only fail."""
    if batch.push.channel != Channel.SINGLE or batch.staff_id is None:
        return
    lost = Follow.objects.filter(staff_id=batch.staff_id, lost_at__isnull=False).values("contact_id")
    planned = deliveries(batch).filter(status=DeliveryStatus.PLANNED, contact_id__in=lost)
    if planned.update(status=DeliveryStatus.FAILED, reason=Reason.CONTACT_GONE, updated_at=at):
        results.settle(batch=batch, at=at)


def receivers_of(batch: Batch) -> list[str]:
    """External_userids, or chat_ids of a group push, that the batch is to be sent to, in order. Scoped."""
    planned = deliveries(batch).filter(status=DeliveryStatus.PLANNED)
    column = "chat__chat_id" if batch.push.channel == Channel.GROUP else "external_userid"
    return list(planned.order_by(column).values_list(column, flat=True))
