"""成员与角色: who works in this brand, and as what."""

from typing import Any

from django.conf import settings
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from console.numbers import whole
from console.site import BrandRequest, page, render, told, told_problem
from contacts.models import Store
from scrm.lib import errors
from tenants import seats
from tenants.models import Seat
from tenants.roles import TABLE, Capability, Role

MANAGE = Capability.MANAGE_SEATS


@page("members/", name="members", needs=MANAGE, methods=("GET", "POST"))
def members(request: BrandRequest) -> HttpResponse:
    """The list; POST invites."""
    context: dict[str, Any] = {}
    if request.method == "POST":
        role, store = request.POST.get("role", ""), request.POST.get("store", "")
        try:
            invited = seats.invite(
                brand_id=request.brand.pk,
                username=request.POST.get("username", ""),
                name=request.POST.get("name", "").strip()[:50],
                role=role,
                store_id=_store(store),
                actor=request.actor,
                at=timezone.now(),
            )
        except errors.DomainError as refusal:
            context = {"problem": refusal, "typed": request.POST}
        else:
            context = {"link": f"{settings.PUBLIC_URL.rstrip('/')}/join/{invited.token}/"}
    stores = {store.pk: store.name for store in Store.objects.order_by("name")}
    context |= {
        "rows": [(seat, stores.get(seat.store_id or 0, "")) for seat in seats.members(brand=request.brand)],
        "stores": stores,
        "roles": [(role.value, role.label) for role in seats.OFFERED_ROLES],
        "matrix": [
            (capability.label, [capability in TABLE[role] for role in seats.OFFERED_ROLES])
            for capability in Capability
            if capability != Capability.OPEN_SIDEBAR
        ],
        "role_names": [Role(role).label for role in seats.OFFERED_ROLES],
        "own_seat": request.place.seat_id,
        "days": seats.INVITATION_DAYS,
        "statuses": Seat.Status,
    }
    status = 422 if "problem" in context else 200
    return render(request, "members.html", context, title=_("成员与角色"), status=status)


@page("members/<int:seat_id>/", name="member", needs=MANAGE, methods=("POST",))
def change(request: BrandRequest, seat_id: int) -> HttpResponse:
    """Another role, or none any more."""
    brand_id, now = request.brand.pk, timezone.now()
    try:
        if request.POST.get("act") == "revoke":
            seats.revoke(brand_id=brand_id, seat_id=seat_id, actor=request.actor, at=now)
            told(request, _("席位已撤销，该成员的登录已立即结束。"))
        else:
            role, store = request.POST.get("role", ""), _store(request.POST.get("store", ""))
            seats.change(brand_id=brand_id, seat_id=seat_id, role=role, store_id=store, actor=request.actor, at=now)
            told(request, _("角色已修改，该成员需要重新登录。"))
    except (errors.Refused, errors.Conflict) as refusal:
        told_problem(request, refusal)
    return HttpResponseRedirect(reverse("admin:members"))


def _store(text: str) -> int | None:
    """The store of this brand that the form names; another brand's is a NotFound."""
    number = whole(text)
    return None if number is None else errors.found(Store.objects.filter(pk=number)).pk
