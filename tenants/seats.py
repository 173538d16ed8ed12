"""Seats: who works in which brand, and as what. Inviting, changing and revoking them.

A revoked or changed seat takes effect at once: the user's session epoch is raised, which ends all sessions."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext_lazy as _

from scrm.lib.errors import Conflict, FieldError, Invalid, NotFound, Refused, found
from tenants import audit
from tenants.actors import Actor
from tenants.models import Agency, Brand, Seat, User
from tenants.roles import Capability, Role, may
from tenants.scope import brand_scope

INVITATION_DAYS = 7
OFFERED_ROLES = (Role.OWNER, Role.OPERATOR, Role.ANALYST, Role.STORE_MANAGER)


class LastOwner(Refused):
    """A brand must keep an owner."""

    code = "seats.last_owner"


@dataclass(frozen=True, slots=True)
class Place:
    """A user's place in one brand."""

    brand: Brand
    role: str
    seat_id: int
    store_id: int | None = None
    through_agency: bool = False
    last_seen_at: datetime | None = None
    """when the seat was used, to within some minutes"""

    def may(self, capability: Capability) -> bool:
        """Whether the role has the capability."""
        return may(self.role, capability)


@dataclass(frozen=True, slots=True)
class Invited:
    """A new invitation. The token is shown once and kept as a hash."""

    seat_id: int
    token: str


def place_of(*, user: User, slug: str) -> Place | None:
    """The user's place in the brand of this slug, by an own seat or else by the agency's; None without one."""
    return next((place for place in places_of(user=user, slug=slug)), None)


def places_of(*, user: User, slug: str | None = None) -> list[Place]:
    """All brands the user may open, by name; an own seat in a brand comes before the agency's."""
    seats = Seat.objects.filter(user=user, status=Seat.Status.ACTIVE, user__is_active=True)
    own = {seat.brand_id: seat for seat in seats if seat.brand_id}
    agencies = {seat.agency_id: seat for seat in seats if seat.agency_id}
    brands = Brand.objects.filter(pk__in=own) | Brand.objects.filter(agency__in=agencies)
    if slug is not None:
        brands = brands.filter(slug=slug)
    places = []
    for brand in brands.order_by("name"):
        seat = own.get(brand.pk) or agencies[brand.agency_id or 0]
        through = seat.brand_id is None
        places.append(Place(brand, seat.role, seat.pk, seat.store_id, through, seat.last_seen_at))
    return places


def agencies_of(*, user: User) -> list[Agency]:
    """The agencies in whose name the user works."""
    seats = Seat.objects.filter(user=user, status=Seat.Status.ACTIVE, agency__isnull=False)
    return list(Agency.objects.filter(pk__in=seats.values("agency")).order_by("name"))


def members(*, brand: Brand) -> list[Seat]:
    """The brand's seats and those of its agency, revoked ones last."""
    seats = Seat.objects.filter(brand=brand) | Seat.objects.filter(brand=None, agency=brand.agency_id)
    return sorted(seats.select_related("user"), key=lambda s: (s.status == Seat.Status.REVOKED, s.pk))


def invite(
    *, brand_id: int, username: str, name: str, role: str, store_id: int | None = None, actor: Actor, at: datetime
) -> Invited:
    """Offer somebody a seat; the link with the token is valid 7 days. Scoped to the brand.

    A revoked or still unanswered seat is offered anew. Raises Invalid, or Conflict for who has a seat already, and for
    a new person whom another brand has invited and who has not answered yet."""
    username = username.strip()
    _check(username, role, store_id)
    with transaction.atomic():
        user, _made = User.objects.get_or_create(username=username, defaults={"name": name, "password": "!"})
        seat = Seat.objects.filter(user=user, brand_id=brand_id).first()
        if seat and seat.status == Seat.Status.ACTIVE:
            raise Conflict(_("%(name)s 已经是这个品牌的成员。") % {"name": username}, code="seats.taken")
        elsewhere = Seat.objects.filter(user=user, status=Seat.Status.INVITED).exclude(brand_id=brand_id)
        if not user.has_usable_password() and elsewhere.exists():
            # Whoever answers first sets the password: another brand's invitee must not be shut out of their own name.
            raise Conflict(
                _("用户名 %(name)s 已被邀请，还没有加入。") % {"name": username},
                remedy=_("请换一个用户名，或等对方加入后再邀请。"),
                code="seats.name_pending",
            )
        seat = seat or Seat(user=user, brand_id=brand_id)
        token = secrets.token_urlsafe(32)
        seat.role, seat.store_id, seat.status = role, _store(role, store_id), Seat.Status.INVITED
        seat.invite_hash, seat.invited_at = _hash(token), at
        seat.save()
        after = {"username": username, "role": role, "store_id": seat.store_id}
        audit.record(actor=actor, action="seat.invite", object_type="seat", object_id=seat.pk, after=after, at=at)
    return Invited(seat.pk, token)


