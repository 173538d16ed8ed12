"""Earn rules: what happened earns points. A reactor; each rule pays a contact at most `per_day` times a brand's day.

A payment's key names its slot: rule, contact, brand's day and number 1…per_day. So the cap and the idempotency are
the same fact, kept by the unique key of the transfer; the event that took the slot stands in its reference."""

from collections import defaultdict
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _

from events import catalogue
from events.reactors import Batch, EventRow
from points import ledger
from points.ledger import Grant
from points.models import EarnRule, Transfer
from scrm.lib.errors import FieldError, Invalid, found
from tenants import audit
from tenants.actors import Actor
from tenants.models import Brand

REACTOR = "points.earn"
MOST_PER_DAY = 100
Day = tuple[int, int, date]
"""rule, contact, brand's day"""


def save(
    *,
    name: str,
    event_type: str,
    points: int,
    per_day: int = 1,
    keep_days: int | None = 365,
    enabled: bool = True,
    rule_id: int | None = None,
    actor: Actor,
    at: datetime,
) -> EarnRule:
    """Make a rule, or change one; it pays for events read from now on. Scoped; audited. Raises Invalid, NotFound."""
    errors = []
    if not 1 <= len(name.strip()) <= 60:
        errors.append(FieldError("name", "rule.name", _("名称应有 1 到 60 个字。"), _("例如「每日签到」。")))
    if not catalogue.is_known(event_type):
        errors.append(FieldError("event_type", "event.unknown", _("没有这个行为。"), _("请从行为目录中选择。")))
    if not 1 <= points <= ledger.MOST_POINTS:
        errors.append(FieldError("points", "points.range", _("积分应是 1 到 1 亿之间的整数。")))
    if not 1 <= per_day <= MOST_PER_DAY:
        errors.append(FieldError("per_day", "rule.per_day", _("每天最多次数应在 1 到 %d 之间。") % MOST_PER_DAY))
    if keep_days is not None and not 1 <= keep_days <= 3650:
        errors.append(FieldError("keep_days", "rule.keep_days", _("有效天数应在 1 到 3650 之间，留空为长期。")))
    if errors:
        raise Invalid(_("积分规则没有保存。"), errors=errors)
    rule = found(EarnRule.objects.filter(pk=rule_id)) if rule_id else EarnRule(created_at=at)
    before = _fields(rule) if rule_id else None
    rule.name, rule.event_type, rule.points = name.strip(), event_type, points
    rule.per_day, rule.keep_days, rule.enabled = per_day, keep_days, enabled
    rule.save()
    audit.record(
        actor=actor,
        action="earn_rule.save",
        object_type="earn_rule",
        object_id=rule.pk,
        before=before,
        after=_fields(rule),
        at=at,
    )
    return rule


def _fields(rule: EarnRule) -> dict[str, object]:
    names = ("name", "event_type", "points", "per_day", "keep_days", "enabled")
    return {name: getattr(rule, name) for name in names}


def react(batch: Batch) -> None:
    """Pay what the brand's enabled rules owe for these events. Scoped; seeing an event again pays nothing more."""
    rules: dict[str, list[EarnRule]] = defaultdict(list)
    for rule in EarnRule.objects.filter(enabled=True, points__gt=0, per_day__gt=0):
        rules[rule.event_type].append(rule)
    zone = ZoneInfo(Brand.objects.values_list("timezone", flat=True).get(pk=batch.brand_id))
    owed: dict[Day, list[EventRow]] = defaultdict(list)
    by_id: dict[int, EarnRule] = {}
    for row in sorted(batch.rows, key=lambda row: (row.occurred_at, row.id)):
        for rule in rules.get(row.type, ()):
            by_id[rule.id] = rule
            owed[(rule.id, row.contact_id, row.occurred_at.astimezone(zone).date())].append(row)
    grants = _grants(by_id, owed)
    ledger.grant_many(grants=grants, reason="earn", actor="system", at=batch.at)


def _grants(rules: dict[int, EarnRule], owed: dict[Day, list[EventRow]]) -> list[Grant]:
    """The free slots of each day, filled in the order of the events that have none yet."""
    keys = {_key(day, slot) for day in owed for slot in range(1, rules[day[0]].per_day + 1)}
    taken = dict(Transfer.objects.filter(key__in=keys).values_list("key", "reference"))
    grants = []
    for day, rows in owed.items():
        rule = rules[day[0]]
        slots = [_key(day, slot) for slot in range(1, rule.per_day + 1)]
        paid = {taken[slot] for slot in slots if slot in taken}
        free = [slot for slot in slots if slot not in taken]
        waiting = {f"event:{row.id}": row for row in rows if f"event:{row.id}" not in paid}
        for slot, (reference, row) in zip(free, waiting.items(), strict=False):
            keep = timedelta(days=rule.keep_days) if rule.keep_days else None
            grants.append(
                Grant(
                    contact_id=day[1],
                    points=rule.points,
                    key=slot,
                    reference=reference,
                    note=rule.name,
                    occurred_at=row.occurred_at,
                    expires_at=row.occurred_at + keep if keep else None,
                )
            )
    return grants


def _key(day: Day, slot: int) -> str:
    rule, contact, date_ = day
    return f"rule:{rule}:{contact}:{date_.isoformat()}:{slot}"
