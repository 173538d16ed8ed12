"""Reads for the contact list: keyset pages, one query per column for a page's rows. Scoped.

A store manager's seat sees the contacts that a guide of the own store follows now; every read here takes the seat."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Exists, OuterRef, Q, QuerySet, Sum
from django.utils.dateparse import parse_datetime

from campaigns.models import Reservation
from contacts.models import Contact, Follow, Identity, Staff, Store
from events.spelling import canonical
from points.models import PointsAccount, PointsEntry
from scrm.lib.errors import found
from tagging.language import compiler
from tagging.models import ContactTag, Segment, Tag
from tenants.models import Brand
from tenants.roles import Role
from tenants.seats import Place

PAGE_ROWS = 50


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the list is asked for. Empty means any."""

    text: str = ""
    guide: int | None = None
    store: int | None = None
    tag: int | None = None
    segment: int | None = None
    state: str = ""
    """friends, lost, or empty"""
    before: int | None = None
    """only contacts with a smaller id: the next page"""
    after: int | None = None
    """only contacts with a larger id: the page before"""


@dataclass(slots=True)
class Row:
    """One line of the list."""

    contact: Contact
    tags: list[Tag] = field(default_factory=list)
    points: int | None = None
    touches: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """A page of the list; `next_before` and `previous_after` are empty at the ends."""

    rows: list[Row]
    next_before: int | None
    previous_after: int | None


def visible(place: Place) -> QuerySet[Contact]:
    """The contacts that this seat may see at all."""
    contacts = Contact.objects.all()
    if place.role == Role.STORE_MANAGER:
        live = Follow.objects.filter(contact=OuterRef("pk"), lost_at=None, staff__store=place.store_id)
        contacts = contacts.filter(Exists(live))
    return contacts


def search(*, place: Place, wanted: Wanted, at: datetime) -> Found:
    """A page of contacts, newest first. No count: the page asks for one row more than it shows."""
    contacts = _filtered(visible(place), place.brand, wanted, at).select_related("main_guide__store")
    backwards = wanted.after is not None
    if backwards:
        contacts = contacts.filter(pk__gt=wanted.after).order_by("pk")
    else:
        contacts = contacts.order_by("-pk")
        if wanted.before is not None:
            contacts = contacts.filter(pk__lt=wanted.before)
    shown = list(contacts[: PAGE_ROWS + 1])
    more, shown = len(shown) > PAGE_ROWS, shown[:PAGE_ROWS]
    if backwards:
        shown.reverse()
    newer = more if backwards else wanted.before is not None
    older = True if backwards else more
    return Found(
        _rows(shown, brand=place.brand, at=at),
        shown[-1].pk if shown and older else None,
        shown[0].pk if shown and newer else None,
    )


def the_contact(*, place: Place, contact_id: int) -> Contact:
    """One contact, or NotFound when it is missing, another brand's, or another store's."""
    return found(visible(place).select_related("main_guide__store").filter(pk=contact_id))


def _filtered(contacts: QuerySet[Contact], brand: Brand, wanted: Wanted, at: datetime) -> QuerySet[Contact]:
    if wanted.text:
        contacts = contacts.filter(_matches(wanted.text.strip()))
    if wanted.guide:
        contacts = contacts.filter(Exists(_follows(staff=wanted.guide)))
    if wanted.store:
        contacts = contacts.filter(Exists(_follows(staff__store=wanted.store)))
    if wanted.tag:
        has = ContactTag.objects.filter(contact=OuterRef("pk"), tag=wanted.tag)
        contacts = contacts.filter(Exists(has.filter(Q(expires_at=None) | Q(expires_at__gt=at))))
    if wanted.state == "friends":
        contacts = contacts.filter(lost_at=None, first_added_at__isnull=False)
    elif wanted.state == "lost":
        contacts = contacts.filter(lost_at__isnull=False)
    if wanted.segment:
        segment = found(Segment.objects.filter(pk=wanted.segment))
        condition = compiler.condition_sql(segment.tree, brand_id=brand.pk, at=at, alias="contacts_contact")
        contacts = contacts.extra(where=[condition.text], params=list(condition.params))  # noqa: S610 - compiled SQL
    return contacts


def _follows(**fields: Any) -> QuerySet[Follow]:
    return Follow.objects.filter(contact=OuterRef("pk"), lost_at=None, **fields)


def _matches(text: str) -> Q:
    """By name, remark, whole phone however it is written, or its last four digits; by external_userid, unionid, or our
    number, as #6395 too."""
    matches = Q(name__contains=text) | Q(Exists(_follows(remark__contains=text)))
    number = text.removeprefix("#")
    if number.isascii() and number.isdigit() and len(number) < 19:
        matches |= Q(pk=int(number))
    phone = canonical("phone", text)
    if len(phone) > 4:
        of_phone = Identity.objects.filter(contact=OuterRef("pk"), type__in=("phone", "order_phone"), value=phone)
        matches |= Q(phone=phone) | Q(Exists(of_phone))
    elif text.isdigit() and len(text) == 4:
        matches |= Q(phone__endswith=text)
    if text.isascii() and len(text) >= 8:
        matches |= Q(Exists(Follow.objects.filter(contact=OuterRef("pk"), external_userid=text)))
        matches |= Q(Exists(Identity.objects.filter(contact=OuterRef("pk"), value=text)))
    return matches


def _rows(contacts: list[Contact], *, brand: Brand, at: datetime) -> list[Row]:
    rows = {contact.pk: Row(contact) for contact in contacts}
    given = ContactTag.objects.filter(contact__in=rows).filter(Q(expires_at=None) | Q(expires_at__gt=at))
    for line in given.select_related("tag").order_by("given_at"):
        rows[line.contact_id].tags.append(line.tag)
    for contact_id, balance in PointsAccount.objects.filter(contact__in=rows).values_list("contact_id", "balance"):
        rows[contact_id].points = balance
    first = at.astimezone(ZoneInfo(brand.timezone)).date().replace(day=1)
    held = Reservation.objects.filter(contact__in=rows, day__gte=first).exclude(status="voided")
    for touched in held.values("contact_id").annotate(n=Sum("touches")):
        rows[touched["contact_id"]].touches = touched["n"]
    return list(rows.values())


def entries(*, contact_id: int, limit: int = 10) -> list[PointsEntry]:
    """The latest entries of the contact's points account."""
    own = PointsEntry.objects.filter(account__contact=contact_id).select_related("transfer")
    return list(own.order_by("-posted_at", "-id")[:limit])


def choices() -> dict[str, Any]:
    """What the list can be filtered by. Small tables; at most 500 of each."""
    return {
        "guides": Staff.objects.filter(is_guide=True, left_at=None).order_by("name")[:500],
        "stores": Store.objects.order_by("name")[:500],
        "tags": Tag.objects.order_by("group", "name")[:500],
        "segments": Segment.objects.filter(archived_at=None).order_by("name")[:500],
    }


def opened(text: str) -> tuple[datetime, UUID] | None:
    """The place in a list that `closed` wrote into a link; None for anything else."""
    at, _sep, row_id = text.partition("~")
    # A plus sign of the offset may have come back as a space.
    moment = parse_datetime(at.replace(" ", "+")) if at else None
    try:
        return (moment, UUID(row_id)) if moment else None
    except ValueError:
        return None


def closed(at: datetime, row_id: UUID) -> str:
    """A place in a list ordered by (time, id), for a link."""
    return f"{at.isoformat()}~{row_id}"
