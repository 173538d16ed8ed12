"""客户: the list, and everything known of one person."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from django.http import HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from console import one_contact, people
from console.events import ended, sentence
from console.site import BrandRequest, page, part, render, told
from contacts import gone
from contacts.personal_data import erasure
from events.models import Event
from points import ledger, tiers
from scrm.lib.errors import NotFound, found
from tagging import of_contact, tags
from tagging.models import ContactTag
from tenants.roles import Capability, Role

READ = Capability.READ_CONTACTS


@page("contacts/", name="contacts", needs=READ)
def contact_list(request: BrandRequest) -> HttpResponse:
    """Search and filters in the query string, 50 rows, pages by keyset."""
    wanted = _wanted(request.GET)
    if not request.place.may(Capability.READ_SEGMENTS):
        wanted = replace(wanted, segment=None)
    shown = people.search(place=request.place, wanted=wanted, at=timezone.now())
    context = {"shown": shown, "wanted": wanted, "narrowed": _narrowed(request.GET), **people.choices()}
    if request.place.role == Role.STORE_MANAGER:
        own = request.place.store_id
        context["guides"] = [guide for guide in context["guides"] if guide.store_id == own]
        context["stores"] = []
    return render(request, "contacts.html", context, title=pgettext("console", "客户"))


@page("contacts/<int:contact_id>/", name="contact", needs=READ)
def contact_page(request: BrandRequest, contact_id: int) -> HttpResponse:
    """客户 360°. The number of a merged contact leads to the one it was merged into.

    The shell: who it is, stage and tags. Everything else the page fetches as parts of it."""
    now = timezone.now()
    try:
        contact = people.the_contact(place=request.place, contact_id=contact_id)
    except NotFound:
        meant = gone.current([contact_id]).get(contact_id, contact_id)
        if meant == contact_id:
            raise
        return HttpResponseRedirect(reverse("admin:contact", args=[meant]))
    context = {
        "contact": contact,
        "tags": tags.live_tags(contact_id, at=now),
        "standing": of_contact.standing(contact, at=now),
        "name_to_type": erasure.name_to_type(contact),
    }
    return render(request, "contact.html", context, title=contact.name or _("未命名客户"))


@page("contacts/<int:contact_id>/relations/", name="contact-relations", needs=READ)
def relations(request: BrandRequest, contact_id: int) -> HttpResponse:
    """Guides, losses and groups."""
    contact = people.the_contact(place=request.place, contact_id=contact_id)
    known = one_contact.relations(contact_id)
    losses = [(" · ".join(ended(str(loss.staff or ""), loss.by)), loss.at) for loss in known.losses]
    return part(request, "relations.html", {"contact": contact, "known": known, "losses": losses})


@page("contacts/<int:contact_id>/interests/", name="contact-interests", needs=READ)
def interests(request: BrandRequest, contact_id: int) -> HttpResponse:
    """What the contact is drawn to, and what that comes from."""
    people.the_contact(place=request.place, contact_id=contact_id)
    drawn = of_contact.drawn_to(contact_id, at=timezone.now())
    names = {"category": pgettext("console", "品类"), "product": pgettext("console", "商品")}
    blocks = [(names[kind], some, some[0].score) for kind, some in drawn.items() if some]
    return part(request, "interests.html", {"blocks": blocks})


@page("contacts/<int:contact_id>/dealings/", name="contact-dealings", needs=READ)
def dealings(request: BrandRequest, contact_id: int) -> HttpResponse:
    """Orders, points, touches, SOPs and segments."""
    contact = people.the_contact(place=request.place, contact_id=contact_id)
    now = timezone.now()
    deal = one_contact.dealings(contact_id=contact_id, brand=request.brand, at=now)
    context: dict[str, Any] = {"deal": deal, "contact": contact}
    if request.place.may(Capability.READ_POINTS):
        context["points"] = ledger.statement(contact_id=contact_id, at=now)
        context["entries"] = people.entries(contact_id=contact_id)
        context["tier"] = tiers.of(contact_id=contact_id, at=now)
    return part(request, "dealings.html", context)


@page("contacts/<int:contact_id>/tags/<int:tag_id>/evidence/", name="contact-evidence", needs=READ)
def evidence(request: BrandRequest, contact_id: int, tag_id: int) -> HttpResponse:
    """The events that a tag rests on."""
    people.the_contact(place=request.place, contact_id=contact_id)
    line = found(ContactTag.objects.select_related("rule").filter(contact=contact_id, tag=tag_id))
    return part(request, "evidence.html", {"lines": _lines(one_contact.evidence(contact_id=contact_id, line=line))})


@page("contacts/<int:contact_id>/timeline/", name="contact-timeline", needs=READ)
def timeline(request: BrandRequest, contact_id: int) -> HttpResponse:
    """A piece of the timeline, grouped by the brand's days."""
    people.the_contact(place=request.place, contact_id=contact_id)
    kind, before = request.GET.get("kind", ""), people.opened(request.GET.get("before", ""))
    rows, more = one_contact.timeline(contact_id=contact_id, kind=kind, before=before)
    days = groupby(_lines(rows), key=lambda line: timezone.localtime(line["at"]).date())
    context = {
        "days": [(day, list(of_day)) for day, of_day in days],
        "more": people.closed(rows[-1].occurred_at, rows[-1].id) if more else "",
        "first": before is None,
        "kind": kind,
        "contact_id": contact_id,
        "kinds": [
            ("", _("全部")),
            ("own", pgettext("console", "行为")),
            ("order", _("订单")),
            ("relation", _("好友与群")),
            ("touch", pgettext("console", "触达")),
            ("points", _("积分")),
            ("change", _("标签与资料")),
        ],
    }
    return part(request, "timeline.html", context)


