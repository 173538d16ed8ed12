"""触达预算: the right to reach a contact, kept as a ledger of reservations and spent like money.

A plan *reserves*, a delivery *posts*, everything else *voids*. What counts against a contact is WeCom's quota of the
corp's mode (api-reference §3.2: mass sends only) and the brand's cap for the channel. A reservation that is not
settled yet may still arrive on any day from its own on, so it counts as if it arrived on the day that is planned for.

Two plans of one brand must not both find the same last place free. Each range of a plan holds the brand's advisory
lock for its transaction (`lock`). Row locks would not do: what must be kept still is the *absence* of a reservation,
and locking the contacts instead would write to a million rows and stand in the way of the sync."""

import calendar
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection
from django.utils.translation import gettext as _

from campaigns.models import BudgetPolicy, Channel
from campaigns.reasons import Reason
from scrm.lib.errors import FieldError, Invalid
from tenants import audit
from tenants.actors import Actor
from tenants.models import Brand
from tenants.scope import current_brand_id
from wecom.models import QuotaMode

MOST_CAP, LONGEST_WINDOW = 100, 90
LOOK_BACK_DAYS = 31
"""how long before the window a reservation may have been made and still be open; a WeCom task lives no longer"""


@dataclass(frozen=True, slots=True)
class Quota:
    """WeCom's: at most `limit` mass sends to one customer, or one group, from `first` to `last` (the brand's days)."""

    limit: int
    first: date
    last: date
    reason: Reason


@dataclass(frozen=True, slots=True)
class Cap:
    """The brand's: at most `limit` touches over the channel in any `window_days` days on end."""

    limit: int
    window_days: int

    def first(self, day: date) -> date:
        """The first day of the window that ends with `day`."""
        return day - timedelta(days=self.window_days - 1)


@dataclass(frozen=True, slots=True)
class Rules:
    """What binds a push over `channel` of `corp_id` on `day`; None: no such limit."""

    corp_id: int
    channel: str
    day: date
    quota: Quota | None
    cap: Cap | None

    @property
    def limited(self) -> bool:
        """Whether anything binds."""
        return self.quota is not None or self.cap is not None

    @property
    def first_day(self) -> date:
        """No touch before this day matters."""
        starts = [self.day - timedelta(days=LOOK_BACK_DAYS)]
        starts += [self.quota.first] if self.quota else []
        starts += [self.cap.first(self.day)] if self.cap else []
        return min(starts)


def brand_day(*, brand_id: int, at: datetime) -> date:
    """The brand's calendar day at a moment."""
    return at.astimezone(zone_of(brand_id)).date()


def zone_of(brand_id: int) -> ZoneInfo:
    """The brand's time zone."""
    return ZoneInfo(Brand.objects.values_list("timezone", flat=True).get(pk=brand_id))


def quota_on(mode: str, day: date) -> Quota:
    """WeCom's quota that holds on `day` in a corp of this mode. Weeks are natural weeks, from Monday."""
    days = calendar.monthrange(day.year, day.month)[1]
    if mode == QuotaMode.DAY_1:
        return Quota(1, day, day, Reason.QUOTA_DAY)
    if mode == QuotaMode.WEEK_7:
        monday = day - timedelta(days=day.weekday())
        return Quota(7, monday, monday + timedelta(days=6), Reason.QUOTA_WEEK)
    limit = 4 if mode == QuotaMode.MONTH_4 else days
    return Quota(limit, day.replace(day=1), day.replace(day=days), Reason.QUOTA_MONTH)


def rules_for(*, brand_id: int, corp_id: int, quota_mode: str, channel: str, at: datetime) -> Rules:
    """The limits on a push planned at `at`. Scoped. Moments have no quota that WeCom publishes (§13)."""
    day = brand_day(brand_id=brand_id, at=at)
    policy = BudgetPolicy.objects.filter(channel=channel).first()
    return Rules(
        corp_id=corp_id,
        channel=channel,
        day=day,
        quota=None if channel == Channel.MOMENTS else quota_on(quota_mode, day),
        cap=Cap(policy.cap, policy.window_days) if policy else None,
    )


def lock(brand_id: int) -> None:
    """Wait for every other plan of the brand to finish its range, until this transaction ends. Scoped.

    A statement of its own, before the one that reads the ledger: that one's snapshot must be younger than the lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('campaigns.budget:' || %s, 0))", [str(brand_id)])


RESERVE = """
INSERT INTO campaigns_reservation (brand_id, push_id, contact_id, corp_id, channel, day, status, priority, made_at)
SELECT d.brand_id, d.push_id, d.contact_id, %(corp)s, %(channel)s, %(day)s, 'reserved', %(priority)s, %(at)s
FROM campaigns_delivery d
WHERE d.brand_id = %(brand)s AND d.push_id = %(push)s AND d.status = 'planned'
  AND {these}
