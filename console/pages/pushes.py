"""推送: the list, the composer with its dry run, sending with a grace, and what came of it."""

from typing import Any

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from campaigns.confirming import reminding
from campaigns.contents import media_use
from campaigns.models import Push, Reminder, Variant
from campaigns.planning import forecast
from campaigns.pushes import pushes, release
from console import composer, figures, outcomes
from console.keyset import page_of
from console.numbers import whole
from console.site import BrandRequest, need, page, part, render, told, told_problem
from scrm.lib import errors
from tenants.roles import Capability
from tenants.scope import brand_scope
from wecom.policy import policy_named

READ, WRITE = Capability.READ_PUSHES, Capability.WRITE_PUSHES
Status = Push.Status
TABS: dict[str, tuple[str, ...]] = {
    "": (),
    "draft": (Status.DRAFT,),
    "scheduled": (Status.SCHEDULED,),
    "running": (Status.PLANNING, Status.SENDING),
    "over": (Status.DONE, Status.CANCELLED, Status.FAILED),
}
TYPED_ABOVE = 1000
QUICK_SECONDS, CALM_SECONDS = 3, 10
"""how often the result renews itself: while something is about to happen, and while guides take their time"""
MOVING = (Status.SCHEDULED, Status.PLANNING, Status.SENDING)


@page("pushes/", name="pushes", needs=READ)
def push_list(request: BrandRequest) -> HttpResponse:
    """The brand's own pushes, those of SOPs aside."""
    tab = request.GET.get("tab", "")
    rows = Push.objects.filter(sop_version=None).select_related("segment")
    if TABS.get(tab):
        rows = rows.filter(status__in=TABS[tab])
    shown = page_of(rows, request.GET)
    tabs = [
        ("", _("全部")),
        ("draft", _("草稿")),
        ("scheduled", _("待发")),
        ("running", pgettext("console", "进行中")),
        ("over", _("已结束")),
    ]
    context = {"shown": shown, "pushes": shown.rows, "tab": tab, "tabs": tabs}
    return render(request, "pushes.html", context, title=pgettext("console", "推送"))


@page("pushes/new/", name="push-new", needs=WRITE, methods=("GET", "POST"))
def new(request: BrandRequest) -> HttpResponse:
    """The composer, empty; POST saves a draft."""
    form = composer.PushForm(segment=request.GET.get("segment", ""))
    return _compose(request, None, form)


@page("pushes/<int:push_id>/", name="push", needs=READ, methods=("GET", "POST"))
def push_page(request: BrandRequest, push_id: int) -> HttpResponse:
    """A draft's composer, or the result of a push that has been sent."""
    push = _push(push_id)
    if push.status == Status.DRAFT:
        if request.method == "POST":
            need(request, WRITE)
        return _compose(request, push, composer.form_of(push, zone=request.brand.timezone))
    if request.method == "POST":
        raise errors.Conflict(_("推送已不是草稿，不能修改。"), remedy=_("请先撤回。"), code="campaigns.not_draft")
    return render(request, "push.html", _result(request, push), title=push.name)


@page("pushes/<int:push_id>/progress/", name="push-progress", needs=READ)
def progress(request: BrandRequest, push_id: int) -> HttpResponse:
    """The result as a fragment that renews itself while the push is moving."""
    push = _push(push_id)
    if push.status == Status.DRAFT:
        response = HttpResponse(status=200)
        response["HX-Redirect"] = reverse("admin:push", args=[push_id])
        return response
    return part(request, "push_result.html", _result(request, push))


@page("pushes/<int:push_id>/forecast/", name="push-forecast", needs=READ)
def dry_run(request: BrandRequest, push_id: int) -> HttpResponse:
    """预演: who would get what from whom, and who would not; a fragment. Nothing is sent, nothing is written."""
    push = _push(push_id)
    try:
        expected = forecast.dry_run(push_id=push_id, at=timezone.now())
    except (errors.Refused, errors.Conflict) as refusal:
        return part(request, "forecast.html", {"push": push, "problem": refusal})
    return part(request, "forecast.html", _forecast(push, expected))


