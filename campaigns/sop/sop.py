"""SOPs: an event takes a contact in, steps wait and send, a goal takes them out at once.

A published version never changes; contacts inside finish on theirs. The future is a column: `due_at` says when a
contact's next step is due, and `advance` moves all that are due, set at a time. Each moved crowd becomes a push (one
per corp), which is planned, budgeted and sent like any other; `SopTouch` is its audience."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Exists, Max, Min, OuterRef
from django.utils.translation import gettext as _

from campaigns.models import Channel, Content, Enrolment, Push, Sop, SopVersion, Variant
from events import catalogue
from events.reactors import Batch as EventBatch
from events.reactors import EventRow
from scrm.lib.errors import FieldError, Invalid, found
from tagging.segments import segments
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
        errors += _renamed(catalogue.check(goal_event, {}, sender="system"), "goal_event", "")
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
    """Stop enrolling and advancing; those inside stay where they are, and goals still take them out. Scoped."""
    sop = found(Sop.objects.filter(pk=sop_id))
    Sop.objects.filter(pk=sop.pk).update(enabled=False)
    audit.record(actor=actor, action="sop.pause", object_type="sop", object_id=sop.pk, at=at)


def react(batch: EventBatch) -> None:
    """Triggers take contacts in, goals take them out. Scoped; an event seen again changes nothing.

    A contact who is inside an SOP is not taken in again until they have left it."""
    for version in _live_versions():
        rows = [row for row in batch.rows if _triggers(version.trigger, row)]
        if rows:
            _enrol(version, rows)
    # Afterwards: whoever came in and reached the goal within one batch is out again.
    _reach_goals(batch)


def advance(*, at: datetime) -> list[int]:
    """Move every contact whose next step is due, one push per version, step and corp; returns the pushes to plan.

    Scoped. Safe to run twice: whom the first run moved is no longer due."""
    due = Enrolment.objects.filter(sop_version=OuterRef("pk"), status=Enrolment.Status.ACTIVE, due_at__lte=at)
    versions = SopVersion.objects.filter(Exists(due), sop__enabled=True).select_related("sop").order_by("pk")
    steps = [(version, number) for version in versions for number in range(len(version.steps))]
    return [push_id for version, number in steps for push_id in _advance_step(version, number, at)]


# As the plan chooses the guide: who is followed in several corps is written to from the one that talked last.
HOMES = """
SELECT coalesce(h.corp_id, (SELECT min(c.id) FROM wecom_corp c WHERE c.brand_id = %(brand)s)) AS corp_id,
  array_agg(DISTINCT e.contact_id)
FROM campaigns_enrolment e
LEFT JOIN LATERAL (
  SELECT s.corp_id FROM contacts_follow f JOIN contacts_staff s ON s.brand_id = f.brand_id AND s.id = f.staff_id
  WHERE f.brand_id = e.brand_id AND f.contact_id = e.contact_id AND f.lost_at IS NULL
  ORDER BY (s.is_guide AND s.left_at IS NULL) DESC, f.last_interacted_at DESC NULLS LAST, f.added_at DESC, f.staff_id
  LIMIT 1) h ON TRUE
WHERE e.brand_id = %(brand)s AND e.id = ANY (%(ids)s)
GROUP BY 1 ORDER BY 1"""


def _advance_step(version: SopVersion, number: int, at: datetime) -> list[int]:
    """Move whose time has come; the pushes that will write to them, one for each corp that has any."""
    due = Enrolment.objects.filter(
        sop_version=version, step=number, status=Enrolment.Status.ACTIVE, due_at__lte=at
    ).order_by("due_at", "id")
    # Rows that another run holds are its crowd.
    ids = list(due.select_for_update(of=("self",), skip_locked=True).values_list("pk", flat=True)[:CROWD])
    if not ids:
        return []
    made = []
    with connection.cursor() as cursor:
        cursor.execute(HOMES, {"brand": version.brand_id, "ids": ids})
        for corp_id, contact_ids in cursor.fetchall():
            made.append(int(_push(version, number, corp_id, at).pk))
            cursor.execute(
                "INSERT INTO campaigns_soptouch (brand_id, push_id, contact_id)"
                " SELECT %s, %s, k FROM unnest(%s::bigint[]) AS k",
                [version.brand_id, made[-1], contact_ids],
            )
    moved = Enrolment.objects.filter(pk__in=ids)
    if number + 1 < len(version.steps):
        moved.update(step=number + 1, due_at=at + timedelta(seconds=version.steps[number + 1]["wait_seconds"]))
    else:
        moved.update(status=Enrolment.Status.DONE, step=number + 1, due_at=None, left_at=at)
    return made


def _push(version: SopVersion, number: int, corp_id: int | None, at: datetime) -> Push:
    step = version.steps[number]
    push = Push.objects.create(
        name=f"{version.sop.name[:50]} · {number + 1}",
        channel=Channel.SINGLE,
        status=Push.Status.SCHEDULED,
        corp_id=corp_id,
        scheduled_at=at,
        sop_version=version,
        sop_step=number,
        created_at=at,
        created_by="system",
    )
    touched = {"kind": "sop_touch", "push_id": push.pk}
    push.segment_tree = {"all": [touched, step["condition"]] if step["condition"] else [touched]}
    push.save(update_fields=["segment_tree"])
    Variant.objects.create(push=push, position=0, name="", content_id=step["content_id"])
    return push


def _live_versions() -> list[SopVersion]:
    """The newest version of each enabled SOP."""
    versions = SopVersion.objects.filter(sop__enabled=True).select_related("sop").order_by("sop_id", "-number")
    return list({version.sop_id: version for version in reversed(versions)}.values())


def _triggers(trigger: Mapping[str, Any], row: EventRow) -> bool:
    wanted = trigger.get("where") or {}
    return row.type == trigger["event"] and all(row.props.get(name) == value for name, value in wanted.items())


# An event from before the SOP was first published does not count, nor one from while the contact was inside.
ENROL = """
INSERT INTO campaigns_enrolment (brand_id, id, sop_version_id, contact_id, status, reason, step, due_at, entered_at)
SELECT DISTINCT ON (r.contact_id) c.brand_id,
  made_id(concat_ws(':', c.brand_id, 'enrolment', %(sop)s, r.contact_id, r.event_id)), %(version)s, r.contact_id,
  'active', '', 0, r.occurred_at + make_interval(secs => %(wait)s), r.occurred_at
