"""What came of a task: WeCom calls nobody back when a guide confirms or a customer receives, so it is asked.

A batch is polled after a pause that grows (WeCom's results move for days). Outcomes go to deliveries, from there to
the budget and, as events, to the log. Polling twice changes nothing the second time."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Exists, F, OuterRef, Subquery

from campaigns.budget import ledger
from campaigns.dispatch.listing import whole
from campaigns.models import Batch, Channel, DeliveryStatus, Push
from campaigns.reasons import Reason
from contacts import gone, told_by_sends
from events import log
from tenants.scope import brand_scope
from wecom.client import WeComClient
from wecom.errors import Gone, StillDispatching
from wecom.types import SendResult, SendStatus, TaskStatus

logger = logging.getLogger(__name__)

OPEN = (Batch.Status.PENDING, Batch.Status.CLAIMED, Batch.Status.CREATED, Batch.Status.UNKNOWN)
OUTCOME = {
    SendStatus.SENT: (DeliveryStatus.DELIVERED, ""),
    SendStatus.NOT_FRIEND: (DeliveryStatus.FAILED, Reason.CONTACT_GONE),
    SendStatus.OVER_CAP: (DeliveryStatus.FAILED, Reason.WECOM_QUOTA),
}


def poll_delay(polls: int) -> timedelta:
    """How long after the `polls`-th look the next one is: from ORCHARD_POLL_SECONDS to 360 times that."""
    base = settings.ORCHARD_POLL_SECONDS
    return timedelta(seconds=min(base * 1.5 ** min(polls, 20), base * 360))


def poll(*, brand_id: int, batch_id: UUID, wecom: WeComClient, at: datetime) -> None:
    """Ask how far a created 1v1 or group task is, and record it. Opens its own scopes."""
    with brand_scope(brand_id):
        batch = Batch.objects.select_related("push", "staff").filter(pk=batch_id).first()
    if batch is None or batch.status != Batch.Status.CREATED:
        return
    confirmed_at = batch.confirmed_at
    rows: list[SendResult] = []
    try:
        for task in whole(wecom.message_tasks, msgid=batch.msgid):
            if task.status == TaskStatus.SENT:
                confirmed_at = confirmed_at or task.sent_at or at
                rows += whole(wecom.message_results, msgid=batch.msgid, userid=task.userid)
    except (StillDispatching, Gone) as error:
        # Too young to be asked, or cancelled in WeCom's console: then it is closed when the guide's time is up.
        logger.info("campaigns.poll.nothing", extra={"batch": str(batch_id), "code": error.problem_code})
    strangers = [row.external_userid for row in rows if row.status == SendStatus.NOT_FRIEND and row.external_userid]
    with brand_scope(brand_id):
        _record(batch, rows, at)
        if strangers and confirmed_at and batch.staff_id:
            told_by_sends.not_friends(staff_id=batch.staff_id, external_userids=strangers, sent_at=confirmed_at, at=at)
        _mark_polled(batch, confirmed_at, at)
        settle(batch=batch, at=at)


def poll_now(*, push_id: int, at: datetime) -> int:
    """Make all waiting batches of a push due at once; returns how many. Scoped."""
    return Batch.objects.filter(push_id=push_id, status=Batch.Status.CREATED).update(poll_due_at=at)


def settle(*, batch: Batch, at: datetime) -> None:
    """Deliveries of the batch were changed `at`: tell the budget and the log, and end the push if this was the last.

    Scoped; to be called in the transaction that changed them, after the batch's own status. A repeat is harmless."""
    ledger.settle(push_id=batch.push_id, batch_id=batch.pk, at=at)
    _tell(batch, at)
    finish(at=at, push_id=batch.push_id)


def finish(*, at: datetime, push_id: int | None = None) -> int:
    """End the push, or every sending push, of which no batch is open; returns how many. Scoped.

    Two workers may each end one of the last two batches and not see the other's: `tick` finds such a push again."""
    sending = Push.objects.filter(status=Push.Status.SENDING)
    if push_id is not None:
        sending = sending.filter(pk=push_id)
    batches = Batch.objects.filter(push_id=OuterRef("pk"))
    over = sending.filter(~Exists(batches.filter(status__in=OPEN)))
    refused = batches.filter(status=Batch.Status.REFUSED)
    all_refused = over.filter(Exists(refused), ~Exists(batches.exclude(status=Batch.Status.REFUSED)))
    failed = all_refused.update(
        status=Push.Status.FAILED, done_at=at, error=Subquery(refused.order_by("pk").values("error")[:1])
    )
    return failed + over.update(status=Push.Status.DONE, done_at=at)


