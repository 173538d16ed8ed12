"""Reminders that somebody asks for: noted first, then done by a task: thousands of calls for thousands of guides."""

from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from campaigns.confirming import confirm
from campaigns.models import Batch, Channel, Push, Reminder
from scrm.lib.errors import DomainError, Refused, found
from tenants.actors import Actor
from tenants.scope import brand_scope
from wecom.client import client_for

RUNS_AT_MOST = timedelta(minutes=30)
"""a reminder that began before and did not end was cut short: its worker was killed"""
CUT_SHORT, NOBODY = "campaigns.remind_cut_short", "campaigns.nobody_to_remind"


def ask(*, push_id: int, actor: Actor, at: datetime) -> Reminder:
    """Note that the guides of a push are to be reminded. Scoped. While a reminder is under way, it is that one.

    Raises NotFound, or Refused when nothing waits for a guide."""
    push = found(Push.objects.filter(pk=push_id).select_for_update(of=("self",)))
    under_way = Reminder.objects.filter(push=push, done_at=None).first()
    if under_way is not None:
        return under_way
    waiting = Batch.objects.filter(push=push, status=Batch.Status.CREATED, confirmed_at=None)
    if push.channel == Channel.MOMENTS or not waiting.exists():
        raise Refused(_("没有等待确认的导购。"), code=NOBODY)
    return Reminder.objects.create(
        push=push, asked_at=at, due_at=at, asked_by=actor.id, asked_by_label=actor.label[:100]
    )


def due(*, at: datetime, again_at: datetime) -> list[int]:
    """Reminders that no task has begun; they are due once more at `again_at`. Scoped. Two at once share them.

    One whose worker was killed ends here, so that another may be asked for."""
    under_way = list(Reminder.objects.filter(done_at=None).select_for_update(skip_locked=True))
    cut_short = [each.pk for each in under_way if each.started_at and each.started_at < at - RUNS_AT_MOST]
    if cut_short:
        Reminder.objects.filter(pk__in=cut_short).update(done_at=at, problem_code=CUT_SHORT)
    ids = [each.pk for each in under_way if each.started_at is None and each.due_at <= at]
    if ids:
        Reminder.objects.filter(pk__in=ids).update(due_at=again_at)
    return ids


def carry_out(*, brand_id: int, reminder_id: int, at: datetime) -> None:
    """Remind, at most once; what came of it is noted. Opens its own scopes. A refusal is an end like any other."""
    with brand_scope(brand_id):
        if not Reminder.objects.filter(pk=reminder_id, started_at=None, done_at=None).update(started_at=at):
            return
        reminder = Reminder.objects.select_related("push").get(pk=reminder_id)
    actor = Actor(reminder.asked_by, reminder.asked_by_label)
    tasks, problem = 0, ""
    try:
        wecom = client_for(brand_id=brand_id, corp_id=reminder.push.corp_id)
        tasks = confirm.remind(brand_id=brand_id, push_id=reminder.push_id, wecom=wecom, at=at, actor=actor)
    except DomainError as refusal:  # nobody to remind any more, or WeCom's trouble, which the corp's page tells too
        problem = refusal.problem_code
    with brand_scope(brand_id):
        Reminder.objects.filter(pk=reminder_id).update(done_at=at, tasks=tasks, problem_code=problem)
