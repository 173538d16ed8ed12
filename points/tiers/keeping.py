"""Tiers as they are kept: who is looked at, what is written down, and what the log is told.

Looked at are contacts of whom the log tells something that counts, those whose spell ends, and, after the rules were
changed, everybody. Whoever looks holds the brand's turn. Most looks end after one question: somebody who cannot have
reached the next tier, and whose spell has not ended, is left as they are."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import connection

from contacts.models import Contact
from contacts.sets import as_array, execute
from events import log
from events.log import NewEvent
from points.models import Tier, TierFloor, TierRules, TierSpell
from points.tiers import facts
from points.tiers.course import Course, Floor, Rules, Spell
from points.tiers.periods import TICK, window_start
from scrm.lib.ids import made_id
from tenants.models import Brand
from tenants.scope import current_brand_id

OLDEST_TOLD = timedelta(days=1)
LIMIT = 500
"""contacts a transaction: of heavy buyers each takes milliseconds"""
TOLD = "tier_changed"
_LOCK_SPACE = 0x746965


@dataclass(frozen=True, slots=True)
class Kept:
    """The brand's rules as they are kept."""

    id: int
    metric: str
    filled_to: int | None
    rules: Rules


def kept() -> Kept | None:
    """The brand's rules, or None if it keeps no tiers. Scoped; two queries."""
    row = TierRules.objects.first()
    if row is None:
        return None
    zone = ZoneInfo(Brand.objects.values_list("timezone", flat=True).get(pk=row.brand_id))
    rules = Rules(
        tiers=list(Tier.objects.order_by("position").values_list("code", "threshold")),
        window=row.window,
        at_end=row.at_end,
        grace=timedelta(days=row.grace_days),
        protection=timedelta(days=row.protect_days),
        since=row.since,
        zone=zone,
    )
    return Kept(row.pk, row.metric, row.filled_to, rules)


def hold(*, wait: bool = True) -> bool:
    """Take the brand's turn, until the end of the transaction. Without `wait`: whether it was free. Scoped."""
    key = (_LOCK_SPACE << 40) + current_brand_id()
    with connection.cursor() as cursor:
        if wait:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [key])
            return True
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [key])
        return bool(cursor.fetchone()[0])


def look(
    contact_ids: Collection[int], *, at: datetime, now: Kept | None = None, told_from: datetime | None = None
) -> int:
    """Bring these contacts' tiers to `at`; how many changed. Scoped. Looking again changes nothing.

    The log is told of each change at its moment, but not before `told_from`."""
    now = now or kept()
    if now is None or not contact_ids:
        return 0
    hold()
    stands = _stands(contact_ids, now, at)
    wanted = _worth_a_look(stands, now, at)
    if not wanted:
        return 0
    # A merge locks its contacts and writes their spells: so we wait for it here, and hold none of its rows.
    locked = execute(_LOCKED, brand=current_brand_id(), ids=as_array(wanted))
    stands = _stands([contact_id for (contact_id,) in locked], now, at)
    starts = {each.contact_id: _first_counted(each, now) for each in stands}
    known = facts.of(now.metric, brand_id=current_brand_id(), starts=starts)
    promised = floors_of(starts)
    courses = []
    for each in stands:
        course = Course(now.rules, known.get(each.contact_id, ()), promised[each.contact_id], each.spell)
        course.go(start=each.start, until=at, reason=each.reason)
        courses.append((each, course))
    return _write(courses, at=at, told_from=told_from)


def look_at_due(*, at: datetime) -> int:
    """Look at those whose moment has come, some of them; how many there were. Scoped."""
    due = TierSpell.objects.filter(until=None, due_at__lte=at, contact__gone_at=None).order_by("due_at")
    ids = list(due.values_list("contact_id", flat=True)[:LIMIT])
    look(ids, at=at)
    return len(ids)


def fill(*, at: datetime) -> bool:
    """After the rules were changed: look at the next contacts; whether there are more. Scoped."""
    now = kept()
    if now is None or now.filled_to is None:
        return False
    ids = list(Contact.objects.filter(pk__gt=now.filled_to).order_by("pk").values_list("pk", flat=True)[:LIMIT])
    look(ids, at=at, now=now)
    more = len(ids) == LIMIT
    TierRules.objects.filter(pk=now.id).update(filled_to=ids[-1] if more else None)
    return more