def _record(batch: Batch, rows: Sequence[SendResult], at: datetime) -> None:
    """Write receivers' outcomes to their deliveries; those that are final stay as they are."""
    final = [row for row in rows if row.status in OUTCOME]
    if not final:
        return
    outcomes = [OUTCOME[row.status] for row in final]
    columns: list[list[Any]] = [
        [row.chat_id if batch.push.channel == Channel.GROUP else row.external_userid for row in final],
        [str(status) for status, _reason in outcomes],
        [str(reason) for _status, reason in outcomes],
        [(row.sent_at or at) if row.status == SendStatus.SENT else None for row in final],
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            RECORD_GROUPS if batch.push.channel == Channel.GROUP else RECORD_CONTACTS,
            [at, *columns, batch.brand_id, batch.pk],
        )


RESULTS = """unnest(%s::text[], %s::text[], %s::text[], %s::timestamptz[]) AS r (receiver, status, reason, sent_at)"""
RECORD_CONTACTS = f"""
UPDATE campaigns_delivery d SET updated_at = %s, status = r.status, reason = r.reason, delivered_at = r.sent_at
FROM {RESULTS}
WHERE d.brand_id = %s AND d.batch_id = %s AND d.external_userid = r.receiver
  AND d.status IN ('created', 'unconfirmed')"""  # noqa: S608 - our own text
RECORD_GROUPS = f"""
UPDATE campaigns_groupdelivery d SET updated_at = %s, status = r.status, reason = r.reason, delivered_at = r.sent_at
FROM {RESULTS} JOIN contacts_groupchat g ON g.chat_id = r.receiver
WHERE d.brand_id = %s AND d.batch_id = %s AND g.brand_id = d.brand_id AND d.chat_id = g.id
  AND d.status IN ('created', 'unconfirmed')"""  # noqa: S608 - our own text


def _mark_polled(batch: Batch, confirmed_at: datetime | None, at: datetime) -> None:
    table = "campaigns_groupdelivery" if batch.push.channel == Channel.GROUP else "campaigns_delivery"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT EXISTS (SELECT 1 FROM {table} WHERE brand_id = %s AND batch_id = %s AND status = %s)",  # noqa: S608
            [batch.brand_id, batch.pk, DeliveryStatus.CREATED],
        )
        is_waiting = bool(cursor.fetchone()[0])
    is_done = confirmed_at is not None and not is_waiting
    Batch.objects.filter(pk=batch.pk, status=Batch.Status.CREATED).update(
        status=Batch.Status.FINAL if is_done else Batch.Status.CREATED,
        confirmed_at=confirmed_at,
        polled_at=at,
        polls=F("polls") + 1,
        poll_due_at=None if is_done else at + poll_delay(batch.polls + 1),
    )


# A delivery or failure is final once and keeps that moment, so the made id and `occurred_at` are the same in a repeat.
NEWS = """
SELECT made_id(concat_ws(':', d.brand_id, 'delivery', d.push_id, d.contact_id, d.status)) AS id,
  coalesce(d.delivered_at, d.updated_at) AS occurred_at, coalesce(c.merged_into_id, d.contact_id) AS contact_id,
  CASE d.status WHEN 'delivered' THEN 'message_delivered' ELSE 'message_failed' END AS type,
  jsonb_build_object('push_id', d.push_id, 'channel', %s::text)
    || CASE d.status WHEN 'delivered' THEN jsonb_build_object('staff_id', d.staff_id)
                     ELSE jsonb_build_object('reason', d.reason) END AS props
FROM campaigns_delivery d
JOIN contacts_contact c ON c.brand_id = d.brand_id AND c.id = d.contact_id AND c.erased_at IS NULL
WHERE d.brand_id = %s AND d.batch_id = %s AND d.status IN ('delivered', 'failed') AND d.updated_at = %s"""


def _tell(batch: Batch, at: datetime) -> None:
    if batch.push.channel != Channel.GROUP:
        with gone.shown():  # somebody merged into another since: it is the other's news
            log.write_select(select=NEWS, params=[batch.push.channel, batch.brand_id, batch.pk, at], at=at)