@page("pushes/<int:push_id>/send/", name="push-send", needs=WRITE, methods=("POST",))
def send(request: BrandRequest, push_id: int) -> HttpResponse:
    """Send, or schedule, a draft. Above 1,000 recipients the number must have been typed, and still be right."""
    push, now = _push(push_id), timezone.now()
    typed = request.POST.get("typed", "").replace(",", "").replace("，", "").strip()
    if push.status == Status.DRAFT:
        expected = forecast.dry_run(push_id=push_id, at=now)
        if expected.planned > TYPED_ABOVE and typed != str(expected.planned):
            told_problem(
                request,
                errors.Refused(
                    _("没有发送。现在将发给 %(n)s 人，与你确认的人数不同。") % {"n": f"{expected.planned:,}"},
                    remedy=_("请重新预演并输入这个人数。"),
                ),
            )
            return HttpResponseRedirect(reverse("admin:push", args=[push_id]))
    try:
        pushes.send(push_id=push_id, actor=request.actor, at=now)
    except (errors.Refused, errors.Conflict) as refusal:
        told_problem(request, refusal)
    return HttpResponseRedirect(reverse("admin:push", args=[push_id]))


@page("pushes/<int:push_id>/recall/", name="push-recall", needs=WRITE, methods=("POST",))
def recall(request: BrandRequest, push_id: int) -> HttpResponse:
    """Back to a draft while it has not begun."""
    try:
        pushes.recall(push_id=push_id, actor=request.actor, at=timezone.now())
        told(request, _("已撤回，推送回到草稿，没有发出任何消息。"))
    except errors.Conflict as late:
        told_problem(request, late)
    return HttpResponseRedirect(reverse("admin:push", args=[push_id]))


@page("pushes/<int:push_id>/cancel/", name="push-cancel", needs=WRITE, methods=("POST",), own_scopes=True)
def cancel(request: BrandRequest, push_id: int) -> HttpResponse:
    """Stop what has not left yet."""
    now = timezone.now()
    try:
        with brand_scope(request.brand.pk):
            _push(push_id)
            pushes.cancel(push_id=push_id, actor=request.actor, at=now)
        release.release(brand_id=request.brand.pk, push_id=push_id, at=now)
        told(request, _("已取消。此前已送达的不能撤回，其余不再发送。"))
    except errors.Conflict as over:
        told_problem(request, over)
    return HttpResponseRedirect(reverse("admin:push", args=[push_id]))


@page("pushes/<int:push_id>/remind/", name="push-remind", needs=WRITE, methods=("POST",))
def remind(request: BrandRequest, push_id: int) -> HttpResponse:
    """Have the guides reminded who have not confirmed; the page says what comes of it."""
    try:
        reminding.ask(push_id=push_id, actor=request.actor, at=timezone.now())
    except errors.Refused as refusal:
        told_problem(request, refusal)
    return HttpResponseRedirect(reverse("admin:push", args=[push_id]))


@page("pushes/<int:push_id>/copy/", name="push-copy", needs=WRITE, methods=("POST",))
def copy(request: BrandRequest, push_id: int) -> HttpResponse:
    """The same once more, as a draft with contents of its own."""
    zone, push = request.brand.timezone, _push(push_id)
    form = composer.form_of(push, zone=zone)
    form.name, form.scheduled = _("%(name)s 副本") % {"name": form.name[:54]}, ""
    for variant in form.variants:
        variant.content_id = None
    made = composer.save(form=form, push=None, zone=zone, actor=request.actor, at=timezone.now())
    return HttpResponseRedirect(reverse("admin:push", args=[made.pk]))


@page("pushes/<int:push_id>/people/", name="push-people", needs=READ)
def people(request: BrandRequest, push_id: int) -> HttpResponse:
    """The rows behind one figure of the result."""
    push = _push(push_id)
    status, before = request.GET.get("status", ""), request.GET.get("before", "")
    rows, more = outcomes.people(push, status=status, reason=request.GET.get("reason"), before=whole(before))
    context = {"push": push, "rows": rows, "more": more, "status": status, "reason": request.GET.get("reason", "")}
    return render(request, "push_people.html", context, title=push.name)


