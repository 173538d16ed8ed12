"""What tick and workers do for the pushes of a telling."""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Min, Q

from bench.soak.telling import LONGEST, Stuck, Telling
from campaigns.confirming import confirm
from campaigns.contents import contents
from campaigns.dispatch import dispatch, lost_answers, results
from campaigns.models import Batch, Channel, Push
from campaigns.moments import moments
from campaigns.planning import plan
from campaigns.pushes import pushes
from tenants.actors import SYSTEM

OPEN = (Batch.Status.PENDING, Batch.Status.CLAIMED, Batch.Status.UNKNOWN, Batch.Status.CREATED)


def push(telling: Telling, channel: str, text: str) -> None:
    """A push to everybody, sent by the loops."""
    with telling.scope():
        said = contents.save(name=text, channel=channel, text=text, actor=SYSTEM, at=telling.at)
        draft = pushes.Draft(name=text, channel=channel, variants=[pushes.VariantDraft(said.pk)])
        made = pushes.create(draft=draft, actor=SYSTEM, at=telling.at)
        Push.objects.filter(pk=made.pk).update(status=Push.Status.SCHEDULED, scheduled_at=telling.at)
    plan.plan(brand_id=telling.brand.pk, push_id=made.pk, at=telling.at)


def loops(telling: Telling, *, rounds: int) -> None:
    """What tick and workers do, `rounds` times, each at the next moment at which anything is due."""
    for _round in range(rounds):
        _tick(telling)
        telling.heard()
        telling.simulator.act("settle", corpid=telling.corpid)
        if (due := _next_due(telling)) is None:
            return
        telling.later(max(due - telling.at, timedelta(minutes=1)))


def to_the_end(telling: Telling) -> None:
    """The loops until no batch is open."""
    until = telling.at + LONGEST
    while _next_due(telling) is not None:
        if telling.at > until:
            with telling.scope():
                rows = Batch.objects.filter(status__in=OPEN)
                left = list(rows.values_list("push__name", "status", "error_code"))
            raise Stuck(f"batches do not end: {left}")
        loops(telling, rounds=3)
        with telling.scope():
            only_looks = not Batch.objects.filter(status__in=OPEN).exclude(status=Batch.Status.CREATED).exists()
        if only_looks:
            # Who has not been shown it by now deleted the guide: each look in between would tell the same.
            telling.later(timedelta(days=2))


def _tick(telling: Telling) -> None:
    with telling.scope():
        dispatch.find_stale(at=telling.at)
        results.finish(at=telling.at)
        rows = list(Batch.objects.select_related("push").order_by("push_id", "pk"))
    for batch in rows:
        telling.met(lambda batch=batch: _work(telling, batch))  # type: ignore[misc]


def _work(telling: Telling, batch: Batch) -> None:
    whose: dict[str, Any] = {
        "brand_id": telling.brand.pk,
        "batch_id": batch.pk,
        "wecom": telling.wecom,
        "at": telling.at,
    }
    is_moment = batch.push.channel == Channel.MOMENTS
    status = Batch.Status
    if batch.status in (status.PENDING, status.CLAIMED) and batch.due_at <= telling.at:
        if is_moment:
            while moments.advance(**whose):
                pass
        elif batch.status == status.PENDING:
            dispatch.send(**whose)
    elif batch.status == status.UNKNOWN and batch.due_at <= telling.at:
        telling.survived["batch unknown, WeCom asked"] += 1
        (moments if is_moment else lost_answers).reconcile(**whose)
    elif batch.status == status.CREATED and batch.poll_due_at and batch.poll_due_at <= telling.at:
        confirm.follow(**whose)


def _next_due(telling: Telling) -> datetime | None:
    with telling.scope():
        rows = Batch.objects.filter(status__in=OPEN)
        found = rows.aggregate(
            act=Min("due_at", filter=~Q(status=Batch.Status.CREATED)),
            look=Min("poll_due_at", filter=Q(status=Batch.Status.CREATED)),
        )
    times = [moment for moment in found.values() if moment is not None]
    return min(times) if times else None
