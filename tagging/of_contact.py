"""What tagging knows of one contact: where they stand, what they are drawn to. For the contact's page and the API."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from contacts.models import Contact
from scrm.lib.errors import Text
from tagging.language.leaves.lifecycle import STAGES, stage_of
from tagging.models import LifecycleSpell
from tagging.models.interests import CATEGORY, PRODUCT, InterestScore
from tagging.rules import lifecycle, scoring

MOST_STAYS = 20
FAINT = 0.05
"""a score that has faded below this is shown as nothing"""


@dataclass(frozen=True, slots=True)
class Stay:
    """One stay in a stage, `[since, until)`; `until` is empty for the present one."""

    stage: str
    label: Text
    since: datetime
    until: datetime | None
    days: int
    """how long so far"""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a contact stands now, and where they stood."""

    stage: str
    label: Text
    since: datetime | None
    """None when the brand keeps no stages: a built-in stage is reckoned on the spot and has no history"""
    stays: list[Stay]
    """the latest first"""


@dataclass(frozen=True, slots=True)
class Source:
    """One of the events that a score mostly comes from: what it is worth now."""

    id: str
    type: str
    at: datetime
    worth: float


@dataclass(frozen=True, slots=True)
class Drawn:
    """How much a contact is drawn to one category or product, now."""

    kind: str
    key: str
    score: float
    sources: list[Source]
    """at most five, those that weigh most first"""

    @property
    def types(self) -> list[tuple[str, int]]:
        """Event type → how many of the sources are of it, most first."""
        return Counter(source.type for source in self.sources).most_common()


def standing(contact: Contact, *, at: datetime) -> Standing:
    """The stage now, and the latest stays. Scoped; two queries."""
    labels = lifecycle.labels()
    rows = list(LifecycleSpell.objects.filter(contact=contact).order_by("-since")[:MOST_STAYS])
    stays = [_stay(row, labels, at) for row in rows]
    if len(labels) > 1 and stays and stays[0].until is None:
        return Standing(stays[0].stage, stays[0].label, stays[0].since, stays)
    if len(labels) > 1:  # nobody has looked at the contact yet: the brand's stages are being worked out
        return Standing("", "", None, stays)
    built_in = stage_of(contact, at=at)
    return Standing(built_in, dict(STAGES)[built_in], None, stays)


def drawn_to(contact_id: int, *, at: datetime, limit: int = 5) -> dict[str, list[Drawn]]:
    """The categories and the products that a contact is drawn to most. Scoped; two queries."""
    policy = scoring.policy()
    found: dict[str, list[Drawn]] = {CATEGORY: [], PRODUCT: []}
    for row in InterestScore.objects.filter(contact_id=contact_id):
        score = policy.faded(row.score, since=row.as_of, at=at)
        if score >= FAINT:
            found[row.kind].append(Drawn(row.kind, row.key, score, [_source(each, policy, at) for each in row.top]))
    return {kind: sorted(some, key=lambda each: (-each.score, each.key))[:limit] for kind, some in found.items()}


def _stay(row: LifecycleSpell, labels: Mapping[str, Text], at: datetime) -> Stay:
    label = labels.get(row.stage, row.stage)  # a stage that the brand has done away with is called by its key
    return Stay(row.stage, label, row.since, row.until, ((row.until or at) - row.since).days)


def _source(told: dict[str, Any], policy: scoring.Policy, at: datetime) -> Source:
    moment = datetime.fromisoformat(told["at"])
    return Source(told["id"], told["type"], moment, policy.faded(told["gain"], since=moment, at=at))
