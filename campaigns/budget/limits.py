"""What binds a push: WeCom's quota of the corp's mode (api-reference §3.2: mass sends only) and the brand's cap for the
channel.

A reservation that is not settled yet may still arrive on any day from its own on, so it counts as if it arrived on the
day that is planned for."""

import calendar
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

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
