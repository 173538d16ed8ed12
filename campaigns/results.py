"""What came of a task: WeCom calls nobody back when a guide confirms or a customer receives, so it is asked.

A batch is polled after a pause that grows (WeCom's results move for days). Outcomes go to deliveries, from there to
the budget and, as events, to the log. Polling twice changes nothing the second time."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import F

from campaigns import budget
from campaigns.models import Batch, Channel, DeliveryStatus, Push
from campaigns.reasons import Reason
from events import log
from events.log import NewEvent
from scrm.lib.ids import made_id
from tenants.scope import brand_scope
from wecom.client import WeComClient
from wecom.errors import Gone, StillDispatching
from wecom.types import MemberTask, SendResult, SendStatus, TaskStatus

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
    try:
        tasks = all_tasks(wecom, batch.msgid)
        confirmed = [task for task in tasks if task.status == TaskStatus.SENT]
        rows = [row for task in confirmed for row in all_results(wecom, batch.msgid, task.userid)]
    except (StillDispatching, Gone):
        # Too young to be asked, or cancelled in WeCom's console: the closing sweep ends it.
        tasks, confirmed, rows = [], [], []
    with brand_scope(brand_id):
        record(batch=batch, rows=rows, at=at)
        _mark_polled(batch, confirmed, at)
        settle(push_id=batch.push_id, at=at)


def poll_now(*, push_id: int, at: datetime) -> int:
    """Make all waiting batches of a push due at once; returns how many. Scoped."""
    return Batch.objects.filter(push_id=push_id, status=Batch.Status.CREATED).update(poll_due_at=at)


def record(*, batch: Batch, rows: Sequence[SendResult], at: datetime) -> None:
    """Write receivers' outcomes to their deliveries, and the news to the log. Scoped; a repeat finds nothing to do."""
    final = [row for row in rows if row.status in OUTCOME]
    if not final:
        return
    if batch.push.channel == Channel.GROUP:
        _update_groups(batch, final, at)
        return
    changed = _update_contacts(batch, final, at)
    news = [_news(batch, *row) for row in changed]
    if news:
        log.write(news, at=at)


def settle(*, push_id: int, at: datetime) -> None:
    """Bring the budget in line with the deliveries, and end the push when nothing of it is open. Scoped."""
    budget.settle(push_id=push_id, at=at)
    if not Batch.objects.filter(push_id=push_id, status__in=OPEN).exists():
        Push.objects.filter(pk=push_id, status=Push.Status.SENDING).update(status=Push.Status.DONE, done_at=at)


def all_tasks(wecom: WeComClient, msgid: str) -> list[MemberTask]:
    """Every member's part of a mass send."""
    found: list[MemberTask] = []
    cursor = ""
    while True:
        page = wecom.message_tasks(msgid=msgid, cursor=cursor)
        found += page.items
        cursor = page.next_cursor
        if not cursor:
            return found


def all_results(wecom: WeComClient, msgid: str, userid: str) -> list[SendResult]:
    """Every receiver's result of one member's part."""
    found: list[SendResult] = []
    cursor = ""
    while True:
        page = wecom.message_results(msgid=msgid, userid=userid, cursor=cursor)
        found += page.items
        cursor = page.next_cursor
        if not cursor:
            return found


def _mark_polled(batch: Batch, confirmed: Sequence[MemberTask], at: datetime) -> None:
    waiting = _count_waiting(batch)
    done = bool(confirmed) and waiting == 0
    Batch.objects.filter(pk=batch.pk, status=Batch.Status.CREATED).update(
        status=Batch.Status.FINAL if done else Batch.Status.CREATED,
        confirmed_at=(confirmed[0].sent_at or at) if confirmed else None,
        polled_at=at,
        polls=F("polls") + 1,
        poll_due_at=None if done else at + poll_delay(batch.polls + 1),
    )


def _count_waiting(batch: Batch) -> int:
    table = "campaigns_groupdelivery" if batch.push.channel == Channel.GROUP else "campaigns_delivery"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*) FROM {table} WHERE brand_id = %s AND batch_id = %s AND status = %s",  # noqa: S608 - ours
            [batch.brand_id, batch.pk, DeliveryStatus.CREATED],
        )
        return int(cursor.fetchone()[0])


def _columns(rows: Sequence[SendResult], ids: list[str], at: datetime) -> list[list[object]]:
    outcomes = [OUTCOME[row.status] for row in rows]
    sent = [(row.sent_at or at) if row.status == SendStatus.SENT else None for row in rows]
    return [list(ids), [str(status) for status, _r in outcomes], [str(reason) for _s, reason in outcomes], list(sent)]


def _update_contacts(
    batch: Batch, rows: Sequence[SendResult], at: datetime
) -> list[tuple[int, str, str, datetime | None]]:
    """Deliveries that now became final: (contact, status, reason, delivered at)."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE campaigns_delivery d
            SET status = r.status, reason = r.reason, delivered_at = r.sent_at, updated_at = %s
            FROM unnest(%s::text[], %s::text[], %s::text[], %s::timestamptz[])
                 AS r (external_userid, status, reason, sent_at)
            WHERE d.brand_id = %s AND d.batch_id = %s AND d.external_userid = r.external_userid
              AND d.status IN ('created', 'unconfirmed')
            RETURNING d.contact_id, d.status, d.reason, d.delivered_at
            """,
            [at, *_columns(rows, [row.external_userid for row in rows], at), batch.brand_id, batch.pk],
        )
        return list(cursor.fetchall())


def _update_groups(batch: Batch, rows: Sequence[SendResult], at: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE campaigns_groupdelivery d
            SET status = r.status, reason = r.reason, delivered_at = r.sent_at, updated_at = %s
            FROM unnest(%s::text[], %s::text[], %s::text[], %s::timestamptz[]) AS r (chat_id, status, reason, sent_at)
            JOIN contacts_groupchat g ON g.brand_id = %s AND g.chat_id = r.chat_id
            WHERE d.brand_id = g.brand_id AND d.chat_id = g.id AND d.batch_id = %s
              AND d.status IN ('created', 'unconfirmed')
            """,
            [at, *_columns(rows, [row.chat_id for row in rows], at), batch.brand_id, batch.pk],
        )


def _news(batch: Batch, contact_id: int, status: str, reason: str, delivered_at: datetime | None) -> NewEvent:
    delivered = status == DeliveryStatus.DELIVERED
    props: dict[str, object] = {"push_id": batch.push_id, "channel": batch.push.channel}
    props |= {"staff_id": batch.staff_id} if delivered else {"reason": reason}
    # The made id needs a fixed moment beside it, for the two are the row's key: a failure has the task's.
    moment = delivered_at or batch.created_at
    assert moment is not None  # noqa: S101 - only created batches are polled
    return NewEvent(
        type="message_delivered" if delivered else "message_failed",
        occurred_at=moment,
        id=made_id(batch.brand_id, "delivery", batch.push_id, contact_id, status),
        contact_id=contact_id,
        props=props,
    )
