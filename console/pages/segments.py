"""人群: say in sentences who, see how many, know why."""

from typing import Any

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from campaigns.models import Push
from console import builder, people
from console.site import BrandRequest, page, part, render, told, told_problem
from contacts.models import Contact
from scrm.lib import errors
from tagging import segments
from tagging.models import Segment
from tenants.roles import Capability

READ, WRITE = Capability.READ_SEGMENTS, Capability.WRITE_SEGMENTS


@page("segments/", name="segments", needs=READ)
def segment_list(request: BrandRequest) -> HttpResponse:
    """The brand's segments in words. Nobody is counted here."""
    rows = Segment.objects.filter(archived_at=None).order_by("-updated_at", "-id")[:200]
    shown = [(segment, _in_words(segment.tree)) for segment in rows]
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
    """A sentence of the builder: a new one, or one whose event or field was changed; a fragment."""
    offered = builder.catalogue()
    number = request.GET.get("number", "")
    changed = builder.read(request.GET).rows
    if changed:
        line = changed[0]
    else:
        number = number if number.isdigit() and len(number) < 5 else "1"
        line = builder.new_row(request.GET.get("kind", ""), int(number), excludes=request.GET.get("excludes") == "1")
    if line.kind not in offered["kinds"]:
        raise errors.NotFound(line.kind)
    return part(request, "rule.html", {"line": builder.decorated(line, offered), "offered": offered})


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
    if chosen.isdigit() and len(chosen) < 19:
        found = [people.the_contact(place=request.place, contact_id=int(chosen))]
    else:
        wanted = people.Wanted(text=text)
        found = [r.contact for r in people.search(place=request.place, wanted=wanted, at=now).rows] if text else []
    context: dict[str, Any] = {"found": found[:8], "text": text, "asked": bool(text or chosen)}
    if found:
        context |= {"contact": found[0], "verdict": segments.explain(tree, found[0].pk, now)}
    return part(request, "explain.html", context)


def _asked(request: BrandRequest) -> tuple[Any, errors.DomainError | None]:
    """The tree that the form describes, or what is wrong with it. A tree too deep for the form comes by its segment."""
    kept = request.POST.get("keep", "")
    if kept.isdigit():
        return errors.found(Segment.objects.filter(pk=int(kept))).tree, None
    tree, _places = builder.tree_of(builder.read(request.POST))
    try:
        segments.check(tree)
    except errors.Invalid as wrong:
        return None, wrong
    return tree, None


def _builder(request: BrandRequest, segment: Segment | None) -> HttpResponse:
    context: dict[str, Any] = {}
    offered = builder.catalogue()
    form = builder.form_of(segment.tree, offered) if segment else builder.Form()
    name = segment.name if segment else ""
    if request.method == "POST":
        form, name = builder.read(request.POST), request.POST.get("name", "").strip()
        tree, places = builder.tree_of(form)
        if segment and request.POST.get("keep"):
            tree, form = segment.tree, builder.form_of(segment.tree, offered)
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
        "wanted": [builder.decorated(row, offered) for row in form.wanted] if form else [],
        "excluded": [builder.decorated(row, offered) for row in form.excluded] if form else [],
        "next_number": max((row.number for row in form.rows), default=0) + 1 if form else 1,
        "offered": offered,
        "sentence": segments.sentence(segment.tree) if segment else "",
        "users": Push.objects.filter(segment=segment, sop_version=None).order_by("-id")[:5] if segment else [],
    }
    title = name or _("新建人群")
    return render(request, "segment.html", context, title=title, status=422 if "problem" in context else 200)


def _in_words(tree: Any) -> str:
    try:
        return segments.sentence(tree)
    except errors.Invalid as outdated:
        return str(outdated.detail)