@page("contacts/<int:contact_id>/tag-choices/", name="contact-tag-choices", needs=Capability.WRITE_SEGMENTS)
def tag_choices(request: BrandRequest, contact_id: int) -> HttpResponse:
    """The form that gives a tag by hand: those that the contact has not."""
    people.the_contact(place=request.place, contact_id=contact_id)
    held = {line.tag_id for line in tags.live_tags(contact_id, at=timezone.now())}
    free = [tag for tag in people.choices()["tags"] if tag.pk not in held]
    return part(request, "tag_choices.html", {"free": free, "contact_id": contact_id})


@page("contacts/<int:contact_id>/tags/", name="contact-tags", needs=Capability.WRITE_SEGMENTS, methods=("POST",))
def change_tags(request: BrandRequest, contact_id: int) -> HttpResponse:
    """Give or take one tag by hand."""
    contact = people.the_contact(place=request.place, contact_id=contact_id)
    now = timezone.now()
    tag = request.POST.get("tag", "")
    tag_id = int(tag) if tag.isdigit() else 0
    act = tags.take if request.POST.get("act") == "take" else tags.give
    act(tag_id=tag_id, contact_ids=[contact.pk], actor=request.actor, at=now)
    told(request, _("标签已更新。"))
    return HttpResponseRedirect(reverse("admin:contact", args=[contact_id]))


def _wanted(query: QueryDict) -> people.Wanted:
    def number(name: str) -> int | None:
        value = query.get(name, "")
        return int(value) if value.isdigit() and len(value) < 19 else None

    return people.Wanted(
        text=query.get("q", "").strip()[:100],
        guide=number("guide"),
        store=number("store"),
        tag=number("tag"),
        segment=number("segment"),
        state=query.get("state", ""),
        before=number("before"),
        after=number("after"),
    )


def _narrowed(query: QueryDict) -> bool:
    return any(query.get(name) for name in ("q", "guide", "store", "tag", "segment", "state"))


def _lines(events: Sequence[Event]) -> list[dict[str, Any]]:
    names = one_contact.names_in(events)
    kinds = one_contact.KIND_OF
    return [
        {"at": row.occurred_at, "text": sentence(row, names), "kind": kinds.get(row.type, "own"), "event": row}
        for row in events
    ]