def _push(push_id: int) -> Push:
    return errors.found(Push.objects.select_related("segment", "corp").filter(pk=push_id))


def _compose(request: BrandRequest, push: Push | None, form: composer.PushForm) -> HttpResponse:
    context: dict[str, Any] = {}
    quietly = request.headers.get("HX-Request") == "true"
    zone = request.brand.timezone
    if request.method == "POST":
        form = composer.read(request.POST, push)
        try:
            saved = composer.save(form=form, push=push, zone=zone, actor=request.actor, at=timezone.now())
        except (errors.Refused, errors.Conflict) as refusal:
            if quietly:
                return part(request, "saved.html", {"problem": refusal})
            context = {"problem": refusal}
        else:
            if quietly:
                response = part(request, "saved.html", {"at": timezone.now()})
                response["HX-Trigger"] = "push:saved"
                return response
            return HttpResponseRedirect(reverse("admin:push", args=[saved.pk]))
    composer.show_files(form)
    context |= {"push": push, "form": form, **composer.choices(), "most_variants": composer.MOST_VARIANTS}
    title = form.name or _("新建推送")
    return render(request, "composer.html", context, title=title, status=422 if "problem" in context else 200)


def _forecast(push: Push, expected: forecast.Forecast) -> dict[str, Any]:
    return {
        "push": push,
        "expected": expected,
        "left_out": sorted(expected.suppressed.items(), key=lambda pair: -pair[1]),
        "left_out_total": sum(expected.suppressed.values()),
        "typed_needed": expected.planned > TYPED_ABOVE,
        "per_guide_mean": round(expected.planned / expected.per_guide.count) if expected.per_guide.count else 0,
    }


def _result(request: BrandRequest, push: Push) -> dict[str, Any]:
    shown = outcomes.outcome(push)
    top = max(shown.planned, 1)
    reminder = _reminder(push)
    is_quick = push.status != Status.SENDING or (reminder is not None and not reminder["row"].done_at)
    return {
        "push": push,
        "shown": shown,
        "top": top,
        "after": _after(request, push) if shown.delivered else None,
        "per_guide": outcomes.per_guide(push),
        "per_variant": outcomes.per_variant(push),
        "said": _said(push),
        "moving": push.status in MOVING,
        "now": timezone.now(),
        "recallable": push.status == Status.SCHEDULED,
        "reminder": reminder,
        "seconds": QUICK_SECONDS if is_quick else CALM_SECONDS,
    }


def _after(request: BrandRequest, push: Push) -> outcomes.After | None:
    """What followed, read out of the behaviour log: not more often than once a minute."""
    return figures.kept(f"after:{push.pk}", request.brand, lambda: outcomes.after(push))


def _reminder(push: Push) -> dict[str, Any] | None:
    """The latest reminder, and why nobody was reminded if so."""
    latest = Reminder.objects.filter(push=push).order_by("-pk").first()
    if latest is None:
        return None
    detail, remedy = "", ""
    if latest.problem_code == reminding.CUT_SHORT:
        detail, remedy = _("中途断了，可能只提醒了一部分导购。"), _("可以再提醒一次。")
    elif latest.problem_code == reminding.NOBODY:
        detail = _("没有等待确认的导购。")
    elif latest.problem_code:
        policy = policy_named(latest.problem_code)
        detail, remedy = str(policy.detail), str(policy.remedy)
    return {"row": latest, "detail": detail, "remedy": remedy}


def _said(push: Push) -> list[dict[str, Any]]:
    """What the push says, with its files, and until when a media_id that it names itself can be sent."""
    can_still_send = push.status in MOVING
    return [
        {
            "variant": variant,
            "files": media_use.shown_by(variant.content.attachments),
            "ends": media_use.media_ends(variant.content) if can_still_send else None,
        }
        for variant in Variant.objects.filter(push=push).select_related("content").order_by("position")
    ]
