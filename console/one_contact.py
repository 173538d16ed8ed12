"""Reads for the page of one contact. Scoped. Each block of the page is one dataclass, a query or two each."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Q, Sum

from campaigns.models import Delivery, Enrolment, Push, Reservation
from commerce.orders import TYPES, Bought, bought
from contacts.models import Follow, GroupChat, GroupMember, Staff
from events.models import Event
from tagging.models import ContactTag, Membership
from tenants.models import Brand

SAME_LOSS = timedelta(minutes=1)
PAGE_EVENTS = 30


@dataclass(frozen=True, slots=True)
class Loss:
    """A friendship that ended: whose, when, and who ended it (Follow.LostBy; empty when WeCom did not say)."""

    staff: Staff | None
    at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class Relations:
    """Whom the contact knows: guides and groups, present and past."""

    follows: list[Follow]
    """living ones first"""
    losses: list[Loss]
    """the latest first; a friendship that ended twice is there twice"""
    groups: list[GroupMember]
    """those the contact is in first, then those left"""


@dataclass(frozen=True, slots=True)
class Dealings:
    """What went on between the contact and the brand, but for the log."""

    bought: Bought
    touches: list[Delivery]
    enrolments: list[Enrolment]
    segments: list[Membership]
    """the brand's kept segments that the contact is in now"""
    touches_this_month: int


def relations(contact_id: int) -> Relations:
    """Guides, losses and groups; three queries."""
    groups = GroupMember.objects.filter(contact=contact_id).select_related("chat__owner").order_by("-joined_at")[:50]
    rows = Follow.objects.filter(contact=contact_id).select_related("staff__store", "staff__corp")
    follows = sorted(rows, key=lambda f: (f.lost_at is not None, -f.added_at.timestamp()))
    return Relations(
        follows=follows,
        losses=_losses(contact_id, follows),
        groups=sorted(groups, key=lambda member: member.left_at is not None),
    )


def dealings(*, contact_id: int, brand: Brand, at: datetime) -> Dealings:
    """Orders, touches, SOPs and segments; six queries."""
    first = at.astimezone(ZoneInfo(brand.timezone)).date().replace(day=1)
    held = Reservation.objects.filter(contact=contact_id, day__gte=first).exclude(status="voided")
    deliveries = Delivery.objects.filter(contact=contact_id).select_related("push", "staff", "variant")
    enrolments = Enrolment.objects.filter(contact=contact_id).select_related("sop_version__sop")
    stays = Membership.objects.filter(contact=contact_id, left_at=None).select_related("segment")
    return Dealings(
        bought=bought(contact_id=contact_id),
        touches=list(deliveries.order_by("-updated_at")[:20]),
        enrolments=list(enrolments.order_by("-entered_at")[:10]),
        segments=list(stays.order_by("-entered_at")[:20]),
        touches_this_month=held.aggregate(n=Sum("touches"))["n"] or 0,
    )


def _losses(contact_id: int, follows: Iterable[Follow]) -> list[Loss]:
    """From the log, and from friendships whose end the log no longer has. One query, by contact and type."""
    staff = {follow.staff_id: follow.staff for follow in follows}
    told = Event.objects.filter(contact_id=contact_id, type="friend_lost").order_by("-occurred_at")[:50]
    found = [
        Loss(staff.get(event.props.get("staff_id")), event.occurred_at, str(event.props.get("lost_by") or ""))
        for event in told
    ]
    known = {(loss.staff.pk, loss.at) for loss in found if loss.staff}
    for follow in follows:
        if follow.lost_at and not _is_among(follow.staff_id, follow.lost_at, known):
            found.append(Loss(follow.staff, follow.lost_at, follow.lost_by))
    return sorted(found, key=lambda loss: loss.at, reverse=True)


def _is_among(staff_id: int, at: datetime, known: set[tuple[int, datetime]]) -> bool:
    return any(who == staff_id and abs(moment - at) < SAME_LOSS for who, moment in known)


# ---- the timeline

KINDS: dict[str, tuple[str, ...]] = {
    "relation": ("friend_added", "friend_lost", "transfer_failed", "group_joined", "group_left", "chat_session"),
    "touch": (
        "message_delivered",
        "message_failed",
        "moment_liked",
        "moment_commented",
        "welcome_sent",
        "welcome_failed",
    ),
    "order": tuple(TYPES),
    "points": ("points_earned", "points_spent", "tier_changed"),
    "change": (
        "tag_given",
        "tag_taken",
        "segment_entered",
        "segment_left",
        "lifecycle_changed",
        "profile_changed",
        "contact_merged",
        "contact_split",
    ),
}
"""What the timeline can be narrowed to; "own" is everything else: what the contact did, the brand's own types too."""
KIND_OF = {name: kind for kind, names in KINDS.items() for name in names}


def timeline(
    *, contact_id: int, kind: str, before: tuple[datetime, UUID] | None, limit: int = PAGE_EVENTS
) -> tuple[list[Event], bool]:
    """The contact's events, latest first, and whether there are earlier ones.

    Reads the contact's own rows of each month (index event_of_contact) and sorts them: thousands are milliseconds."""
    events = Event.objects.filter(contact_id=contact_id)
    if kind in KINDS:
        events = events.filter(type__in=KINDS[kind])
    elif kind == "own":
        events = events.exclude(type__in=KIND_OF)
    if before is not None:
        moment, key = before
        # The first condition alone tells the planner which months need not be read.
        events = events.filter(occurred_at__lte=moment).filter(Q(occurred_at__lt=moment) | Q(id__lt=key))
    rows = list(events.order_by("-occurred_at", "-id")[: limit + 1])
    return rows[:limit], len(rows) > limit


@dataclass(frozen=True, slots=True)
class Names:
    """What the numbers in events are called."""

    staff: dict[int, str]
    groups: dict[str, str]
    pushes: dict[int, str]


def names_in(events: Iterable[Event]) -> Names:
    """The names for a page of events; at most three queries."""
    wanted: dict[str, set[Any]] = {"staff_id": set(), "chat_id": set(), "push_id": set()}
    for event in events:
        for prop, found in wanted.items():
            value = event.props.get(prop)
            if isinstance(value, str if prop == "chat_id" else int) and not isinstance(value, bool):
                found.add(value)
    staff, chats, pushes = wanted.values()
    return Names(
        {each.pk: str(each) for each in Staff.objects.filter(pk__in=staff)} if staff else {},
        dict(GroupChat.objects.filter(chat_id__in=chats).values_list("chat_id", "name")) if chats else {},
        dict(Push.objects.filter(pk__in=pushes).values_list("pk", "name")) if pushes else {},
    )


def evidence(*, contact_id: int, line: ContactTag, limit: int = 20) -> list[Event]:
    """The events that a tag rests on and that the log still has, latest first."""
    ids = [UUID(each) for each in line.evidence.get("event_ids", [])[:limit]]
    if not ids:
        return []
    events = Event.objects.filter(contact_id=contact_id, id__in=ids)
    if line.rule is not None and line.rule.event_type:
        events = events.filter(type=line.rule.event_type)
    return list(events.order_by("-occurred_at"))
