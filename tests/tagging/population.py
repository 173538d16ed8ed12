"""Small random populations, and a plain reading of condition trees in Python to hold the SQL against.

The reading here knows nothing of the compiler: it loops over rows in memory, which the product never does."""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from campaigns.models import Batch, Delivery, Enrolment, Push, Sop, SopTouch, SopVersion
from contacts import gone
from contacts.models import Contact, Follow, GroupChat, GroupMember, Identity
from events import log
from points.models import Lot, PointsAccount, TierSpell
from tagging.models import ContactTag, InterestScore, LifecycleSpell, Tag
from tests.tagging.reading import COMPARE, NewerKinds, event_id, is_windowed, listed

NOBODY = UUID(int=0)


@dataclass
class Happening:
    """An event of one person: when it was, relative to now."""

    type: str
    ago: timedelta
    props: dict[str, Any]
    id: UUID = NOBODY
    """given when it is written"""


@dataclass
class Somebody:
    """A contact as the generator makes it; times are relative to now, None is missing."""

    name: str = ""
    gender: int = 0
    kind: int = 1
    phone: str = ""
    source_state: str = ""
    first_added: timedelta | None = None
    last_active: timedelta | None = None
    lost: timedelta | None = None
    tags: dict[int, tuple[timedelta, timedelta | None]] = field(default_factory=dict)
    """index of the tag → (given how long ago, expires in; negative: has expired)"""
    follows: dict[int, tuple[str, bool]] = field(default_factory=dict)
    """index of the guide → (state, lost)"""
    events: list[Happening] = field(default_factory=list)
    identities: set[str] = field(default_factory=set)
    groups: dict[int, tuple[timedelta, bool]] = field(default_factory=dict)
    """index of the group chat → (joined how long ago, left)"""
    lots: list[tuple[int, timedelta | None]] = field(default_factory=list)
    """(points that are left, run out in; negative: have)"""
    journeys: dict[int, str] = field(default_factory=dict)
    """index of the SOP → status"""
    scores: dict[tuple[str, str], tuple[float, timedelta]] = field(default_factory=dict)
    """(category or product, which) → (score, as of how long ago)"""
    stage: tuple[str, timedelta] | None = None
    """the brand's stage, and since how long ago"""
    stage_before: str | None = None
    """a spell that has ended"""
    tier: tuple[str, timedelta] | None = None
    """code of the tier, or none any more, and since how long ago"""
    tier_before: str | None = None
    """one that has ended"""
    reached: set[int] = field(default_factory=set)
    """indexes of the pushes that have a delivery for them"""
    moved: set[int] = field(default_factory=set)
    """indexes of the pushes in whose SOP step's crowd they are"""
    hidden: str = ""
    """merged or erased: nobody of their own any more, whatever rows still name them"""
    id: int = 0
    """of the contact, once written"""


