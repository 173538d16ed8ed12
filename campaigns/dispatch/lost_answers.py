"""What became of a batch whose call ended without an answer, or whose worker died in it: WeCom's lists tell.

`reconcile` compares guide, text and receivers of the tasks that there are. An *unknown* batch is offered again only
when two listings, both at least 15 minutes after the claim, do not show it."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import F

from campaigns.dispatch.dispatch import deliveries, held, receivers_of, record_created, refuse
from campaigns.dispatch.listing import whole
from campaigns.models import Batch, Channel
from campaigns.reasons import Reason
from tenants.scope import brand_scope
from wecom.client import WeComClient
from wecom.errors import Gone, StillDispatching
from wecom.types import MassMessage

logger = logging.getLogger(__name__)
Status = Batch.Status

NOT_CREATED_AFTER = timedelta(minutes=15)
LISTINGS_NEEDED = 2
LOOK_AGAIN = timedelta(minutes=1)
GIVE_UP_AFTER = timedelta(days=1)
"""for a task that looks like ours and cannot be looked into, because somebody cancelled it in WeCom, say"""
CLOCK_SKEW = timedelta(minutes=5)
"""how far WeCom's create_time may lie from our claim"""


@dataclass(frozen=True, slots=True)
class Finding:
    """What WeCom's lists tell about an unknown batch."""

    msgid: str = ""
    """empty: no such task is listed"""
    left_out: list[str] = field(default_factory=list)
    """receivers whom the task does not have"""
    is_sure: bool = True
    """False: one that may be ours could not be told from another"""


@dataclass(frozen=True, slots=True)
class SentTo:
    """Whom the call of an unknown batch named, as far as we know it still."""

    receivers: frozenset[str]
    erased: int = 0
    """how many others it named, who were erased since"""

    def covers(self, theirs: Collection[str]) -> bool:
        """Whether a task with these receivers may be ours."""
        return len(set(theirs) - self.receivers) <= self.erased


def reconcile(*, brand_id: int, batch_id: UUID, wecom: WeComClient, at: datetime) -> str:
    """Ask WeCom what became of an unknown 1v1 or group batch; returns the status after it. Opens its own scopes.

    `created`: WeCom has it. `pending`: it never made it, the batch is offered again. `unknown`: asked again later.
    `refused`: nobody will ever know. Raises WeComError when WeCom cannot be asked: then nothing was learned."""
    with brand_scope(brand_id):
        batch = unknown(batch_id)
        sent_to = _sent_to(batch) if batch else None
    if batch is None or sent_to is None:
        return ""
    finding = _find_created(batch, sent_to, wecom, at)
    with brand_scope(brand_id):
        return conclude(batch=batch, finding=finding, at=at)


def unknown(batch_id: UUID) -> Batch | None:
    """An unknown batch with what it said; None if it is not unknown (any more). Scoped."""
    rows = Batch.objects.select_related("push", "staff", "variant__content")
    return rows.filter(pk=batch_id, status=Status.UNKNOWN, claimed_at__isnull=False).first()


def conclude(*, batch: Batch, finding: Finding, at: datetime) -> str:
    """Draw the conclusion from a listing about an unknown batch; returns its status. Scoped."""
    assert batch.claimed_at is not None  # noqa: S101 - `unknown` sees to it
    if finding.msgid:
        record_created(batch=batch, msgid=finding.msgid, failed=finding.left_out, at=at)
        return Status.CREATED
    age = at - batch.claimed_at
    if not finding.is_sure and age >= GIVE_UP_AFTER:
        refuse(batch=batch, reason=Reason.UNKNOWN, at=at, error_code="dispatch.unknown")
        return Status.REFUSED
    counts = finding.is_sure and age >= NOT_CREATED_AFTER
    mine = held(batch)
    if counts and batch.attempts + 1 >= LISTINGS_NEEDED:
        mine.update(status=Status.PENDING, due_at=at, claimed_at=None, attempts=0, error_code="", error="")
        logger.info("campaigns.batch.offered_again", extra={"brand": batch.brand_id, "batch": str(batch.pk)})
        return Status.PENDING
    mine.update(attempts=F("attempts") + int(counts), due_at=at + LOOK_AGAIN)
    return Status.UNKNOWN


def _sent_to(batch: Batch) -> SentTo:
    erased = 0 if batch.push.channel == Channel.GROUP else deliveries(batch).filter(external_userid="").count()
    return SentTo(frozenset(receivers_of(batch)), erased)


def _find_created(batch: Batch, sent_to: SentTo, wecom: WeComClient, at: datetime) -> Finding:
    """The task with this text, this guide and these receivers that no batch of ours owns yet."""
    assert batch.claimed_at is not None  # noqa: S101 - `unknown` sees to it
    assert batch.staff is not None  # noqa: S101 - 1v1 and group batches have a guide
    until = min(at, batch.claimed_at + NOT_CREATED_AFTER) + CLOCK_SKEW
    listed = whole(wecom.group_messages, start=batch.claimed_at - CLOCK_SKEW, end=until, chat_type=batch.push.channel)
    same_text = [message for message in listed if same(message.text, batch.variant.content.text)]
    with brand_scope(batch.brand_id):
        candidates = without_owner(same_text)
        has_rival = _has_rival(batch, batch.staff.pk)
    is_sure = True
    for message in candidates:
        try:
            members = [task.userid.lower() for task in whole(wecom.message_tasks, msgid=message.msgid)]
            if members != [batch.staff.userid.lower()]:
                continue
            rows = whole(wecom.message_results, msgid=message.msgid, userid=batch.staff.userid)
        except (StillDispatching, Gone):
            is_sure = False
            continue
        theirs = {row.chat_id or row.external_userid for row in rows}
        if not sent_to.covers(theirs):
            continue
        if batch.push.channel == Channel.SINGLE:
            if theirs:
                return Finding(message.msgid, sorted(sent_to.receivers - theirs))
        elif theirs or not has_rival:
            return Finding(message.msgid)
        else:
            # A group task names its groups only once it is sent: until then two of the same text look the same.
            is_sure = False
    return Finding(is_sure=is_sure)


def same(theirs: str, ours: str) -> bool:
    """Whether two texts say the same; WeCom may trim the ends or change line breaks."""
    return theirs.split() == ours.split()


def without_owner(messages: Sequence[MassMessage]) -> list[MassMessage]:
    """The tasks that no batch of ours is known to have made. Scoped."""
    owned = set(Batch.objects.filter(msgid__in=[each.msgid for each in messages]).values_list("msgid", flat=True))
    return [message for message in messages if message.msgid not in owned]


def _has_rival(batch: Batch, staff_id: int) -> bool:
    """Whether another batch of the same guide and content may have made the same task."""
    rivals = Batch.objects.filter(status__in=[Status.CLAIMED, Status.UNKNOWN], staff_id=staff_id)
    return rivals.filter(variant__content__text=batch.variant.content.text).exclude(pk=batch.pk).exists()
