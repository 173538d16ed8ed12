"""SOPs: an event takes a contact in, steps wait and send, a goal takes them out at once.

A published version never changes; contacts inside finish on theirs. The future is a column: `due_at` says when a
contact's next step is due, and `advance` moves all that are due, set at a time. Each moved crowd becomes one push,
which is planned, budgeted and sent like any other; `SopTouch` is its audience."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Max
from django.utils.translation import gettext as _

from campaigns.models import Channel, Content, Enrolment, Push, Sop, SopVersion, Variant
from events import catalogue
from events.reactors import Batch as EventBatch
from scrm.lib.errors import FieldError, Invalid, found
from scrm.lib.ids import made_id
from tenants import audit
from tenants.actors import Actor

REACTOR = "campaigns.sop"
MOST_STEPS = 20
LONGEST_WAIT = timedelta(days=365)
CROWD = 5000
"""contacts moved per transaction: about a second's work"""


@dataclass(frozen=True, slots=True)
class Step:
    """Wait `wait_seconds`, then send the content to those who match `condition` (empty: all)."""

    wait_seconds: int
    content_id: int
    condition: Mapping[str, Any] | None = None


def publish(
    *,
    sop_id: int,
    trigger: Mapping[str, Any],
    steps: Sequence[Step],
    goal_event: str = "",
    actor: Actor,
    at: datetime,
) -> SopVersion:
    """Make a new immutable version live. `trigger` is {"event": type, "where": {property: value}}. Scoped.

    Contacts inside an older version finish on it. Raises Invalid naming the field, or NotFound."""
    sop = found(Sop.objects.select_for_update(of=("self",)).filter(pk=sop_id))
    errors = [*_trigger_errors(trigger), *_step_errors(steps)]
    if goal_event and not catalogue.is_known(goal_event):
        errors.append(_unknown_event("goal_event", goal_event))
    if errors:
        raise Invalid(_("流程没有发布。"), errors=errors)
    number = (SopVersion.objects.filter(sop=sop).aggregate(last=Max("number"))["last"] or 0) + 1
    version = SopVersion.objects.create(
        sop=sop,
        number=number,
        trigger=dict(trigger),
        steps=[
            {"wait_seconds": step.wait_seconds, "content_id": step.content_id, "condition": step.condition}
            for step in steps
        ],
        goal_event=goal_event,
        published_at=at,
    )
    Sop.objects.filter(pk=sop.pk).update(enabled=True)
    audit.record(
        actor=actor, action="sop.publish", object_type="sop", object_id=sop.pk, after={"version": number}, at=at
    )
    return version


def pause(*, sop_id: int, actor: Actor, at: datetime) -> None:
    """Stop enrolling and advancing; those inside stay where they are. Scoped."""
    sop = found(Sop.objects.filter(pk=sop_id))
    Sop.objects.filter(pk=sop.pk).update(enabled=False)
    audit.record(actor=actor, action="sop.pause", object_type="sop", object_id=sop.pk, at=at)


def react(batch: EventBatch) -> None:
    """Goals take contacts out, triggers take them in. Scoped; an event seen again changes nothing.

    A contact who is inside an SOP is not taken in again until they have left it."""
    for version in _live_versions():
        if version.goal_event:
            _reach_goal(version, batch)
        rows = [row for row in batch.rows if _triggers(version.trigger, row.type, row.props)]
        if rows:
            _enrol(version, [(row.contact_id, str(row.id), row.occurred_at) for row in rows], batch.at)


def advance(*, at: datetime) -> list[int]:
    """Move every contact whose next step is due, one push per version and step; returns the pushes to plan. Scoped.

    Safe to run twice: whom the first run moved is no longer due."""
    pushes = []
    for version in _live_versions(inside=True):
        for number in range(len(version.steps)):
            push_id = _advance_step(version, number, at)
            if push_id:
                pushes.append(push_id)
    return pushes


def _advance_step(version: SopVersion, number: int, at: datetime) -> int | None:
    due = Enrolment.objects.filter(
        sop_version=version, step=number, status=Enrolment.Status.ACTIVE, due_at__lte=at
    ).order_by("due_at", "id")
    ids = list(due.select_for_update(of=("self",), skip_locked=True).values_list("pk", "contact_id")[:CROWD])
    if not ids:
        return None
    push = _push(version, number, at)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO campaigns_soptouch (brand_id, push_id, contact_id)"
            " SELECT DISTINCT %s::bigint, %s::bigint, c FROM unnest(%s::bigint[]) AS c ON CONFLICT DO NOTHING",
            [version.brand_id, push.pk, [contact for _pk, contact in ids]],
        )
    last = number + 1 >= len(version.steps)
    moved = Enrolment.objects.filter(pk__in=[pk for pk, _contact in ids])
    if last:
        moved.update(status=Enrolment.Status.DONE, step=number + 1, due_at=None, left_at=at)
    else:
        wait = timedelta(seconds=version.steps[number + 1]["wait_seconds"])
        moved.update(step=number + 1, due_at=at + wait)
    return int(push.pk)


