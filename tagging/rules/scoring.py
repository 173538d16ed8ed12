"""How interest is reckoned: Σ weight(event) · ln(1 + dwell / 10 s) · 2^(−age / half-life), per category and product.

An event without a dwell time (a cart, an order) counts its weight. All events fade alike, so a score need not be
reckoned anew: it is kept as it was at the latest event, fades by one factor from there to any moment, and a new event
adds its own part. For the same reason the events that weigh most stay in their order."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from events.reactors import EventRow
from scrm.lib.errors import FieldError, Invalid
from tagging.language import event_types
from tagging.models import InterestPolicy
from tagging.models.interests import HALF_LIFE_DAYS
from tenants import audit
from tenants.actors import Actor

WEIGHTS: Mapping[str, float] = {"product_view": 1.0, "add_cart": 3.0, "order_paid": 5.0}
MOST_WEIGHT = 1000.0
TOP = 5


@dataclass(frozen=True, slots=True)
class Policy:
    """How a brand reckons."""

    half_life: timedelta
    weights: Mapping[str, float]

    def faded(self, score: float, *, since: datetime, at: datetime) -> float:
        """What a score of `since` is worth `at` a later (or earlier) moment."""
        return score * 2.0 ** (-((at - since) / self.half_life))

    def below(self, score: float, *, since: datetime, low: float) -> datetime:
        """When a score of `since` first lies below `low`."""
        return since + self.half_life * math.log2(score / low) + timedelta(microseconds=1)

    def gain(self, row: EventRow) -> float:
        """What an event adds at the moment it happens."""
        weight = self.weights.get(row.type, 0.0)
        return weight if row.dwell_seconds is None else weight * math.log1p(max(0, row.dwell_seconds) / 10)


@dataclass(frozen=True, slots=True)
class Part:
    """One event's part in a score."""

    id: str
    type: str
    at: datetime
    gain: float

    def as_json(self) -> dict[str, Any]:
        """As `InterestScore.top` keeps it."""
        return {"id": self.id, "type": self.type, "at": self.at.isoformat(), "gain": self.gain}

    @classmethod
    def of_json(cls, told: Mapping[str, Any]) -> "Part":
        """One that was kept so."""
        moment = parse_datetime(str(told["at"]))
        if moment is None:
            raise ValueError(f"not a moment: {told['at']!r}")
        return cls(str(told["id"]), str(told["type"]), moment, float(told["gain"]))


@dataclass(slots=True)
class Score:
    """A score as it was at `as_of`."""

    score: float
    as_of: datetime
    top: list[Part]

    def add(self, parts: Sequence[Part], policy: Policy) -> None:
        """Take further events in, whenever they happened."""
        as_of = max([self.as_of, *(part.at for part in parts)])
        mine = policy.faded(self.score, since=self.as_of, at=as_of)
        self.score = math.fsum([mine, *(policy.faded(part.gain, since=part.at, at=as_of) for part in parts)])
        self.as_of = as_of
        self.top = heaviest([*self.top, *parts], policy)

    @classmethod
    def of(cls, parts: Sequence[Part], policy: Policy) -> "Score":
        """A first one."""
        made = cls(0.0, max(part.at for part in parts), [])
        made.add(parts, policy)
        return made


def heaviest(parts: Iterable[Part], policy: Policy) -> list[Part]:
    """The parts that weigh most: at any moment the same ones. `interests.recompute` sorts the same way in SQL."""

    def weight(part: Part) -> tuple[float, str]:
        # Rounded to what floating point knows here and there alike.
        return (-round(math.log2(part.gain) + part.at.timestamp() / policy.half_life.total_seconds(), 6), part.id)

    return sorted(parts, key=weight)[:TOP]


def policy() -> Policy:
    """The brand's, or the house's. Scoped."""
    row = InterestPolicy.objects.first()
    if row is None:
        return Policy(timedelta(days=HALF_LIFE_DAYS), WEIGHTS)
    return Policy(timedelta(days=row.half_life_days), row.weights)


def set_policy(*, half_life_days: float, weights: Mapping[str, float], actor: Actor, at: datetime) -> InterestPolicy:
    """Say how interest is reckoned; `tagging.rules.rerun.begin_interests` reckons scores anew. Scoped; audited.

    Raises Invalid: a half-life of 0.1 to 365 days, 1 to 20 known event types with weights above 0, at most 1000."""
    errors = []
    if not _is_number(half_life_days) or not 0.1 <= half_life_days <= 365:
        errors.append(
            FieldError("half_life_days", "tagging.out_of_range", _("半衰期要在 0.1 到 365 天之间。"), _("例如 14。"))
        )
    for type_, weight in weights.items():
        if not event_types.is_known(type_) or not _is_number(weight) or not 0 < weight <= MOST_WEIGHT:
            errors.append(
                FieldError(
                    f"weights.{type_}",
                    "tagging.out_of_range",
                    _("权重要写给行为目录里的类型，大于 0，不超过 1000。"),
                    _('例如 {"product_view": 1, "add_cart": 3}。'),
                )
            )
    if not 1 <= len(weights) <= 20:
        errors.append(
            FieldError("weights", "tagging.out_of_range", _("权重要有 1 到 20 种行为。"), _("增减行为的种类。"))
        )
    if errors:
        raise Invalid(_("有字段不正确。"), errors=errors)
    before = policy()
    row, _made = InterestPolicy.objects.update_or_create(
        defaults={"half_life_days": half_life_days, "weights": dict(weights), "updated_at": at}
    )
    audit.record(
        actor=actor,
        action="interest_policy.save",
        object_type="interest_policy",
        object_id=row.pk,
        before={"half_life_days": before.half_life / timedelta(days=1), "weights": dict(before.weights)},
        after={"half_life_days": half_life_days, "weights": dict(weights)},
        at=at,
    )
    return row


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