def waits(*, at: datetime) -> bool:
    """Whether there is anything to do but for the log. Scoped; two glances."""
    if TierRules.objects.filter(filled_to__isnull=False).exists():
        return True
    return TierSpell.objects.filter(until=None, due_at__lte=at, contact__gone_at=None).exists()


def floors_of(contact_ids: Collection[int]) -> dict[int, list[Floor]]:
    """What operators promised, ended or not. Scoped."""
    found: dict[int, list[Floor]] = defaultdict(list)
    rows = TierFloor.objects.filter(contact__in=list(contact_ids))
    for contact_id, tier, since, until in rows.values_list("contact_id", "tier", "since", "until"):
        found[contact_id].append(Floor(tier, since, until))
    return found


# -- who is worth a look ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a contact stands before a look."""

    contact_id: int
    spell: Spell | None
    due_at: datetime | None
    start: datetime
    """from here on it is looked: what was before has been judged, or was another person, or other rules"""
    reason: str
    """of what the first look at `start` brings"""


_LOCKED = """
    SELECT c.id FROM contacts_contact c WHERE c.brand_id = %(brand)s AND c.id = ANY (%(ids)s::bigint[])
    ORDER BY c.id FOR KEY SHARE
"""
_STANDS = """
    SELECT c.id, m.merged_at, s.due_at, s.since, s.tier, s.was, s.reason, s.metric, s.held_since, s.ends_at,
           s.protected_until, s.by_hand, s.base_tier, s.base_ends_at
    FROM unnest(%(ids)s::bigint[]) AS u (id)
    CROSS JOIN LATERAL (SELECT c.id FROM contacts_contact c WHERE c.brand_id = %(brand)s AND c.id = u.id OFFSET 0) c
    LEFT JOIN LATERAL (SELECT * FROM points_tierspell s
                       WHERE s.brand_id = %(brand)s AND s.contact_id = c.id AND s.until IS NULL OFFSET 0) s ON TRUE
    CROSS JOIN LATERAL (SELECT max(m.merged_at) AS merged_at FROM contacts_merge m
                        WHERE m.brand_id = %(brand)s AND m.survivor_id = c.id AND m.split_at IS NULL) m
"""


def _stands(contact_ids: Collection[int], now: Kept, at: datetime) -> list[Stand]:
    """Hidden contacts are missing: nothing is written of who was merged or erased."""
    made = []
    for contact_id, merged_at, due_at, *row in execute(
        _STANDS, brand=current_brand_id(), ids=as_array(sorted(set(contact_ids)))
    ):
        spell = Spell(*row) if row[0] is not None else None
        bounds = [now.rules.since, *([merged_at] if merged_at else []), *([spell.since] if spell else [])]
        start = min(max(bounds), at)
        reason = TierSpell.Reason.REACHED
        if start == now.rules.since:
            reason = TierSpell.Reason.RULES if spell else TierSpell.Reason.START
        made.append(Stand(contact_id, spell, due_at, start, reason))
    return made


def _worth_a_look(stands: Sequence[Stand], now: Kept, at: datetime) -> list[int]:
    """Those whose time has come, and those who may have reached more than they have."""
    sure, maybe = [], {}
    with_floors = set(
        TierFloor.objects.filter(contact__in=[each.contact_id for each in stands]).values_list("contact_id", flat=True)
    )
    for each in stands:
        spell = each.spell
        is_over = spell is not None and spell.ends_at is not None and spell.ends_at <= at
        is_gone = spell is not None and spell.tier and not now.rules.rank(spell.tier)
        if is_over or is_gone or each.contact_id in with_floors or (spell and spell.by_hand):
            sure.append(each.contact_id)
        elif (rank := now.rules.rank(spell.tier) if spell else 0) < len(now.rules.tiers):
            maybe[each.contact_id] = (now.rules.tiers[rank][1], _first_counted(each, now))
    if maybe:
        starts = {who: start for who, (_needed, start) in maybe.items()}
        reached = facts.most(now.metric, brand_id=current_brand_id(), starts=starts)
        sure += [who for who, (needed, _start) in maybe.items() if reached.get(who, 0) >= needed]
    return sorted(sure)


