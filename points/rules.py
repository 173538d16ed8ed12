"""Earn rules: what happened earns points. A reactor; each rule pays a contact at most `per_day` times a brand's day.

A payment's key names its slot: rule, contact, brand's day and number 1…per_day. So the cap and the idempotency are
the same fact, kept by the unique key of the transfer; the event that took the slot stands in its reference."""

from collections import defaultdict
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from events import log
from events.log import NewEvent
from events.reactors import Batch, EventRow
from points import ledger
from points.ledger import Grant, Posted
from points.models import EarnRule, Transfer
from scrm.lib.ids import made_id
from tenants.models import Brand

REACTOR = "points.earn"
Day = tuple[int, int, date]
"""rule, contact, brand's day"""


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
    posted = ledger.grant_many(grants=grants, reason="earn", actor="system", at=batch.at)
    _tell(posted, {_transfer_of(batch.brand_id, grant.key): grant for grant in grants}, batch)


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


def _tell(posted: list[Posted], grants: dict[object, Grant], batch: Batch) -> None:
    news = [
        NewEvent(
            type="points_earned",
            occurred_at=grants[post.transfer_id].occurred_at or batch.at,
            id=made_id(post.transfer_id, "event"),
            contact_id=post.contact_id,
            props={"points": post.points, "balance": post.balance, "reason": grants[post.transfer_id].note},
        )
        for post in posted
    ]
    if news:
        log.write(news, at=batch.at)


def _key(day: Day, slot: int) -> str:
    rule, contact, date_ = day
    return f"rule:{rule}:{contact}:{date_.isoformat()}:{slot}"


def _transfer_of(brand_id: int, key: str) -> object:
    return made_id(brand_id, "transfer", key)
