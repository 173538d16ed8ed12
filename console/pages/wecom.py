"""企微接入: connect a corp with a live check, see its health, sync it. These pages talk to WeCom, so their acts run
outside a scope; each opens its own."""

from typing import Any

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from console.brand_path import outside_brand
from console.site import BrandRequest, page, part, render, told, told_problem
from contacts.models import SyncRun
from contacts.tasks import sync_corp
from scrm.lib import errors
from tenants.roles import Capability
from tenants.scope import brand_scope
from wecom import corps
from wecom.models import CallbackEndpoint, Corp, CorpApp, QuotaMode

READ, MANAGE = Capability.READ_SETTINGS, Capability.MANAGE_CREDENTIALS


@page("wecom/", name="wecom", needs=READ)
def corp_list(request: BrandRequest) -> HttpResponse:
    """The brand's corps, or how to begin."""
    shown = [(corp, _latest_run(corp)) for corp in Corp.objects.order_by("id")]
    return render(request, "wecom.html", {"corps": shown}, title=_("企微接入"))


@page("wecom/connect/", name="corp-connect", needs=MANAGE, methods=("GET", "POST"), own_scopes=True)
def connect(request: BrandRequest) -> HttpResponse:
    """The form. WeCom is asked first; only what it accepts is saved."""
    context: dict[str, Any] = {"modes": QuotaMode.choices, "typed": request.POST}
    if request.method == "POST":
        agent = request.POST.get("agent_id", "")
        try:
            connected = corps.connect(
                brand_id=request.brand.pk,
                corpid=request.POST.get("corpid", ""),
                name=request.POST.get("name", ""),
                agent_id=int(agent) if agent.isdigit() and len(agent) < 15 else 0,
                secret=request.POST.get("secret", ""),
                quota_mode=request.POST.get("quota_mode", ""),
                actor=request.actor,
                at=timezone.now(),
            )
        except errors.DomainError as refusal:
            context |= {"problem": refusal, "bad": {error.field: error for error in refusal.errors}}
        else:
            told(request, _("已接入。请把下面的回调配置填到企业微信后台，然后开始首次同步。"))
            return HttpResponseRedirect(reverse("admin:corp", args=[connected.corp_id]))
    # The secret never goes back into the page.
    status = 422 if "problem" in context else 200
    return render(request, "wecom_connect.html", context, title=_("接入企业微信"), status=status).render()


@page("wecom/<int:corp_id>/", name="corp", needs=READ)
def corp_page(request: BrandRequest, corp_id: int) -> HttpResponse:
    """One corp: its health, the callback's settings, its syncs."""
    corp = errors.found(Corp.objects.filter(pk=corp_id))
    endpoint = CallbackEndpoint.objects.filter(brand=request.brand, corp_id=corp.pk).first()
    context: dict[str, Any] = {
        "corp": corp,
        "apps": CorpApp.objects.filter(corp=corp).order_by("id"),
        "runs": SyncRun.objects.filter(corp=corp).order_by("-id")[:8],
    }
    if endpoint:
        with outside_brand():
            context["callback_url"] = corps.callback_url(endpoint.pk)
    return render(request, "corp.html", context, title=corp.name)


@page("wecom/<int:corp_id>/check/", name="corp-check", needs=READ, methods=("POST",), own_scopes=True)
def check(request: BrandRequest, corp_id: int) -> HttpResponse:
    """Every step of the connection, tried now; a fragment."""
    verdicts = corps.check(brand_id=request.brand.pk, corp_id=corp_id, at=timezone.now())
    return part(request, "verdicts.html", {"verdicts": verdicts, "at": timezone.now()}).render()


@page("wecom/<int:corp_id>/sync/", name="corp-sync", needs=Capability.SYNC, methods=("POST",), own_scopes=True)
def sync_now(request: BrandRequest, corp_id: int) -> HttpResponse:
    """Start a full sync, or go on with the running one, in the background."""
    with brand_scope(request.brand.pk):
        errors.found(Corp.objects.filter(pk=corp_id))
    try:
        sync_corp.delay(brand_id=request.brand.pk, corp_id=corp_id)
        told(request, _("同步已开始，可以离开本页。"))
    except errors.DomainError as refusal:
        told_problem(request, refusal)
    return HttpResponseRedirect(reverse("admin:corp", args=[corp_id]))


@page("wecom/<int:corp_id>/runs/", name="corp-runs", needs=READ)
def runs(request: BrandRequest, corp_id: int) -> HttpResponse:
    """The syncs as a fragment that renews itself while one is running."""
    corp = errors.found(Corp.objects.filter(pk=corp_id))
    return part(request, "runs.html", {"corp": corp, "runs": SyncRun.objects.filter(corp=corp).order_by("-id")[:8]})


def _latest_run(corp: Corp) -> SyncRun | None:
    return SyncRun.objects.filter(corp=corp).order_by("-id").first()
