"""人群: say in sentences who, see how many, know why."""

from datetime import datetime
from typing import Any

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from campaigns.models import Push
from console import builder, people
from console.numbers import whole
from console.site import BrandRequest, page, part, render, told, told_problem
from contacts.models import Contact
from scrm.lib import errors
from tagging.language import compiler, readable, references
from tagging.language.conditions import Names
from tagging.models import Segment
from tagging.segments import segments, templates_ready
from tenants.roles import Capability

READ, WRITE = Capability.READ_SEGMENTS, Capability.WRITE_SEGMENTS


@page("segments/", name="segments", needs=READ)
def segment_list(request: BrandRequest) -> HttpResponse:
    """The brand's segments in words. Nobody is counted here."""
    rows = Segment.objects.filter(archived_at=None).order_by("-updated_at", "-id")[:200]
    shown = [(segment, readable.said(segment.tree)) for segment in rows]
    return render(request, "segments.html", {"rows": shown}, title=pgettext("console", "人群"))


@page("segments/new/", name="segment-new", needs=WRITE, methods=("GET", "POST"))
def new(request: BrandRequest) -> HttpResponse:
    """The builder, empty; POST saves."""
    return _builder(request, None)


@page("segments/<int:segment_id>/", name="segment", needs=READ, methods=("GET", "POST"))
def edit(request: BrandRequest, segment_id: int) -> HttpResponse:
    """The builder with a segment; POST saves it. Who may only read sees, counts and explains."""
    segment = errors.found(Segment.objects.filter(pk=segment_id, archived_at=None))
    if request.method == "POST" and not request.place.may(WRITE):
        raise errors.Forbidden(WRITE.label)
    return _builder(request, segment)


@page("segments/<int:segment_id>/archive/", name="segment-archive", needs=WRITE, methods=("POST",))
def archive(request: BrandRequest, segment_id: int) -> HttpResponse:
    """Put a segment away."""
    try:
        put_away = segments.archive(segment_id=segment_id, actor=request.actor, at=timezone.now())
    except errors.Conflict as refusal:
        told_problem(request, refusal)
        return HttpResponseRedirect(reverse("admin:segment", args=[segment_id]))
    told(request, _("人群「%(name)s」已归档，用过它的推送保留快照。") % {"name": put_away.name})
    return HttpResponseRedirect(reverse("admin:segments"))


@page("segments/row/", name="segment-row", needs=READ)
def row(request: BrandRequest) -> HttpResponse:
    """A sentence or group of the builder: a new one, or one whose event or field was changed; a fragment."""
    offered = builder.catalogue()
    changed = builder.read(request.GET).rows
    if changed:
        line = changed[0]
        line.inside = _number(request.GET.get(f"c{line.number}.in"), 0)
    else:
        numbers = {name: _number(request.GET.get(name), 1 if name == "number" else 0) for name in ("number", "inside")}
        line = builder.new_row(request.GET.get("kind", ""), **numbers)
    if line.kind == builder.GROUP:
        line.values = {"op": request.GET.get("op", "any")}
        shown = builder.decorated(line, offered, depth=_number(request.GET.get("depth"), 1) + 1)
        return part(request, "rule_group.html", {"line": shown, "offered": offered})
    if line.kind not in offered["kinds"]:
        raise errors.NotFound(line.kind)
    return part(request, "rule.html", {"line": builder.decorated(line, offered), "offered": offered})


def _number(text: str | None, default: int) -> int:
    number = whole(text, most=builder.MOST_NUMBER)
    return default if number is None else number


@page("segments/count/", name="segment-count", needs=READ, methods=("POST",))
def count(request: BrandRequest) -> HttpResponse:
    """How many, exactly, now; a fragment. Nothing is saved."""
    now = timezone.now()
    tree, problem = _asked(request)
    if problem is not None:
        return part(request, "count.html", {"problem": problem})
    context = {
        "count": segments.count(tree, now),
        "all": Contact.objects.count(),
        "sentence": segments.sentence(tree),
        "at": now,
    }
    return part(request, "count.html", context)


