"""人群成员: how a segment is kept up to date, who is in, who came and went and why; and how segments overlap."""

from typing import Any

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from console import overlap_picture
from console.numbers import whole
from console.site import BrandRequest, need, page, render, told, told_problem
from contacts.models import Contact
from scrm.lib import errors
from tagging.language import readable
from tagging.models import Segment
from tagging.segments import memberships, overlap
from tenants.roles import Capability

READ, WRITE = Capability.READ_SEGMENTS, Capability.WRITE_SEGMENTS
SHOWN = 50


@page("segments/<int:segment_id>/members/", name="segment-members", needs=READ, methods=("GET", "POST"))
def members(request: BrandRequest, segment_id: int) -> HttpResponse:
    """Mode, number, some members, and the latest stays with their reasons; POST chooses the mode."""
    segment = errors.found(Segment.objects.filter(pk=segment_id, archived_at=None))
    here = reverse("admin:segment-members", args=[segment_id])
    if request.method == "POST":
        need(request, WRITE)
        mode, now = request.POST.get("mode", ""), timezone.now()
        try:
            made = memberships.set_mode(segment_id=segment_id, mode=mode, actor=request.actor, at=now)
        except (errors.Refused, errors.Conflict) as refusal:
            told_problem(request, refusal)
        else:
            told(request, _("更新方式已改为“%(mode)s”。") % {"mode": made.get_mode_display()})
        return HttpResponseRedirect(here)
    contact_id = whole(request.GET.get("contact"))
    stays = memberships.history(segment_id=segment_id, contact_id=contact_id, limit=SHOWN)
    names = Contact.objects.in_bulk({stay.contact_id for stay in stays})
    state = memberships.state(segment)
    context: dict[str, Any] = {
        "segment": segment,
        "sentence": readable.said(segment.tree),
        "state": state,
        "filled": f"{state.share:.0%}",
        "modes": [(value, label, EXPLAINED[value]()) for value, label in Segment.Mode.choices],
        "some": memberships.members(segment_id, limit=12),
        "stays": [(stay, names.get(stay.contact_id)) for stay in stays],
        "asked": names.get(contact_id) if contact_id else None,
        "shown": SHOWN,
    }
    return render(request, "segment_members.html", context, title=segment.name)


@page("segments/overlap/", name="segment-overlap", needs=READ)
def overlaps(request: BrandRequest) -> HttpResponse:
    """Choose two to five segments and see who is in several of them. Nothing is saved."""
    offered = list(Segment.objects.filter(archived_at=None).order_by("name")[:200])
    chosen = [number for text in request.GET.getlist("s") if (number := whole(text)) is not None]
    context: dict[str, Any] = {"offered": offered, "chosen": chosen, "most": overlap.MOST}
    if len(chosen) > 1:  # one alone is where a segment's own page leads: the other is to be chosen yet
        try:
            seen = overlap.of_segments(chosen, timezone.now(), is_exact=True if request.GET.get("exact") else None)
        except errors.Refused as refusal:
            context |= {"problem": refusal}
        else:
            names = {segment.pk: segment.name for segment in offered}
            titles = [names.get(key, f"#{key}") for key in chosen]
            context |= {
                "seen": seen,
                "picture": overlap_picture.drawn(titles, seen),
                "rows": [(_("、").join(titles[place] for place in r.inside), r.count) for r in seen.shared],
                "sizes": list(zip(titles, seen.sizes, strict=True)),
            }
    return render(
        request, "segment_overlap.html", context, title=_("人群重叠"), status=422 if "problem" in context else 200
    )


EXPLAINED = {
    "realtime": lambda: _("用到时才计算，总是最新，不记录谁进谁出。"),
    "dynamic": lambda: _("有新行为、资料变化或时间到了就重新判断，记录每次进出和原因，可以触发流程。"),
    "static": lambda: _("按现在的条件取一次名单，以后不变；再次选择会重新取。"),
}
