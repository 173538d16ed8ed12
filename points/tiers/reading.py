"""What the tiers' tables tell: of one contact, and of all."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count

from points.models import Tier, TierFloor, TierRules, TierSpell
from points.tiers import facts, keeping
from points.tiers.course import amount
from points.tiers.periods import window_start
from scrm.lib.errors import Text
from tenants.scope import current_brand_id


@dataclass(frozen=True, slots=True)
class Rung:
    """A tier, and how much it takes."""

    code: str
    name: str
    threshold: int


@dataclass(frozen=True, slots=True)
class TierNow:
    """A contact's tier. `value` is the metric now (whole points, fen or orders)."""

    contact_id: int
    tier: Rung | None
    since: datetime | None
    """when they came to it"""
    ends_at: datetime | None
    """when it is judged anew"""
    kept_until: datetime | None
    """past its end: how long the days of grace or protection keep it"""
    metric: str
    value: int
    next: Rung | None
    gap: int
    """of the metric, to the next tier; 0 at the top"""
    floor: TierFloor | None
    """an operator's promise in force"""

    @property
    def name(self) -> str:
        """The tier's name; empty without one."""
        return self.tier.name if self.tier else ""


def of(*, contact_id: int, at: datetime) -> TierNow | None:
    """The contact's tier at `at`, with the gap to the next; None if the brand keeps no tiers. Scoped, six queries."""
    now = keeping.kept()
    if now is None:
        return None
    rungs = [Rung(*row) for row in Tier.objects.order_by("position").values_list("code", "name", "threshold")]
    spell = TierSpell.objects.filter(contact=contact_id, until=None).first()
    start = window_start(now.rules.window, at, now.rules.zone)
    known = facts.of(now.metric, brand_id=current_brand_id(), starts={contact_id: start}).get(contact_id, [])
    value = amount(known, start=start, at=at)
    rank = now.rules.rank(spell.tier) if spell else 0
    following = rungs[rank] if rank < len(rungs) else None
    is_over = spell is not None and spell.ends_at is not None and spell.ends_at <= at
    return TierNow(
        contact_id=contact_id,
        tier=rungs[rank - 1] if rank else None,
        since=spell.held_since if spell and rank else None,
        ends_at=spell.ends_at if spell and rank else None,
        kept_until=spell.due_at if spell and is_over else None,
        metric=now.metric,
        value=value,
        next=following,
        gap=max(0, following.threshold - value) if following else 0,
        floor=floor_of(contact_id=contact_id, at=at),
    )


def floor_of(*, contact_id: int, at: datetime) -> TierFloor | None:
    """The promise in force, the latest. Scoped."""
    rows = TierFloor.objects.filter(contact=contact_id, since__lte=at).exclude(until__lte=at)
    return rows.order_by("-since", "-pk").first()


def names() -> dict[str, Text]:
    """Code → name, from the lowest. Scoped."""
    return dict(Tier.objects.order_by("position").values_list("code", "name"))


def counts() -> dict[str, int]:
    """Code → contacts who have it now. Scoped. Merged and erased contacts do not count."""
    rows = TierSpell.objects.filter(until=None, contact__gone_at=None).exclude(tier="")
    return dict(rows.values_list("tier").annotate(n=Count("pk")).values_list("tier", "n"))


def rules() -> dict[str, Any] | None:
    """The brand's rules as its API tells them; None if it keeps no tiers. Scoped."""
    row = TierRules.objects.first()
    if row is None:
        return None
    tiers = Tier.objects.order_by("position").values("code", "name", "threshold")
    return {
        "metric": row.metric,
        "window": row.window,
        "at_end": row.at_end,
        "grace_days": row.grace_days,
        "protect_days": row.protect_days,
        "since": row.since,
        "is_filling": row.filled_to is not None,
        "tiers": list(tiers),
    }
