"""What an operator does with points: rules on and off, adjustments, reversals; each one audit row. Scoped."""

from datetime import datetime
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from points import ledger, rules
from points.ledger import Posted
from points.models import EarnRule
from scrm.lib.errors import FieldError, Invalid, found
from tenants import audit
from tenants.actors import Actor

MOST_POINTS = 1_000_000


def switch_rule(*, rule_id: int, enabled: bool, actor: Actor, at: datetime) -> None:
    """Turn an earn rule on or off; points given stay. Switching twice is once. Raises NotFound."""
    rule = found(EarnRule.objects.filter(pk=rule_id))
    if rule.enabled != enabled:
        rules.save(
            name=rule.name,
            event_type=rule.event_type,
            points=rule.points,
            per_day=rule.per_day,
            keep_days=rule.keep_days,
            enabled=enabled,
            rule_id=rule_id,
            actor=actor,
            at=at,
        )


def adjust(*, contact_id: int, points: int, note: str, key: str, actor: Actor, at: datetime) -> Posted:
    """Give (> 0) or take (< 0) points by hand, with a reason that people will read. A repeat of `key` does nothing.

    Raises Invalid, InsufficientPoints, KeyReused."""
    errors = []
    if not note.strip():
        errors.append(FieldError("note", "required", _("请写明原因，它会出现在流水里。")))
    if points == 0 or abs(points) > MOST_POINTS:
        errors.append(FieldError("points", "range", _("调整值应在 −1,000,000 到 1,000,000 之间，且不为 0。")))
    if errors:
        raise Invalid(_("没有入账。"), errors=errors)
    act = ledger.grant if points > 0 else ledger.spend
    posted = act(
        contact_id=contact_id,
        points=abs(points),
        key=f"adjust:{key}",
        note=note.strip()[:200],
        reason="adjust",
        actor=actor.id,
        at=at,
    )
    if not posted.replayed:
        after = {"points": points, "note": note.strip()[:200], "balance": posted.balance}
        audit.record(
            actor=actor, action="points.adjust", object_type="contact", object_id=contact_id, after=after, at=at
        )
    return posted


def reverse(*, transfer_id: UUID, note: str, actor: Actor, at: datetime) -> Posted:
    """`ledger.reverse` on an operator's word. Raises what that raises."""
    posted = ledger.reverse(transfer_id=transfer_id, note=note, actor=actor.id, at=at)
    if not posted.replayed:
        after = {"contact": posted.contact_id, "points": posted.points, "balance": posted.balance}
        audit.record(
            actor=actor, action="points.reverse", object_type="transfer", object_id=transfer_id, after=after, at=at
        )
    return posted
