"""Guides confirm what is sent: reminding them, taking tasks back, and closing what nobody confirmed."""

from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import F
from django.utils.translation import gettext as _

from campaigns import results
from campaigns.models import Batch, Channel, Delivery, DeliveryStatus, GroupDelivery, Push
from campaigns.reasons import Reason
from scrm.lib.errors import Refused
from tenants.scope import brand_scope
from wecom.client import WeComClient
from wecom.errors import Gone, StillDispatching

CONFIRM_WITHIN = timedelta(days=7)
"""then the task is taken back, and what it had reserved of the budget is free again"""


def remind(*, brand_id: int, push_id: int, wecom: WeComClient, at: datetime) -> int:
    """Remind the guides of a push who have not confirmed; returns how many tasks. Opens its own scopes.

    WeCom takes 3 reminders a task in 24 hours (reference §12.3). Raises Refused when nothing waits for a guide, and
    Throttled when WeCom has had enough."""
    with brand_scope(brand_id):
        waiting = list(
            Batch.objects.filter(push_id=push_id, status=Batch.Status.CREATED, confirmed_at=None)
            .exclude(push__channel=Channel.MOMENTS)
            .values_list("pk", "msgid")
        )
    if not waiting:
        raise Refused(_("没有等待确认的导购。"), code="campaigns.nobody_to_remind")
    for batch_id, msgid in waiting:
        wecom.remind(msgid=msgid)
        with brand_scope(brand_id):
            Batch.objects.filter(pk=batch_id).update(reminders=F("reminders") + 1)
    return len(waiting)


def take_back(*, brand_id: int, batch_id: UUID, wecom: WeComClient, at: datetime, reason: Reason) -> None:
    """Stop guides who have not sent yet; what was sent stays sent, and is recorded. Opens its own scopes.

    `reason` is NOT_CONFIRMED (time is up) or CANCELLED (the push was)."""
    with brand_scope(brand_id):
        batch = Batch.objects.select_related("push", "staff").filter(pk=batch_id).first()
    if batch is None or batch.status != Batch.Status.CREATED:
        return
    # Record what was sent first: WeCom answers nothing about a task once it is cancelled (41093).
    sent = []
    if batch.push.channel != Channel.MOMENTS:
        try:
            tasks = [task for task in results.all_tasks(wecom, batch.msgid) if task.sent_at]
            sent = [row for task in tasks for row in results.all_results(wecom, batch.msgid, task.userid)]
            wecom.cancel_message(msgid=batch.msgid)
        except (Gone, StillDispatching):
            sent = sent or []
    elif batch.msgid:
        wecom.cancel_moment(moment_id=batch.msgid)
    left = DeliveryStatus.CANCELLED if reason == Reason.CANCELLED else DeliveryStatus.UNCONFIRMED
    with brand_scope(brand_id):
        results.record(batch=batch, rows=sent, at=at)
        for model in (Delivery, GroupDelivery):
            open_ones = model.objects.filter(batch_id=batch_id, status=DeliveryStatus.CREATED)
            open_ones.update(status=left, reason=reason, updated_at=at)
        final = Batch.Status.CANCELLED if reason == Reason.CANCELLED else Batch.Status.FINAL
        Batch.objects.filter(pk=batch_id).update(status=final, poll_due_at=None)
        results.settle(push_id=batch.push_id, at=at)


def overdue(*, at: datetime, limit: int = 50) -> list[UUID]:
    """Created batches whose guides had their time, and those of cancelled pushes. Scoped."""
    created = Batch.objects.filter(status=Batch.Status.CREATED)
    late = created.filter(created_at__lt=at - CONFIRM_WITHIN) | created.filter(push__status=Push.Status.CANCELLED)
    return list(late.values_list("pk", flat=True)[:limit])