@page("segments/sample/", name="segment-sample", needs=READ, methods=("POST",))
def sample(request: BrandRequest) -> HttpResponse:
    """Some of those who are in; a fragment."""
    tree, problem = _asked(request)
    if problem is not None:
        return part(request, "problem.html", {"problem": problem})
    return part(request, "sample.html", {"contacts": segments.sample(tree, timezone.now(), 12)})


@page("segments/explain/", name="segment-explain", needs=READ, methods=("POST",))
def explain(request: BrandRequest) -> HttpResponse:
    """Why a contact is in or not; a fragment."""
    now = timezone.now()
    tree, problem = _asked(request)
    if problem is not None:
        return part(request, "problem.html", {"problem": problem})
    text, chosen = request.POST.get("who", "").strip()[:100], request.POST.get("contact", "")
    contact_id = whole(chosen)
    if contact_id is not None:
        found = [people.the_contact(place=request.place, contact_id=contact_id)]
    else:
        wanted = people.Wanted(text=text)
        found = [r.contact for r in people.search(place=request.place, wanted=wanted, at=now).rows] if text else []
    moment = _moment(request.POST.get("when", ""), now)
    context: dict[str, Any] = {"found": found[:8], "text": text, "asked": bool(text or chosen), "moment": moment}
    if found:
        try:
            verdict = segments.explain(tree, found[0].pk, moment or now, known_at=moment)
        except errors.Refused as refusal:
            return part(request, "problem.html", {"problem": refusal})
        context |= {"contact": found[0], "verdict": verdict, "notes": verdict.notes()}
    return part(request, "explain.html", context)


def _moment(text: str, now: datetime) -> datetime | None:
    """A minute of the brand's clock as the browser writes it; none for nothing, nonsense, or the future."""
    try:
        at = datetime.strptime(text, "%Y-%m-%dT%H:%M").replace(tzinfo=timezone.get_current_timezone())
    except ValueError:
        return None
    return at if at < now else None


def _asked(request: BrandRequest) -> tuple[Any, errors.DomainError | None]:
    """The tree that the form describes, or what is wrong with it."""
    tree, _places = builder.tree_of(builder.read(request.POST))
    try:
        segments.check(tree)
    except errors.Invalid as wrong:
        return None, wrong
    return tree, None


def _builder(request: BrandRequest, segment: Segment | None) -> HttpResponse:
    context: dict[str, Any] = {}
    offered = builder.catalogue()
    template = request.GET.get("template", "") if segment is None else ""
    form, name = builder.Form(), segment.name if segment else ""
    if segment:
        form = builder.form_of(segment.tree, offered)
    elif template in templates_ready.TEMPLATES:
        form = builder.form_of(templates_ready.tree_of(template), offered)
        name = str(templates_ready.TEMPLATES[template].name)
    if request.method == "POST":
        form, name = builder.read(request.POST), request.POST.get("name", "").strip()
        tree, places = builder.tree_of(form)
        try:
            saved = segments.save(
                name=name,
                tree=tree,
                actor=request.actor,
                at=timezone.now(),
                segment_id=segment.pk if segment else None,
            )
        except (errors.Refused, errors.Conflict) as refusal:
            context = {"problem": refusal, "rest": builder.show_errors(refusal.errors, places)}
        else:
            told(request, _("已保存，第 %(n)d 版。") % {"n": saved.version})
            return HttpResponseRedirect(reverse("admin:segment", args=[saved.pk]))
    context |= {
        "segment": segment,
        "name": name,
        "form": form,
        "lines": builder.page_of(form, offered, _names(form)),
        "next_number": form.next_number,
        "offered": offered,
        "now": timezone.now(),
        "templates": [] if segment else templates_ready.TEMPLATES.values(),
        "users": Push.objects.filter(segment=segment, sop_version=None).order_by("-id")[:5] if segment else [],
    }
    title = name or _("新建人群")
    return render(request, "segment.html", context, title=title, status=422 if "problem" in context else 200)


def _names(form: builder.Form) -> Names:
    """What the rows are called that leaves name which are shown in words."""
    tree, _places = builder.tree_of(form)
    try:
        compiler.validate(tree, depth=compiler.STORED_DEPTH)
    except errors.Invalid:
        return Names()
    return Names(references.names_of(tree))
