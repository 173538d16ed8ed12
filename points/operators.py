"""What an operator does with points: earn rules, adjustments by hand, reversals. Each act is one audit row. Scoped."""

from datetime import datetime
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from events import catalogue
from points import ledger
from points.ledger import Posted
from points.models import EarnRule
from scrm.lib.errors import FieldError, Invalid, found
from tenants import audit
from tenants.actors import Actor

MOST_POINTS = 1_000_000


def add_rule(
    *, name: str, event_type: str, points: int, per_day: int, keep_days: int | None, actor: Actor, at: datetime
) -> EarnRule:
    """Make an earn rule, in force from the next event on. Raises Invalid that names the fields."""
    errors = []
    if not name.strip() or len(name) > 60:
        errors.append(FieldError("name", "required", _("名称要有 1 到 60 个字符。")))
    if not catalogue.is_known(event_type):
        errors.append(FieldError("event_type", "event.type_unknown", _("行为目录里没有这个类型。")))
    if not 1 <= points <= MOST_POINTS:
        errors.append(FieldError("points", "range", _("积分应在 1 到 1,000,000 之间。")))
    if not 1 <= per_day <= 100:
        errors.append(FieldError("per_day", "range", _("每天次数应在 1 到 100 之间。")))
    if keep_days is not None and not 1 <= keep_days <= 3650:
        errors.append(FieldError("keep_days", "range", _("有效天数应在 1 到 3,650 之间，或留空表示长期有效。")))
    if errors:
        raise Invalid(_("规则没有保存。"), errors=errors)
    rule = EarnRule.objects.create(
        name=name.strip(), event_type=event_type, points=points, per_day=per_day, keep_days=keep_days, created_at=at
    )
    after = {"name": rule.name, "event": event_type, "points": points, "per_day": per_day, "keep_days": keep_days}
    audit.record(actor=actor, action="rule.add", object_type="earn_rule", object_id=rule.pk, after=after, at=at)
    return rule


def switch_rule(*, rule_id: int, enabled: bool, actor: Actor, at: datetime) -> None:
    """Turn an earn rule on or off; points given stay. Switching twice is once. Raises NotFound."""
    rule = found(EarnRule.objects.filter(pk=rule_id))
    if EarnRule.objects.filter(pk=rule_id, enabled=not enabled).update(enabled=enabled):
        before, after = {"name": rule.name, "enabled": not enabled}, {"enabled": enabled}
        audit.record(
            actor=actor,
            action="rule.switch",
            object_type="earn_rule",
            object_id=rule_id,
            before=before,
            after=after,
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
