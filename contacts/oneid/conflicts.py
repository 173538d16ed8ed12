"""Evidence that contradicts itself: the queue, and what an operator decides."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from contacts import gone
from contacts.merging.operations import Wanted, merge, split
from contacts.models import Contact, IdentityConflict, Merge
from scrm.lib.errors import FieldError, Invalid, NotFound, Refused, found
from scrm.lib.ids import made_id
from tenants import audit
from tenants.actors import Actor
from tenants.scope import current_brand_id

Resolution = IdentityConflict.Resolution
LONGEST_REASON = 200


@dataclass(frozen=True, slots=True)
class Sides:
    """A conflict with the two contacts it means today; `other` is None for a value that was held back."""

    conflict: IdentityConflict
    one: Contact | None
    other: Contact | None


def waiting() -> "QuerySet[IdentityConflict]":
    """Open conflicts, latest first. Scoped."""
    return IdentityConflict.objects.filter(resolved_at=None).order_by("-seen_at", "pk")


def named(conflict_id: str) -> IdentityConflict:
    """One conflict. Scoped. Raises NotFound, also for what is no id."""
    try:
        number = UUID(conflict_id)
    except ValueError as bad:
        raise NotFound(_("没有这条冲突。")) from bad
    return found(IdentityConflict.objects.filter(pk=number))


def number_of(contact_id: int) -> int:
    """How many open conflicts are about a contact, or about who was merged into it. Scoped."""
    with gone.shown():
        aliases = Contact.objects.filter(merged_into=contact_id).values("pk")
        here = Q(contact=contact_id) | Q(other=contact_id) | Q(contact__in=aliases) | Q(other__in=aliases)
        return waiting().filter(here).count()


def sides(conflicts: "list[IdentityConflict]") -> list[Sides]:
    """Whom they are about today. Scoped; two queries."""
    now = gone.current({each for row in conflicts for each in (row.contact_id, row.other_id) if each})
    people = Contact.objects.select_related("main_guide__store").in_bulk(set(now.values()))
    return [
        Sides(row, people.get(now.get(row.contact_id, 0)), people.get(now.get(row.other_id or 0, 0)))
        for row in conflicts
    ]


def merge_sides(*, conflict_id: UUID, survivor_id: int, reason: str, actor: Actor, at: datetime) -> list[int]:
    """They are one person after all: merge into `survivor_id`, one of the two. Scoped. Returns the merge's number.

    Raises NotFound, Invalid without a reason, Refused when it is settled or has no second contact."""
    row = _open(conflict_id, reason)
    if row.other_id is None:
        raise Refused(_("这条冲突只有一位客户，没有可合并的对象。"), code="conflict.one_sided")
    now = gone.current([row.contact_id, row.other_id, survivor_id])
    pair = {now.get(row.contact_id, 0), now.get(row.other_id, 0)}
    if now.get(survivor_id) not in pair:
        raise Invalid(
            _("有字段不正确。"),
            errors=[FieldError("survivor_id", "conflict.not_a_side", _("保留的客户应是冲突双方之一。"))],
        )
    made: list[int] = []
    for other in pair - {now[survivor_id], 0}:  # none if they have become one in the meantime
        made = merge_people(
            survivor_id=survivor_id, loser_id=other, reason=reason, actor=actor, at=at, evidence=row.evidence
        )
    _settle(row, Resolution.MERGED, reason, actor, at)
    return made


def keep_apart(*, conflict_id: UUID, reason: str, actor: Actor, at: datetime) -> None:
    """They are two people (or the value held back is wrong): the same evidence is not asked about again. Scoped.

    Raises NotFound, Invalid without a reason, Refused when it is settled."""
    row = _open(conflict_id, reason)
    _settle(row, Resolution.KEPT_APART, reason, actor, at)
    audit.record(
        actor=actor,
        action="contact.keep_apart",
        object_type="contact",
        object_id=row.contact_id,
        after={"other_id": row.other_id, "reason": reason},
        at=at,
    )


def merge_people(
    *,
    survivor_id: int,
    loser_id: int,
    reason: str,
    actor: Actor,
    at: datetime,
    evidence: Mapping[str, Any] | None = None,
) -> list[int]:
    """Merge two contacts by hand; the number of the merge, or nothing if they are one already. Scoped, audited.

    Raises NotFound, Invalid without a reason."""
    _check(reason)
    made = merge(wanted=[Wanted(survivor_id, loser_id, dict(evidence or {}))], actor=actor, reason=reason, at=at)
    for merge_id in made:
        audit.record(
            actor=actor,
            action="contact.merge",
            object_type="contact",
            object_id=survivor_id,
            after={"loser_id": loser_id, "merge_id": merge_id, "reason": reason},
            at=at,
        )
    return made


def split_people(*, merge_id: int, reason: str, actor: Actor, at: datetime) -> Merge:
    """Undo a merge, and remember that these are two people: evidence will not unite them again. Scoped, audited.

    Raises NotFound, Conflict when it was split before, Invalid without a reason."""
    _check(reason)
    row = found(Merge.objects.filter(pk=merge_id))
    split(merge_ids=[merge_id], actor=actor, reason=reason, at=at)
    low, high = sorted((row.survivor_id, row.loser_id))
    IdentityConflict.objects.update_or_create(
        pk=made_id(current_brand_id(), "identity_conflict", low, high),
        defaults={
            "contact_id": low,
            "other_id": high,
            "evidence": row.evidence,
            "seen_at": row.merged_at,
            "resolved_at": at,
            "resolution": Resolution.KEPT_APART,
            "resolved_by": (actor.label or actor.id)[:100],
            "reason": reason,
        },
    )
    audit.record(
        actor=actor,
        action="contact.split",
        object_type="contact",
        object_id=row.survivor_id,
        after={"loser_id": row.loser_id, "merge_id": merge_id, "reason": reason},
        at=at,
    )
    row.refresh_from_db()
    return row


def _open(conflict_id: UUID, reason: str) -> IdentityConflict:
    _check(reason)
    row = found(IdentityConflict.objects.select_for_update(of=("self",)).filter(pk=conflict_id))
    if row.resolved_at is not None:
        raise Refused(_("这条冲突已经处理过了。"), remedy=_("刷新页面看结果。"), code="conflict.settled")
    return row


def _settle(row: IdentityConflict, resolution: Resolution, reason: str, actor: Actor, at: datetime) -> None:
    IdentityConflict.objects.filter(pk=row.pk).update(
        resolved_at=at, resolution=resolution, resolved_by=(actor.label or actor.id)[:100], reason=reason
    )


def _check(reason: str) -> None:
    if not 0 < len(reason.strip()) <= LONGEST_REASON:
        message = _("请写下理由，最多 %d 个字符。") % LONGEST_REASON
        raise Invalid(_("有字段不正确。"), errors=[FieldError("reason", "reason.missing", message)])
