"""行为目录: what may be sent about customers, a brand's own types, and events that a reactor could not take."""

from typing import Any

from django.http import HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from console.site import BrandRequest, need, page, render, told
from events import catalogue, declared, parked
from events.catalogue import EventType
from events.models import DeclaredType
from scrm.lib import errors
from tenants.roles import Capability

READ, WRITE = Capability.READ_SEGMENTS, Capability.WRITE_SEGMENTS
MORE_ROWS = 4
"""empty rows for further properties; saving gives more"""


@page("catalogue/", name="catalogue", needs=READ, methods=("GET", "POST"))
def types(request: BrandRequest) -> HttpResponse:
    """All types; POST declares one of the brand's own."""
    problem, typed = None, None
    if request.method == "POST":
        need(request, WRITE)
        typed = _typed(request.POST)
        try:
            made = declared.save(**typed, actor=request.actor, at=timezone.now())
        except errors.Invalid as refusal:
            problem = refusal
        else:
            told(request, _("「%(name)s」已声明，从现在收到的行为开始检查。") % {"name": made.label})
            return HttpResponseRedirect(reverse("admin:event-type", args=[made.name]))
    context = {
        "own": DeclaredType.objects.order_by("name"),
        "undeclared": declared.undeclared(),
        "built_in": [(kind, _props(kind)) for kind in catalogue.BUILT_IN.values()],
        "problem": problem,
        "form": _form(typed or {"name": request.GET.get("declare", ""), "label": "", "props": {}}),
        "open": problem is not None or "declare" in request.GET,
        "parked": parked.shown(),
    }
    return render(request, "catalogue.html", context, title=_("行为目录"), status=422 if problem else 200)


@page("catalogue/<str:type_name>/", name="event-type", needs=READ, methods=("GET", "POST"))
def one(request: BrandRequest, type_name: str) -> HttpResponse:
    """One of the brand's own types; POST changes it."""
    this = errors.found(DeclaredType.objects.filter(name=type_name))
    typed: dict[str, Any] = {"name": this.name, "label": this.label, "props": this.props}
    problem = None
    if request.method == "POST":
        need(request, WRITE)
        typed = _typed(request.POST) | {"name": this.name}
        try:
            declared.save(**typed, actor=request.actor, at=timezone.now())
        except errors.Invalid as refusal:
            problem = refusal
        else:
            told(request, _("已保存，从现在收到的行为开始检查。"))
            return HttpResponseRedirect(reverse("admin:event-type", args=[this.name]))
    context = {"this": this, "form": _form(typed), "problem": problem}
    return render(request, "event_type.html", context, title=this.label, status=422 if problem else 200)


@page("catalogue/<str:type_name>/remove/", name="event-type-remove", needs=WRITE, methods=("POST",))
def remove(request: BrandRequest, type_name: str) -> HttpResponse:
    """Declare it no longer."""
    declared.remove(name=type_name, actor=request.actor, at=timezone.now())
    told(request, _("声明已删除。已收到的行为保留，以后的不再检查属性。"))
    return HttpResponseRedirect(reverse("admin:catalogue"))


@page("parked/replay/", name="parked-replay", needs=Capability.SYNC, methods=("POST",))
def replay(request: BrandRequest) -> HttpResponse:
    """Give the events that stopped to their reactor once more."""
    again = parked.replay(reactor=request.POST.get("reactor", ""), actor=request.actor, at=timezone.now())
    told(request, _("重放了 %(tried)d 条，%(went)d 条成功。") % {"tried": again.tried, "went": again.went})
    return HttpResponseRedirect(reverse("admin:catalogue"))


@page("parked/discard/", name="parked-discard", needs=Capability.SYNC, methods=("POST",))
def discard(request: BrandRequest) -> HttpResponse:
    """Let them go: the events stay in the log, that reactor never reacts to them."""
    gone = parked.discard(reactor=request.POST.get("reactor", ""), actor=request.actor, at=timezone.now())
    told(request, _("放弃了 %(count)d 条，行为本身仍在客户的时间线里。") % {"count": gone})
    return HttpResponseRedirect(reverse("admin:catalogue"))


def _props(kind: EventType) -> str:
    return pgettext("list", "，").join(f"{name} {type_}" for name, type_ in kind.props.items())


def _typed(form: QueryDict) -> dict[str, Any]:
    props: dict[str, Any] = {}
    columns = (form.getlist(f"prop-{name}") for name in ("name", "type", "label", "unit", "required"))
    for name, type_, label, unit, required in zip(*columns, strict=False):
        if name.strip():
            required_too = {"required": True} if required == "1" else {}
            props[name.strip()] = {"type": type_, "label": label.strip(), "unit": unit.strip(), **required_too}
    return {"name": form.get("name", "").strip(), "label": form.get("label", "").strip(), "props": props}


def _form(typed: dict[str, Any]) -> dict[str, Any]:
    empty = [("", {"type": "text"})] * MORE_ROWS
    kinds = [("text", _("文本")), ("int", _("整数")), ("bool", _("是否"))]
    return {**typed, "rows": [*typed["props"].items(), *empty], "kinds": kinds}
