"""Reading contacts, for pages and the API. Everything here is called in a scope and writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from contacts.models import Contact, Follow, GroupMember, Identity
from contacts.oneid import conflicts
from events.models import Event
from events.spelling import canonical
from scrm.lib.errors import FieldError, Invalid, found


@dataclass(frozen=True, slots=True)
class Card:
    """What is known of one contact, but for what higher apps add (tags, points, deliveries)."""

    contact: Contact
    identities: Sequence[Identity]
    follows: Sequence[Follow]
    """all friendships with their staff and stores, living ones first"""
    groups: Sequence[GroupMember]
    """the groups the contact is in now"""
    conflicts: int
    """unresolved: other contacts that may be the same person"""


@dataclass(frozen=True, slots=True)
class Moment:
    """One event of a contact's past."""

    id: UUID
    occurred_at: datetime
    type: str
    props: dict[str, Any]
    source: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """Events, latest first; `before` of the next page is `next_before`, empty at the end."""

    items: list[Moment]
    next_before: str


def search(
    *,
    text: str = "",
    guide_id: int | None = None,
    store_id: int | None = None,
    source_state: str = "",
    lost: bool | None = None,
) -> "QuerySet[Contact]":
    """Contacts with their main guide and store, in no order. `text`: part of the name, or a whole phone number.

    `guide_id` and `store_id` mean the main guide; `lost` None means both."""
    contacts = Contact.objects.select_related("main_guide__store")
    if text:
        contacts = contacts.filter(Q(name__contains=text) | Q(phone=canonical("phone", text) or text))
    if guide_id is not None:
        contacts = contacts.filter(main_guide_id=guide_id)
    if store_id is not None:
        contacts = contacts.filter(main_guide__store_id=store_id)
    if source_state:
        contacts = contacts.filter(source_state=source_state)
    if lost is not None:
        contacts = contacts.filter(lost_at__isnull=not lost)
    return contacts


def card(contact_id: int) -> Card:
    """The contact's card. Raises NotFound. Five queries."""
    contact = found(Contact.objects.filter(pk=contact_id).select_related("main_guide__store"))
    follows = Follow.objects.filter(contact=contact).select_related("staff__store")
    return Card(
        contact=contact,
        identities=list(Identity.objects.filter(contact=contact).order_by("type", "value")),
        follows=sorted(follows, key=lambda each: (each.lost_at is not None, each.added_at)),
        groups=list(
            GroupMember.objects.filter(contact=contact, left_at=None).select_related("chat").order_by("joined_at")
        ),
        conflicts=conflicts.number_of(contact.pk),
    )


def timeline(contact_id: int, before: str = "", limit: int = 50) -> Timeline:
    """A page of the contact's events. One query. Raises Invalid for a `before` that is not ours."""
    events = Event.objects.filter(contact_id=contact_id)
    if before:
        moment, key = _opened(before)
        events = events.filter(Q(occurred_at__lt=moment) | Q(occurred_at=moment, id__lt=key))
    rows = list(
        events.order_by("-occurred_at", "-id").values_list("id", "occurred_at", "type", "props", "source")[: limit + 1]
    )
    items = [Moment(*row) for row in rows[:limit]]
    more = len(rows) > limit
    return Timeline(items, f"{items[-1].occurred_at.isoformat()}|{items[-1].id}" if more else "")


def masked(phone: str) -> str:
    """A phone number with its middle hidden: 138****5678; a short one is hidden whole."""
    return f"{phone[:3]}****{phone[-4:]}" if len(phone) >= 8 else "*" * len(phone)


def _opened(before: str) -> tuple[datetime, UUID]:
    moment, _sep, key = before.partition("|")
    try:
        return datetime.fromisoformat(moment), UUID(key)
    except ValueError as bad:
        raise Invalid(
            _("有字段不正确。"), errors=[FieldError("before", "before.bad", _("这不是本接口给出的位置。"))]
        ) from bad