def _first_counted(stand: Stand, now: Kept) -> datetime:
    """The earliest moment whose amounts any judgement of this look can ask for."""
    ends_at = stand.spell.ends_at if stand.spell else None
    earliest = min(stand.start, ends_at - TICK) if ends_at else stand.start
    return window_start(now.rules.window, earliest, now.rules.zone)


# -- writing down -----------------------------------------------------------------------------------------------------


def _write(courses: Sequence[tuple[Stand, Course]], *, at: datetime, told_from: datetime | None) -> int:
    """Close the spells that ended, write the new ones, and tell the log of those that changed the tier."""
    brand_id = current_brand_id()
    ended, renewed_due, rows, news = [], [], [], []
    for stand, course in courses:
        due = course.due(at)
        if not course.made:
            if stand.spell and due != stand.due_at:
                renewed_due.append((stand.contact_id, due))
            continue
        if stand.spell:
            ended.append((stand.contact_id, course.made[0].since))
        ends = [*(spell.since for spell in course.made[1:]), None]
        for spell, until in zip(course.made, ends, strict=True):
            rows.append(row_of(brand_id, stand.contact_id, spell, until=until, due=None if until else due, at=at))
        news += [(stand.contact_id, spell) for spell in course.made if spell.tier != spell.was]
    _set("due_at", renewed_due)
    _set("until", ended)
    TierSpell.objects.bulk_create(rows)
    tell(news, at=at, told_from=told_from)
    return len({row.contact_id for row in rows})


def row_of(
    brand_id: int, contact_id: int, spell: Spell, *, until: datetime | None, due: datetime | None, at: datetime
) -> TierSpell:
    """The spell as a row."""
    return TierSpell(
        brand_id=brand_id,
        contact_id=contact_id,
        since=spell.since,
        until=until,
        tier=spell.tier,
        was=spell.was,
        reason=spell.reason,
        metric=spell.metric,
        held_since=spell.held_since,
        ends_at=spell.ends_at,
        protected_until=spell.protected_until,
        by_hand=spell.by_hand,
        base_tier=spell.base_tier,
        base_ends_at=spell.base_ends_at,
        due_at=due,
        noted_at=at,
    )


def _set(column: str, values: Sequence[tuple[int, datetime | None]]) -> None:
    """`due_at` or `until` of open spells. What has ended is due no more."""
    if not values:
        return
    also = ", due_at = NULL" if column == "until" else ""
    execute(
        f"UPDATE points_tierspell s SET {column} = r.moment{also}"  # noqa: S608 - our own columns
        " FROM unnest(%(ids)s::bigint[], %(moments)s::timestamptz[]) AS r (id, moment)"
        " WHERE s.brand_id = %(brand)s AND s.contact_id = r.id AND s.until IS NULL",
        brand=current_brand_id(),
        ids=as_array(who for who, _moment in values),
        moments=[moment for _who, moment in values],
    )


def tell(news: Sequence[tuple[int, Spell]], *, at: datetime, told_from: datetime | None = None) -> None:
    """Write `tier_changed` for each (contact, spell). Scoped; a spell is told once."""
    if not news:
        return
    tiers, brand_id = kept_order(), current_brand_id()
    earliest = max(at - OLDEST_TOLD, told_from or at - OLDEST_TOLD)
    log.write(
        [
            NewEvent(
                type=TOLD,
                # At its moment, however late somebody looked; but the log's older months may be closed.
                occurred_at=max(spell.since, earliest),
                id=made_id(brand_id, TOLD, contact_id, spell.since.isoformat()),
                contact_id=contact_id,
                props={
                    "from": spell.was,
                    "to": spell.tier,
                    "direction": "up" if tiers.get(spell.tier, 0) > tiers.get(spell.was, 0) else "down",
                    "reason": str(spell.reason),
                    "metric": spell.metric,
                },
                fires=spell.fires,
            )
            for contact_id, spell in news
        ],
        at=at,
    )


def kept_order() -> dict[str, int]:
    """Code → position of the brand's tiers. Scoped."""
    return dict(Tier.objects.values_list("code", "position"))