def _push(version: SopVersion, number: int, at: datetime) -> Push:
    step = version.steps[number]
    touched: dict[str, Any] = {"kind": "sop_touch", "push_id": 0}
    push = Push.objects.create(
        name=f"{version.sop.name} · {number + 1}",
        channel=Channel.SINGLE,
        status=Push.Status.SCHEDULED,
        scheduled_at=at,
        sop_version=version,
        sop_step=number,
        created_at=at,
        created_by="system",
    )
    touched["push_id"] = push.pk
    tree = {"all": [touched, step["condition"]]} if step["condition"] else {"all": [touched]}
    Push.objects.filter(pk=push.pk).update(segment_tree=tree)
    Variant.objects.create(push=push, position=0, name="", content_id=step["content_id"])
    return push


def _live_versions(*, inside: bool = False) -> list[SopVersion]:
    """The newest version of each enabled SOP; with `inside` also older ones that still hold contacts."""
    versions = SopVersion.objects.filter(sop__enabled=True).select_related("sop").order_by("sop_id", "-number")
    if inside:
        return [v for v in versions if Enrolment.objects.filter(sop_version=v, status=Enrolment.Status.ACTIVE).exists()]
    newest: dict[int, SopVersion] = {}
    for version in versions:
        newest.setdefault(version.sop_id, version)
    return list(newest.values())


def _triggers(trigger: Mapping[str, Any], kind: str, props: Mapping[str, Any]) -> bool:
    wanted = trigger.get("where") or {}
    return kind == trigger["event"] and all(props.get(name) == value for name, value in wanted.items())


def _enrol(version: SopVersion, rows: Sequence[tuple[int, str, datetime]], at: datetime) -> None:
    wait = timedelta(seconds=version.steps[0]["wait_seconds"])
    first = {contact: (event, moment) for contact, event, moment in reversed(rows)}
    inside = set(
        Enrolment.objects.filter(
            sop_version__sop_id=version.sop_id, contact_id__in=list(first), status=Enrolment.Status.ACTIVE
        ).values_list("contact_id", flat=True)
    )
    Enrolment.objects.bulk_create(
        [
            Enrolment(
                id=made_id(version.brand_id, "enrolment", version.sop_id, contact, event),
                sop_version=version,
                contact_id=contact,
                due_at=at + wait,
                entered_at=at,
            )
            for contact, (event, _moment) in first.items()
            if contact not in inside
        ],
        ignore_conflicts=True,
    )


def _reach_goal(version: SopVersion, batch: EventBatch) -> None:
    reached = [row.contact_id for row in batch.rows if row.type == version.goal_event]
    if reached:
        Enrolment.objects.filter(
            sop_version__sop_id=version.sop_id, contact_id__in=reached, status=Enrolment.Status.ACTIVE
        ).update(status=Enrolment.Status.GOAL, reason=version.goal_event, due_at=None, left_at=batch.at)


def _trigger_errors(trigger: Mapping[str, Any]) -> list[FieldError]:
    event = trigger.get("event")
    known = isinstance(event, str) and catalogue.is_known(event)
    return [] if known else [_unknown_event("trigger.event", event)]


def _unknown_event(field: str, value: object) -> FieldError:
    return FieldError(
        field, "event.unknown", _("没有名为“%s”的行为。") % value, _("请从行为目录中选择，品牌自己的行为以 x_ 开头。")
    )


def _step_errors(steps: Sequence[Step]) -> list[FieldError]:
    if not 1 <= len(steps) <= MOST_STEPS:
        return [FieldError("steps", "steps.count", _("流程应有 1 到 %d 步。") % MOST_STEPS)]
    known = set(
        Content.objects.filter(pk__in=[s.content_id for s in steps], channel=Channel.SINGLE).values_list(
            "pk", flat=True
        )
    )
    errors = []
    for index, step in enumerate(steps):
        if not 0 <= step.wait_seconds <= LONGEST_WAIT.total_seconds():
            errors.append(FieldError(f"steps[{index}].wait_seconds", "wait.range", _("等待应在 0 秒到 365 天之间。")))
        if step.content_id not in known:
            message = _("没有这个单聊内容。")
            errors.append(FieldError(f"steps[{index}].content_id", "content.unknown", message, _("请先在内容库新建。")))
    return errors