@dataclass
class World(NewerKinds):
    """What the leaves of a tree refer to, by index."""

    now: datetime
    zone: ZoneInfo
    tags: list[Tag]
    guides: list[Any]
    """Staff; guide 0 and 1 are of store 0, guide 2 has none"""
    store: Any
    chats: list[GroupChat]
    dissolved: list[bool]
    sops: list[Sop]
    versions: list[SopVersion]
    pushes: list[Push]
    batches: list[Batch]
    """one of each push"""
    today: datetime
    """the real one"""
    segments: dict[int, Any] = field(default_factory=dict)
    """trees of the brand's segments by id"""
    confirmed: list[timedelta | None] = field(default_factory=lambda: [None, None, None])
    """when the batches were, how long ago"""
    half_life: timedelta = timedelta(days=14)

    def write(self, people: list[Somebody], brand_id: int) -> list[int]:
        """Store them; returns their contact ids in order. In the brand's scope."""
        ids = []
        for place, person in enumerate(people, start=1):
            contact = Contact.objects.create(
                id=place,  # the same in every run of an example
                name=person.name,
                gender=person.gender,
                kind=person.kind,
                phone=person.phone,
                source_state=person.source_state,
                first_added_at=_before(self.now, person.first_added),
                last_active_at=_before(self.now, person.last_active),
                lost_at=_before(self.now, person.lost),
                created_at=self.now - timedelta(days=400),
            )
            ids.append(contact.id)
            for index, (given, left) in person.tags.items():
                ContactTag.objects.create(
                    brand_id=brand_id,
                    contact=contact,
                    tag=self.tags[index],
                    source="manual",
                    given_at=self.now - given,
                    expires_at=None if left is None else self.now + left,
                )
            for index, (state, is_lost) in person.follows.items():
                Follow.objects.create(
                    brand_id=brand_id,
                    contact=contact,
                    staff=self.guides[index],
                    external_userid=f"wm{contact.id}",
                    state=state,
                    added_at=self.now - timedelta(days=20),
                    lost_at=self.now - timedelta(days=1) if is_lost else None,
                )
            person.id = contact.id
            self._write_belongings(person, len(ids), brand_id)
        for batch, ago in zip(self.batches, self.confirmed, strict=True):
            Batch.objects.filter(pk=batch.pk).update(confirmed_at=_before(self.now, ago))
        events = [log.NewEvent("order_paid", self.now, id=event_id(99, 0), identity=("unionid", "nobody's"))]
        for place, person in enumerate(people):
            for index, each in enumerate(person.events):
                each.id = event_id(place, index)
                moment = self.now - each.ago
                events.append(log.NewEvent(each.type, moment, id=each.id, contact_id=person.id, props=each.props))
        log.write(events, at=self.now)
        self._hide(people)
        return ids

    def _hide(self, people: list[Somebody]) -> None:
        with gone.shown():
            for person in people:
                into = next((other.id for other in people if other is not person), None)
                if person.hidden:
                    merged = into if person.hidden == "merged" else None
                    erased = self.now if merged is None else None
                    Contact.objects.filter(pk=person.id).update(gone_at=self.now, merged_into=merged, erased_at=erased)

    def _write_belongings(self, person: Somebody, place: int, brand_id: int) -> None:
        for type_ in sorted(person.identities):
            key = UUID(int=place * 100 + len(type_))
            Identity.objects.create(
                id=key, contact_id=person.id, type=type_, value=f"{type_}-{person.id}", first_seen_at=self.now
            )
        for index, (joined, left) in person.groups.items():
            GroupMember.objects.create(
                brand_id=brand_id,
                chat=self.chats[index],
                member_id=f"wm{person.id}",
                kind=2,
                contact_id=person.id,
                joined_at=self.now - joined,
                left_at=self.now if left else None,
            )
        if person.lots:
            account = PointsAccount.objects.create(
                id=UUID(int=place + 1),
                contact_id=person.id,
                balance=sum(n for n, _left in person.lots),
                opened_at=self.now,
            )
            for index, (points, left) in enumerate(person.lots):
                Lot.objects.create(
                    id=UUID(int=place * 100 + index + 1),
                    account=account,
                    amount=points + 1,
                    remaining=points,
                    expires_at=None if left is None else self.now + left,
                    earned_at=self.now,
                )
        for index, status in person.journeys.items():
            Enrolment.objects.create(
                id=UUID(int=place * 100 + index + 1),
                sop_version=self.versions[index],
                contact_id=person.id,
                status=status,
                entered_at=self.now,
            )
        self._write_kept(person, brand_id)

    def _write_kept(self, person: Somebody, brand_id: int) -> None:
        """What rules and pushes have written."""
        for (kind, key), (score, ago) in person.scores.items():
            InterestScore.objects.create(
                brand_id=brand_id, contact_id=person.id, kind=kind, key=key, score=score, as_of=self.now - ago
            )
        spell = {"brand_id": brand_id, "contact_id": person.id}
        if person.stage_before is not None:
            old = self.now - timedelta(days=500)
            LifecycleSpell.objects.create(**spell, stage=person.stage_before, since=old, until=old + timedelta(days=1))
        if person.stage is not None:
            stage, ago = person.stage
            LifecycleSpell.objects.create(**spell, stage=stage, since=self.now - ago)
        told = {"was": "", "reason": "reached", "metric": 100, "noted_at": self.now}
        if person.tier_before is not None:
            ended = {"since": old_times(self.now), "until": old_times(self.now) + timedelta(days=1)}
            TierSpell.objects.create(**spell, **told, **ended, tier=person.tier_before, held_since=ended["since"])
        if person.tier is not None:
            tier, ago = person.tier
            # Renewed since: they came to it before this spell began.
            TierSpell.objects.create(**spell, **told, tier=tier, since=self.now, held_since=self.now - ago)
        for index in person.reached:
            Delivery.objects.create(
                brand_id=brand_id,
                push=self.pushes[index],
                batch=self.batches[index],
                contact_id=person.id,
                staff=self.guides[0],
                status="planned",
                updated_at=self.now,
            )
        for index in person.moved:
            SopTouch.objects.create(brand_id=brand_id, push=self.pushes[index], contact_id=person.id)

    def holds(self, tree: dict[str, Any], person: Somebody) -> bool:
        """Whether the tree is true of the person, were they somebody."""
        for group, test in (("all", all), ("any", any)):
            if group in tree:
                return test(self.holds(child, person) for child in tree[group])
        if "none" in tree:
            return not any(self.holds(child, person) for child in tree["none"])
        return bool(getattr(self, f"_{tree['kind']}")(tree, person))

    def _profile(self, leaf: dict[str, Any], person: Somebody) -> bool:
        name = leaf["field"]
        value = {
            "name": person.name or None,
            "gender": person.gender or None,
            "kind": person.kind,
            "phone": person.phone or None,
            "source_state": person.source_state or None,
            "first_added_at": _before(self.now, person.first_added),
            "last_active_at": _before(self.now, person.last_active),
            "created_at": self.now - timedelta(days=400),
        }[name]
        op, wanted = leaf["op"], leaf.get("value")
        if op in ("exists", "is_missing"):
            return (value is None) == (op == "is_missing")
        if value is None:
            return bool(leaf.get("or_missing"))
        if op == "within":
            start, end = self._window(leaf)
            return start <= value < end
        return {
            "eq": lambda: value == wanted,
            "ne": lambda: value != wanted,
            "in": lambda: value in wanted,
            "not_in": lambda: value not in wanted,
            "contains": lambda: wanted in value,
            "starts_with": lambda: value.startswith(wanted),
            "regexp": lambda: re.search(wanted, value) is not None,
            "anniversary": lambda: self.is_anniversary(value, leaf["anniversary"]),
            "older_than": lambda: value < self.now - timedelta(days=leaf["days"]),
            "before": lambda: value < datetime.fromisoformat(wanted),
            "after": lambda: value >= datetime.fromisoformat(wanted),
        }[op]()

    def _lifecycle(self, leaf: dict[str, Any], person: Somebody) -> bool:
        silent = timedelta(days=leaf.get("silent_days", 30))
        if person.lost is not None:
            stage = "lost"
        elif person.first_added is None:
            stage = "visitor"
        elif person.first_added <= timedelta(days=7):
            stage = "new"
        else:
            stage = "active" if person.last_active is not None and person.last_active <= silent else "silent"
        return stage in listed(leaf["stage"])

    def _lost(self, leaf: dict[str, Any], person: Somebody) -> bool:
        start, end = self._window(leaf)
        lost = person.lost is not None and start <= self.now - person.lost < end
        if not is_windowed(leaf):
            lost = person.lost is not None
        return lost == (leaf.get("op", "is") == "is")

    def _tag(self, leaf: dict[str, Any], person: Somebody) -> bool:
        if "tag_id" in leaf:
            wanted = {index for index, tag in enumerate(self.tags) if tag.pk in listed(leaf["tag_id"])}
        else:
            wanted = {index for index, tag in enumerate(self.tags) if str(tag) in listed(leaf["tag"])}
        start, end = self._window(leaf)
        has = any(
            index in wanted
            and (left is None or left > timedelta(0))
            and (not is_windowed(leaf) or start <= self.now - given < end)
            for index, (given, left) in person.tags.items()
        )
        return has == (leaf.get("op", "has") == "has")

    def _follow(self, leaf: dict[str, Any], person: Somebody) -> bool:
        live = leaf.get("live", True)
        has = any(
            (live == "any" or is_lost != live)
            and ("guide" not in leaf or self.guides[index].pk in listed(leaf["guide"]))
            and ("store" not in leaf or index < 2)
            and ("state" not in leaf or state in listed(leaf["state"]))
            for index, (state, is_lost) in person.follows.items()
        )
        return has == (leaf.get("op", "has") == "has")

    def _event_count(self, leaf: dict[str, Any], person: Somebody) -> bool:
        return COMPARE[leaf["op"]](len(self.matching(leaf, person)), leaf["value"])

    def _event_sum(self, leaf: dict[str, Any], person: Somebody) -> bool:
        total = sum(each.props.get("amount_fen", 0) for each in self.matching(leaf, person))
        return COMPARE[leaf["op"]](total, leaf["value"])

    def _event_recency(self, leaf: dict[str, Any], person: Somebody) -> bool:
        return bool(self.matching(leaf, person)) == (leaf["op"] == "within")


def old_times(now: datetime) -> datetime:
    """Long before any window."""
    return now - timedelta(days=500)


def _before(now: datetime, ago: timedelta | None) -> datetime | None:
    return None if ago is None else now - ago