FROM unnest(%(contacts)s::bigint[], %(events)s::uuid[], %(moments)s::timestamptz[])
  AS r (contact_id, event_id, occurred_at)
JOIN contacts_contact c ON c.brand_id = %(brand)s AND c.id = r.contact_id
WHERE r.occurred_at >= %(since)s AND NOT EXISTS (
  SELECT 1 FROM campaigns_enrolment e JOIN campaigns_sopversion v ON v.brand_id = e.brand_id AND v.id = e.sop_version_id
  WHERE e.brand_id = %(brand)s AND e.contact_id = r.contact_id AND v.sop_id = %(sop)s
    AND (e.status = 'active' OR r.occurred_at BETWEEN e.entered_at AND e.left_at))
ORDER BY r.contact_id, r.occurred_at, r.event_id
ON CONFLICT DO NOTHING"""


def _enrol(version: SopVersion, rows: Sequence[EventRow]) -> None:
    since = SopVersion.objects.filter(sop=version.sop_id).aggregate(first=Min("published_at"))["first"]
    words = {
        "brand": version.brand_id,
        "sop": version.sop_id,
        "version": version.pk,
        "wait": version.steps[0]["wait_seconds"],
        "since": since,
        "contacts": [row.contact_id for row in rows],
        "events": [row.id for row in rows],
        "moments": [row.occurred_at for row in rows],
    }
    with connection.cursor() as cursor:
        cursor.execute(ENROL, words)


REACH = """
UPDATE campaigns_enrolment e
SET status = 'goal', reason = left(r.type, 40), due_at = NULL, left_at = r.occurred_at
FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[]) AS r (contact_id, type, occurred_at)
JOIN campaigns_sopversion v ON v.goal_event = r.type
WHERE v.brand_id = %s AND e.brand_id = v.brand_id AND e.sop_version_id = v.id AND e.contact_id = r.contact_id
  AND e.status = 'active' AND r.occurred_at >= e.entered_at"""


def _reach_goals(batch: EventBatch) -> None:
    goals = set(SopVersion.objects.exclude(goal_event="").values_list("goal_event", flat=True))
    rows = [row for row in batch.rows if row.type in goals]
    if rows:
        columns: list[list[Any]] = [
            [row.contact_id for row in rows],
            [row.type for row in rows],
            [row.occurred_at for row in rows],
        ]
        with connection.cursor() as cursor:
            cursor.execute(REACH, [*columns, batch.brand_id])


def _trigger_errors(trigger: Mapping[str, Any]) -> list[FieldError]:
    where = trigger.get("where") or {}
    if not isinstance(where, Mapping):
        message = _("条件应是“属性: 值”的对象。")
        return [FieldError("trigger.where", "sop.where", message, _("不需要条件时请留空。"))]
    return _renamed(
        catalogue.check(str(trigger.get("event") or ""), where, sender="system"), "trigger.event", "trigger.where"
    )


def _renamed(errors: Sequence[FieldError], event: str, where: str) -> list[FieldError]:
    """The catalogue's errors, which speak of `type` and `props`, in the words of our input."""
    return [
        replace(error, field=event if error.field == "type" else error.field.replace("props", where, 1))
        for error in errors
    ]


def _step_errors(steps: Sequence[Step]) -> list[FieldError]:
    if not 1 <= len(steps) <= MOST_STEPS:
        return [FieldError("steps", "sop.steps", _("流程应有 1 到 %d 步。") % MOST_STEPS)]
    single = Content.objects.filter(pk__in=[step.content_id for step in steps], channel=Channel.SINGLE)
    known = set(single.values_list("pk", flat=True))
    errors = []
    for index, step in enumerate(steps):
        path = f"steps.{index}"
        if not 0 <= step.wait_seconds <= LONGEST_WAIT.total_seconds():
            errors.append(FieldError(f"{path}.wait_seconds", "sop.wait", _("等待应在 0 秒到 365 天之间。")))
        if step.content_id not in known:
            message = _("没有这个单聊内容。")
            errors.append(FieldError(f"{path}.content_id", "sop.no_content", message, _("请先在内容库新建。")))
        if step.condition is not None:
            errors += _condition_errors(step.condition, f"{path}.condition")
    return errors


def _condition_errors(condition: Mapping[str, Any], path: str) -> list[FieldError]:
    try:
        segments.check(condition, path=path)
    except Invalid as wrong:
        return list(wrong.errors)
    return []
