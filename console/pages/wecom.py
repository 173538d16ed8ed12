"""企微接入: connect a corp with a live check, see its health, sync it. These pages talk to WeCom, so their acts run
outside a scope; each opens its own."""

from typing import Any

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters

from console.brand_path import outside_brand
from console.numbers import whole
from console.site import BrandRequest, page, part, render, told, told_problem
from contacts.models import SyncRun
from contacts.tasks import sync_corp
from scrm.lib import errors
from tenants.roles import Capability
from tenants.scope import brand_scope
from wecom import corps
from wecom.models import AppKind, CallbackEndpoint, Corp, CorpApp, QuotaMode
from wecom.provider import suites
from wecom.provider.calls import has_ticket

READ, MANAGE = Capability.READ_SETTINGS, Capability.MANAGE_CREDENTIALS
SECRETS = ("secret", "callback_token", "callback_aes_key")
LARGEST_AGENT = 10**14


@page("wecom/", name="wecom", needs=READ)
def corp_list(request: BrandRequest) -> HttpResponse:
    """The brand's corps, or how to begin."""
    shown = [(corp, _latest_run(corp)) for corp in Corp.objects.order_by("id")]
    return render(request, "wecom.html", {"corps": shown}, title=_("企微接入"))


@page("wecom/connect/", name="corp-connect", needs=MANAGE, methods=("GET", "POST"), own_scopes=True)
@sensitive_post_parameters(*SECRETS)
def connect(request: BrandRequest) -> HttpResponse:
    """The form. WeCom is asked first; only what it accepts is saved."""
    offered = [(suite, has_ticket(suite)) for suite in suites.offered()]
    context: dict[str, Any] = {"modes": QuotaMode.choices, "typed": request.POST or request.GET, "suites": offered}
    if request.method == "POST":
        try:
            connected = corps.connect(
                brand_id=request.brand.pk,
                corpid=request.POST.get("corpid", ""),
                name=request.POST.get("name", ""),
                agent_id=_agent_id(request),
                secret=request.POST.get("secret", ""),
                quota_mode=request.POST.get("quota_mode", ""),
                callback_token=request.POST.get("callback_token", ""),
                callback_aes_key=request.POST.get("callback_aes_key", ""),
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
    """One corp: what is left to do, its health, the callback's settings, its apps and syncs."""
    corp = errors.found(Corp.objects.select_related("suite").filter(pk=corp_id))
    runs = list(SyncRun.objects.filter(corp=corp).order_by("-id")[:8])
    endpoint = CallbackEndpoint.objects.filter(brand=request.brand, corp_id=corp.pk).first()
    context: dict[str, Any] = {
        "corp": corp,
        "apps": CorpApp.objects.filter(corp=corp).order_by("id"),
        "kinds": [(value, label) for value, label in AppKind.choices if value != AppKind.CONTACT],
        "runs": runs,
        "settling": bool(corp.connected_at) and not (corp.callback_verified_at and runs),
    }
    if endpoint:
        with outside_brand():
            context["callback_url"] = corps.callback_url(endpoint.pk)
    return render(request, "corp.html", context, title=corp.name)


@page("wecom/<int:corp_id>/steps/", name="corp-steps", needs=READ)
def steps(request: BrandRequest, corp_id: int) -> HttpResponse:
    """What is left to do, as a fragment that renews itself until WeCom has verified the callback and a sync has run."""
    corp = errors.found(Corp.objects.filter(pk=corp_id))
    runs = list(SyncRun.objects.filter(corp=corp).order_by("-id")[:1])
    return part(request, "corp_steps.html", {"corp": corp, "runs": runs})


@page("wecom/<int:corp_id>/check/", name="corp-check", needs=READ, methods=("POST",), own_scopes=True)
def check(request: BrandRequest, corp_id: int) -> HttpResponse:
    """Every step of the connection, tried now; a fragment."""
    verdicts = corps.check(brand_id=request.brand.pk, corp_id=corp_id, at=timezone.now())
    counts = {
        "passed": sum(verdict.ok for verdict in verdicts),
        "partly": sum(verdict.partial for verdict in verdicts if not verdict.ok),
        "failed": sum(not verdict.ok and not verdict.partial for verdict in verdicts),
    }
    return part(request, "verdicts.html", {"verdicts": verdicts, "at": timezone.now(), **counts}).render()


@page("wecom/<int:corp_id>/sync/", name="corp-sync", needs=Capability.SYNC, methods=("POST",), own_scopes=True)
def sync_now(request: BrandRequest, corp_id: int) -> HttpResponse:
    """Start a full sync, or go on with the running one, in the background."""
    with brand_scope(request.brand.pk):
        corp = errors.found(Corp.objects.filter(pk=corp_id))
    try:
        if corp.connected_at is None:
            raise errors.Conflict(_("这个企业没有接入，不能同步。"))
        sync_corp.delay(brand_id=request.brand.pk, corp_id=corp_id)
        told(request, _("同步已开始，可以离开本页。"))
    except errors.DomainError as refusal:
        told_problem(request, refusal)
    return _back(corp_id)


@page("wecom/<int:corp_id>/runs/", name="corp-runs", needs=READ)
def runs(request: BrandRequest, corp_id: int) -> HttpResponse:
    """The syncs as a fragment that renews itself while one is running."""
    corp = errors.found(Corp.objects.filter(pk=corp_id))
    return part(request, "runs.html", {"corp": corp, "runs": SyncRun.objects.filter(corp=corp).order_by("-id")[:8]})


# -- apps, secrets, keys ----------------------------------------------------------------------------------------------


@page("wecom/<int:corp_id>/apps/", name="corp-apps", needs=MANAGE, methods=("POST",), own_scopes=True)
@sensitive_post_parameters(*SECRETS)
def add_app(request: BrandRequest, corp_id: int) -> HttpResponse:
    """Add a further app of the corp."""
    try:
        corps.add_app(
            brand_id=request.brand.pk,
            corp_id=corp_id,
            agent_id=_agent_id(request),
            secret=request.POST.get("secret", ""),
            name=request.POST.get("name", ""),
            kind=request.POST.get("kind", ""),
            actor=request.actor,
            at=timezone.now(),
        )
        told(request, _("企业微信接受了这个应用，已添加。"))
    except errors.NotFound:
        raise
    except errors.DomainError as refusal:
        told_problem(request, refusal)
    return _back(corp_id)


@page(
    "wecom/<int:corp_id>/apps/<int:app_id>/secret/",
    name="corp-secret",
    needs=MANAGE,
    methods=("POST",),
    own_scopes=True,
)
@sensitive_post_parameters(*SECRETS)
def rotate_secret(request: BrandRequest, corp_id: int, app_id: int) -> HttpResponse:
    """Replace an app's secret by the one made anew in WeCom."""
    try:
        corps.rotate_secret(
            brand_id=request.brand.pk,
            corp_id=corp_id,
            app_id=app_id,
            secret=request.POST.get("secret", ""),
            actor=request.actor,
            at=timezone.now(),
        )
        told(request, _("企业微信接受了新的 Secret，已更换。"))
    except errors.NotFound:
        raise
    except errors.DomainError as refusal:
        told_problem(request, refusal)
    return _back(corp_id)


@page(
    "wecom/<int:corp_id>/apps/<int:app_id>/remove/",
    name="corp-app-remove",
    needs=MANAGE,
    methods=("POST",),
    own_scopes=True,
)
def remove_app(request: BrandRequest, corp_id: int, app_id: int) -> HttpResponse:
    """Forget a further app."""
    try:
        corps.remove_app(
            brand_id=request.brand.pk, corp_id=corp_id, app_id=app_id, actor=request.actor, at=timezone.now()
        )
        told(request, _("应用已移除。"))
    except errors.Conflict as refusal:
        told_problem(request, refusal)
    return _back(corp_id)


@page("wecom/<int:corp_id>/keys/", name="corp-keys", needs=MANAGE, methods=("POST",), own_scopes=True)
@sensitive_post_parameters(*SECRETS)
def rotate_keys(request: BrandRequest, corp_id: int) -> HttpResponse:
    """New Token and EncodingAESKey of the callback, made or typed in."""
    try:
        corps.rotate_callback_keys(
            brand_id=request.brand.pk,
            corp_id=corp_id,
            token=request.POST.get("callback_token", ""),
            aes_key=request.POST.get("callback_aes_key", ""),
            actor=request.actor,
            at=timezone.now(),
        )
        told(request, _("已更换。请马上把新的 Token 和 EncodingAESKey 填到企业微信，在此之前的回调会被拒绝。"))
    except errors.Invalid as refusal:
        told_problem(request, refusal)
    return _back(corp_id)


@page("wecom/<int:corp_id>/disconnect/", name="corp-disconnect", needs=MANAGE, methods=("POST",), own_scopes=True)
def disconnect(request: BrandRequest, corp_id: int) -> HttpResponse:
    """Stop working with the corp, after its name was typed out."""
    try:
        corps.disconnect(
            brand_id=request.brand.pk,
            corp_id=corp_id,
            confirm=request.POST.get("confirm", ""),
            actor=request.actor,
            at=timezone.now(),
        )
        told(request, _("已断开接入。已同步的客户和记录都保留，随时可以重新接入。"))
    except errors.Invalid as refusal:
        told_problem(request, refusal)
    return _back(corp_id)


def _agent_id(request: BrandRequest) -> int:
    return whole(request.POST.get("agent_id"), most=LARGEST_AGENT) or 0


def _back(corp_id: int) -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:corp", args=[corp_id]))


def _latest_run(corp: Corp) -> SyncRun | None:
    return SyncRun.objects.filter(corp=corp).order_by("-id").first()