def invitation(*, token: str, at: datetime) -> Seat:
    """The open invitation of this token. Raises NotFound when there is none, or it is too old."""
    seats = Seat.objects.select_related("user", "brand").filter(
        invite_hash=_hash(token), status=Seat.Status.INVITED, invited_at__gt=at - timedelta(days=INVITATION_DAYS)
    )
    return found(seats)


def accept(*, token: str, password: str | None, at: datetime) -> User:
    """Take the seat: a new person sets a password (None for one who has logged in already). Opens the brand's scope.

    Raises NotFound for a token that is no more, Invalid for a weak password."""
    seat = invitation(token=token, at=at)
    user = seat.user
    if not user.has_usable_password():
        _check_password(password or "", user)
    if seat.brand_id is None:
        raise NotFound(_("邀请"))
    with brand_scope(seat.brand_id):
        taken = Seat.objects.filter(pk=seat.pk, status=Seat.Status.INVITED, invite_hash=seat.invite_hash)
        if taken.update(status=Seat.Status.ACTIVE, invite_hash="") != 1:
            raise NotFound(_("邀请"))
        if not user.has_usable_password():
            user.set_password(password)
            user.save(update_fields=["password"])
        who = Actor(f"user:{user.pk}", user.get_full_name())
        audit.record(
            actor=who, action="seat.accept", object_type="seat", object_id=seat.pk, after={"role": seat.role}, at=at
        )
    return user


def change(*, brand_id: int, seat_id: int, role: str, store_id: int | None = None, actor: Actor, at: datetime) -> None:
    """Give a seat another role; the user's sessions end. Scoped. Raises NotFound, Invalid or LastOwner."""
    with transaction.atomic():
        seat = _seat(brand_id, seat_id)
        _check(seat.user.username, role, store_id)
        if role != Role.OWNER:
            _keep_an_owner(seat)
        before = {"role": seat.role, "store_id": seat.store_id}
        after = {"role": str(role), "store_id": _store(role, store_id)}
        if before == after:
            return
        Seat.objects.filter(pk=seat.pk).update(**after)
        _end_sessions(seat.user_id)
        audit.record(
            actor=actor, action="seat.change", object_type="seat", object_id=seat_id, before=before, after=after, at=at
        )


def revoke(*, brand_id: int, seat_id: int, actor: Actor, at: datetime) -> None:
    """Take a seat away; the user's sessions end. Scoped. Revoking twice is once. Raises NotFound or LastOwner."""
    with transaction.atomic():
        seat = _seat(brand_id, seat_id)
        if seat.status == Seat.Status.REVOKED:
            return
        _keep_an_owner(seat)
        Seat.objects.filter(pk=seat.pk).update(status=Seat.Status.REVOKED, invite_hash="")
        _end_sessions(seat.user_id)
        before = {"username": seat.user.username, "role": seat.role}
        audit.record(actor=actor, action="seat.revoke", object_type="seat", object_id=seat_id, before=before, at=at)


def _seat(brand_id: int, seat_id: int) -> Seat:
    seats = Seat.objects.filter(pk=seat_id, brand_id=brand_id).select_related("user", "brand")
    return found(seats.select_for_update(of=("self",)))


def _keep_an_owner(seat: Seat) -> None:
    """Refuses to lose the brand's last owner. The brand's row is locked: two owners may leave at the same moment."""
    if seat.role != Role.OWNER or seat.status != Seat.Status.ACTIVE or seat.brand_id is None:
        return
    brand = Brand.objects.select_for_update(of=("self",), no_key=True).get(pk=seat.brand_id)
    owners = Seat.objects.filter(role=Role.OWNER, status=Seat.Status.ACTIVE).exclude(pk=seat.pk)
    of_agency = owners.filter(brand=None, agency=brand.agency_id) if brand.agency_id else owners.none()
    if not owners.filter(brand=brand).exists() and not of_agency.exists():
        raise LastOwner(_("这是品牌唯一的负责人，不能撤销或降级。"), remedy=_("请先把另一位成员设为负责人。"))


def _end_sessions(user_id: int) -> None:
    User.objects.filter(pk=user_id).update(session_epoch=F("session_epoch") + 1)


def _check(username: str, role: str, store_id: int | None) -> None:
    errors: Sequence[FieldError] = [
        *([] if username else [FieldError("username", "required", _("请填写登录名。"))]),
        *([] if role in OFFERED_ROLES else [FieldError("role", "unknown", _("没有这个角色。"))]),
        *(
            [FieldError("store_id", "required", _("店长需要指定门店。"), _("选择一家门店。"))]
            if role == Role.STORE_MANAGER and store_id is None
            else []
        ),
    ]
    if errors:
        raise Invalid(_("成员没有保存。"), errors=errors)


def _check_password(password: str, user: User) -> None:
    try:
        validate_password(password, user)
    except ValidationError as weak:
        problems = [FieldError("password", "weak", text) for text in weak.messages]
        raise Invalid(_("密码太弱。"), errors=problems) from weak


def _store(role: str, store_id: int | None) -> int | None:
    return store_id if role == Role.STORE_MANAGER else None


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
