"""API 密钥: made, shown once, revoked."""

from typing import Any

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from console.numbers import whole
from console.site import BrandRequest, page, render, told
from scrm.lib import errors
from tenants import keys
from tenants.roles import Capability

MANAGE = Capability.MANAGE_KEYS


@page("keys/", name="keys", needs=MANAGE, methods=("GET", "POST"))
def key_list(request: BrandRequest) -> HttpResponse:
    """The list; POST makes a key and shows it this once."""
    context: dict[str, Any] = {}
    if request.method == "POST":
        try:
            made = keys.make(
                brand_id=request.brand.pk,
                name=request.POST.get("name", "")[:100],
                scopes=request.POST.getlist("scopes"),
                per_minute=whole(request.POST.get("per_minute")) or 0,
                actor=request.actor,
                at=timezone.now(),
            )
        except errors.Invalid as refusal:
            context = {"problem": refusal, "typed": request.POST, "typed_scopes": request.POST.getlist("scopes")}
        else:
            context = {"made": made}
    context |= {"rows": keys.keys_of(brand_id=request.brand.pk), "scopes": list(keys.SCOPES.items())}
    status = 422 if "problem" in context else 200
    response = render(request, "keys.html", context, title=pgettext("console", "API 密钥"), status=status)
    response["Cache-Control"] = "no-store"
    return response


@page("keys/<int:key_id>/revoke/", name="key-revoke", needs=MANAGE, methods=("POST",))
def revoke(request: BrandRequest, key_id: int) -> HttpResponse:
    """End a key at once."""
    keys.revoke(brand_id=request.brand.pk, key_id=key_id, actor=request.actor, at=timezone.now())
    told(request, _("密钥已撤销，使用它的请求从现在起被拒绝。"))
    return HttpResponseRedirect(reverse("admin:keys"))
