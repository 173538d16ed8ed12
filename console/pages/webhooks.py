"""事件推送: where the brand's own systems are told what happens, and what came of each telling."""

from datetime import datetime
from typing import Any

from django.http import HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from console import numbers
from console.keyset import page_of
from console.site import BrandRequest, page, render, told, told_problem
from events import declared
from scrm.lib import errors
from tenants.roles import Capability
from webhooks import endpoints, queue
from webhooks.answers import MEANINGS
from webhooks.models import Webhook, WebhookDelivery

MANAGE = Capability.MANAGE_KEYS


@page("webhooks/", name="webhooks", needs=MANAGE, methods=("GET", "POST"))
def webhook_list(request: BrandRequest) -> HttpResponse:
    """The brand's webhooks; POST makes one and shows its secret this once."""
    context: dict[str, Any] = {}
    if request.method == "POST":
        try:
            made = endpoints.make(**_typed(request.POST), actor=request.actor, at=timezone.now())
        except errors.Invalid as refusal:
            context = {"problem": refusal, "form": _form(**_typed(request.POST))}
        else:
            return _page(request, made.webhook, secret=made.secret)
    context |= {
        "webhook": None,
        "rows": [(row, MEANINGS.get(row.trouble)) for row in Webhook.objects.order_by("pk")],
        "types": _types(),
    }
    return render(request, "webhooks.html", context, title=_("事件推送"), status=422 if "problem" in context else 200)


@page("webhooks/<int:webhook_id>/", name="webhook", needs=MANAGE, methods=("GET", "POST"))
def webhook(request: BrandRequest, webhook_id: int) -> HttpResponse:
    """One webhook with its deliveries; POST changes it."""
    this = errors.found(Webhook.objects.filter(pk=webhook_id))
    if request.method == "GET":
        return _page(request, this)
    enabled = request.POST.get("enabled") == "1"
    try:
        typed = _typed(request.POST)
        endpoints.change(webhook_id=this.pk, enabled=enabled, actor=request.actor, at=timezone.now(), **typed)
    except errors.Invalid as refusal:
        return _page(request, this, problem=refusal, is_editing=True)
    told(request, _("推送已保存，从现在收到的事件开始。") if enabled else _("推送已停用，停用期间的事件可以之后重放。"))
    return HttpResponseRedirect(reverse("admin:webhook", args=[this.pk]))


@page("webhooks/<int:webhook_id>/secret/", name="webhook-secret", needs=MANAGE, methods=("POST",))
def secret(request: BrandRequest, webhook_id: int) -> HttpResponse:
    """Another secret, shown this once."""
    made = endpoints.new_secret(webhook_id=webhook_id, actor=request.actor, at=timezone.now())
    return _page(request, made.webhook, secret=made.secret)


@page("webhooks/<int:webhook_id>/ping/", name="webhook-ping", needs=MANAGE, methods=("POST",), own_scopes=True)
def ping(request: BrandRequest, webhook_id: int) -> HttpResponse:
    """Call it once, now."""
    answer = endpoints.ping(brand_id=request.brand.pk, webhook_id=webhook_id, at=timezone.now())
    meaning = MEANINGS[answer.outcome]
    status = f"（HTTP {answer.status}）" if answer.status else ""
    if answer.outcome == "delivered":
        told(request, _("测试事件已送达，对方返回 %(status)s。") % {"status": answer.status})
    else:
        told_problem(request, errors.Refused(f"{meaning.text}{status}", remedy=meaning.remedy))
    return HttpResponseRedirect(reverse("admin:webhook", args=[webhook_id]))


@page("webhooks/<int:webhook_id>/replay/", name="webhook-replay", needs=MANAGE, methods=("POST",))
def replay(request: BrandRequest, webhook_id: int) -> HttpResponse:
    """Once more: one delivery, what failed, or a time."""
    this = errors.found(Webhook.objects.filter(pk=webhook_id))
    common: dict[str, Any] = {"webhook": this, "actor": request.actor, "at": timezone.now()}
    what = request.POST.get("what", "")
    try:
        if what == "failed":
            queued = queue.replay_failed(**common)
        elif what == "between":
            start, end = _moment(request.POST, "start"), _moment(request.POST, "end")
            queued = queue.replay_between(start=start, end=end, **common)
        else:
            one = numbers.whole(what)
            queued = queue.replay(delivery_ids=[] if one is None else [one], **common)
    except errors.Invalid as refusal:
        told_problem(request, refusal)
    else:
        told(request, _("已排队重放 %(count)s 条。") % {"count": f"{queued:,}"})
    return HttpResponseRedirect(reverse("admin:webhook", args=[webhook_id]))


@page("webhooks/<int:webhook_id>/remove/", name="webhook-remove", needs=MANAGE, methods=("POST",))
def remove(request: BrandRequest, webhook_id: int) -> HttpResponse:
    """Delete it with its queue."""
    endpoints.remove(webhook_id=webhook_id, actor=request.actor, at=timezone.now())
    told(request, _("推送地址已删除。"))
    return HttpResponseRedirect(reverse("admin:webhooks"))


def _page(
    request: BrandRequest,
    this: Webhook,
    *,
    secret: str = "",
    problem: errors.Invalid | None = None,
    is_editing: bool = False,
) -> HttpResponse:
    rows = WebhookDelivery.objects.filter(webhook=this)
    status = request.GET.get("status", "")
    chosen = rows.filter(status=status) if status in WebhookDelivery.Status.values else rows
    shown = page_of(chosen, request.GET)
    typed = request.POST
    form = (
        (typed.get("name", ""), typed.get("url", ""), _types_in(typed))
        if is_editing
        else (this.name, this.url, this.types)
    )
    context = {
        "webhook": this,
        "meaning": MEANINGS.get(this.trouble),
        "resting": this.rests_until is not None and this.rests_until > timezone.now(),
        "secret": secret,
        "problem": problem,
        "is_editing": is_editing,
        "form": _form(*form),
        "types": _types(),
        "shown": shown,
        "rows": [(row, declared.label(row.event_type), MEANINGS.get(row.outcome)) for row in shown.rows],
        "status": status,
        "statuses": WebhookDelivery.Status.choices,
        "waiting": rows.filter(status=WebhookDelivery.Status.PENDING).count(),
        "failed": rows.filter(status=WebhookDelivery.Status.FAILED).count(),
    }
    response = render(request, "webhook.html", context, title=this.name, status=422 if problem else 200)
    response["Cache-Control"] = "no-store"
    return response


def _types() -> list[tuple[str, str]]:
    return [(kind.name, str(kind.label)) for kind in declared.kinds()]


def _form(name: str, url: str, types: list[str]) -> dict[str, Any]:
    own = [each for each in types if declared.kind_of(each) is None]
    return {"name": name, "url": url, "types": types, "own": ", ".join(own)}


def _types_in(form: QueryDict) -> list[str]:
    return [*form.getlist("types"), *form.get("own_types", "").replace("，", " ").replace(",", " ").split()]


def _typed(form: QueryDict) -> dict[str, Any]:
    return {"name": form.get("name", ""), "url": form.get("url", ""), "types": _types_in(form)}


def _moment(form: QueryDict, field: str) -> datetime:
    try:
        naive = parse_datetime(form.get(field, ""))
    except ValueError:
        naive = None
    if naive is None:
        wrong = errors.FieldError(field, "required", _("请填写开始和结束时间。"), _("例如 2026-11-20 08:00。"))
        raise errors.Invalid(_("没有重放。"), errors=[wrong])
    return timezone.make_aware(naive) if timezone.is_naive(naive) else naive