ON CONFLICT DO NOTHING"""


def reserve(*, push_id: int, priority: int, rules: Rules, after: int, last: int, at: datetime) -> None:
    """Reserve a touch for each planned delivery of the push with a contact in (after, last]. Scoped; under `lock`."""
    these = "d.contact_id > %(after)s AND d.contact_id <= %(last)s"
    _reserve(these, push_id, priority, rules, at, {"after": after, "last": last})


def reserve_these(*, push_id: int, priority: int, rules: Rules, contact_ids: Sequence[int], at: datetime) -> None:
    """The same for named contacts, some thousands at most. Those that are not planned are passed over."""
    _reserve("d.contact_id = ANY (%(ids)s)", push_id, priority, rules, at, {"ids": list(contact_ids)})


def _reserve(these: str, push_id: int, priority: int, rules: Rules, at: datetime, words: Mapping[str, Any]) -> None:
    fixed: dict[str, Any] = {
        "brand": current_brand_id(),
        "push": push_id,
        "corp": rules.corp_id,
        "channel": rules.channel,
        "day": rules.day,
        "priority": priority,
        "at": at,
    }
    with connection.cursor() as cursor:
        cursor.execute(RESERVE.format(these=these), {**fixed, **words})


# One array of contacts, then look-ups by key: a join of the two tables compares all with all where the planner has no
# statistics yet of a new push (see campaigns.planning.decide).
THESE = """r.brand_id = %(brand)s AND r.push_id = %(push)s AND r.contact_id = ANY (ARRAY(
  SELECT d.contact_id FROM campaigns_delivery d
  WHERE d.brand_id = %(brand)s AND d.push_id = %(push)s {batch} AND d.status IN {outcomes}))"""
POST = """
UPDATE campaigns_reservation r
SET status = 'posted', settled_at = %(at)s, day = (
  SELECT (coalesce(d.delivered_at, %(at)s) AT TIME ZONE %(zone)s)::date FROM campaigns_delivery d
  WHERE d.brand_id = r.brand_id AND d.push_id = r.push_id AND d.contact_id = r.contact_id)
WHERE {these} AND r.status <> 'posted'"""
VOID = """
UPDATE campaigns_reservation r SET status = 'voided', settled_at = %(at)s
WHERE {these} AND r.status = 'reserved'"""
DELIVERED, NOT_DELIVERED = "('delivered')", "('failed', 'unconfirmed', 'cancelled', 'suppressed')"


@dataclass(frozen=True, slots=True)
class Settled:
    """How many reservations changed."""

    posted: int
    voided: int


def settle(*, push_id: int, at: datetime, batch_id: UUID | None = None) -> Settled:
    """Bring the push's reservations into line with its deliveries. Scoped; a repeat changes nothing.

    Delivered → posted, on the brand's day it happened, also if it had been voided (a guide who confirmed after all).
    Failed, unconfirmed, cancelled → voided. Name the `batch_id` when one batch changed: whole pushes can be large."""
    brand_id = current_brand_id()
    words: dict[str, Any] = {
        "brand": brand_id,
        "push": push_id,
        "batch": batch_id,
        "at": at,
        "zone": str(zone_of(brand_id)),
    }
    batch = "AND d.batch_id = %(batch)s" if batch_id else ""
    with connection.cursor() as cursor:
        cursor.execute(POST.format(these=THESE.format(batch=batch, outcomes=DELIVERED)), words)
        posted = cursor.rowcount
        cursor.execute(VOID.format(these=THESE.format(batch=batch, outcomes=NOT_DELIVERED)), words)
        return Settled(posted, cursor.rowcount)


def set_cap(*, channel: str, cap: int | None, window_days: int = 7, actor: Actor, at: datetime) -> None:
    """Set the brand's cap for a channel, or remove it (`cap=None`). Scoped. Raises Invalid naming the field."""
    errors = []
    if channel not in Channel.values:
        errors.append(FieldError("channel", "budget.channel_unknown", _("没有这个渠道。")))
    if cap is not None and not 1 <= cap <= MOST_CAP:
        errors.append(
            FieldError("cap", "budget.cap_range", _("次数应在 1 到 %d 之间。") % MOST_CAP, _("不限请删除这条频控。"))
        )
    if not 1 <= window_days <= LONGEST_WINDOW:
        errors.append(FieldError("window_days", "budget.window_range", _("窗口应在 1 到 %d 天之间。") % LONGEST_WINDOW))
    if errors:
        raise Invalid(_("频控没有保存。"), errors=errors)
    before = caps().get(channel)
    if cap is None:
        BudgetPolicy.objects.filter(channel=channel).delete()
    else:
        BudgetPolicy.objects.update_or_create(
            brand_id=current_brand_id(), channel=channel, defaults={"cap": cap, "window_days": window_days}
        )
    audit.record(
        actor=actor,
        action="budget.set_cap",
        object_type="budget_policy",
        object_id=channel,
        before=_state(before),
        after=_state(caps().get(channel)),
        at=at,
    )


def caps() -> Mapping[str, Cap]:
    """The brand's caps by channel. Scoped."""
    return {row.channel: Cap(row.cap, row.window_days) for row in BudgetPolicy.objects.all()}


def _state(cap: Cap | None) -> dict[str, Any] | None:
    return {"cap": cap.limit, "window_days": cap.window_days} if cap else None
