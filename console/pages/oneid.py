"""统一身份: the brand's OneID in figures, and what is done about one person's identities and data."""

import json
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from console import identity_picture, people
from console.site import BrandRequest, need, page, part, render, told, told_problem
from contacts.models import Identity, Merge
from contacts.oneid import conflicts, graph
from contacts.personal_data import erasure, export
from scrm.lib.errors import DomainError, NotFound
from tenants.roles import Capability

C = Capability


@page("oneid/", name="oneid", needs=C.READ_INSIGHTS)
def overview(request: BrandRequest) -> HttpResponse:
    """Identifiability, the matrix of identity types, and the latest merges."""
    told_ = graph.summary()
    merges = Merge.objects.select_related("survivor").order_by("-pk")[:20]
    context = {"summary": told_, "matrix": _matrix(told_), "merges": list(merges)}
    return render(request, "oneid.html", context, title=_("统一身份"))


@page("oneid/conflicts/", name="oneid-conflicts", needs=C.READ_INSIGHTS, methods=("GET", "POST"))
def review(request: BrandRequest) -> HttpResponse:
    """The queue, 20 at a time, each with both sides; and the decision about one."""
    if request.method == "POST":
        need(request, C.WRITE_CONTACTS)
        try:
            _decide(request)
        except DomainError as refusal:
            if isinstance(refusal, NotFound):
                raise
            told_problem(request, refusal)
        return HttpResponseRedirect(reverse("admin:oneid-conflicts"))
    rows = list(conflicts.waiting()[:21])
    shown = conflicts.sides(rows[:20])
    ids = {side.pk for each in shown for side in (each.one, each.other) if side}
    known: dict[int, list[Identity]] = {each: [] for each in ids}
    for row in Identity.objects.filter(contact__in=ids).order_by("type", "value"):
        known[row.contact_id].append(row)
    pairs = [
        {
            "conflict": each.conflict,
            "sides": [{"contact": side, "identities": known[side.pk]} for side in (each.one, each.other) if side],
            "label": dict(Identity.Type.choices).get(each.conflict.evidence.get("type", ""), ""),
        }
        for each in shown
    ]
    context = {"pairs": pairs, "more": len(rows) > 20}
    return render(request, "oneid_conflicts.html", context, title=_("身份冲突"))


@page("contacts/<int:contact_id>/identities/", name="contact-identities", needs=C.READ_CONTACTS)
def identities(request: BrandRequest, contact_id: int) -> HttpResponse:
    """The identity graph of one contact as a picture, with merges that can be split."""
    people.the_contact(place=request.place, contact_id=contact_id)
    found = graph.graph(contact_id)
    picture = identity_picture.draw(found, phones=request.place.may(C.SEE_PHONES))
    context = {"graph": found, "picture": picture, "conflicts": conflicts.number_of(contact_id)}
    return part(request, "identities.html", context)


@page("contacts/<int:contact_id>/merge/", name="contact-merge", needs=C.WRITE_CONTACTS, methods=("POST",))
def merge(request: BrandRequest, contact_id: int) -> HttpResponse:
    """Another contact turns out to be this one."""
    people.the_contact(place=request.place, contact_id=contact_id)
    number = request.POST.get("other", "")
    other = people.the_contact(place=request.place, contact_id=_number(number))
    conflicts.merge_people(
        survivor_id=contact_id, loser_id=other.pk, reason=_reason(request), actor=request.actor, at=timezone.now()
    )
    told(request, _("已合并。两位客户的资料、标签、积分和记录现在在一起，随时可以拆分。"))
    return HttpResponseRedirect(reverse("admin:contact", args=[contact_id]))


@page("oneid/merges/<int:merge_id>/split/", name="oneid-split", needs=C.WRITE_CONTACTS, methods=("POST",))
def split(request: BrandRequest, merge_id: int) -> HttpResponse:
    """Undo a merge."""
    row = conflicts.split_people(merge_id=merge_id, reason=_reason(request), actor=request.actor, at=timezone.now())
    told(request, _("已拆分。两位客户恢复到合并前的样子，之后的记录按各自的身份归位。"))
    return HttpResponseRedirect(reverse("admin:contact", args=[row.survivor_id]))


@page("contacts/<int:contact_id>/export/", name="contact-export", needs=C.EXPORT_CONTACTS, methods=("POST",))
def download(request: BrandRequest, contact_id: int) -> HttpResponse:
    """All data of the person as a JSON file."""
    need(request, C.SEE_PHONES)
    people.the_contact(place=request.place, contact_id=contact_id)
    body = export.everything(contact_id=contact_id, actor=request.actor, at=timezone.now())
    text = json.dumps(body, cls=DjangoJSONEncoder, ensure_ascii=False, indent=1)
    answer = HttpResponse(text, content_type="application/json; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="contact-{contact_id}.json"'
    return answer


@page("contacts/<int:contact_id>/erase/", name="contact-erase", needs=C.WRITE_CONTACTS, methods=("POST",))
def erase(request: BrandRequest, contact_id: int) -> HttpResponse:
    """Erase the person; the name has been typed."""
    need(request, C.EXPORT_CONTACTS)
    people.the_contact(place=request.place, contact_id=contact_id)
    erasure.erase(
        contact_id=contact_id,
        typed_name=request.POST.get("typed_name", ""),
        reason=_reason(request),
        actor=request.actor,
        at=timezone.now(),
    )
    told(request, _("已删除这位客户的个人数据。积分流水等账目保留，但不再指向本人。"))
    return HttpResponseRedirect(reverse("admin:contacts"))


def _decide(request: BrandRequest) -> None:
    at, reason = timezone.now(), _reason(request)
    conflict_id: Any = request.POST.get("conflict", "")
    row = conflicts.named(conflict_id)
    if request.POST.get("act") == "merge":
        survivor = _number(request.POST.get("survivor", ""))
        conflicts.merge_sides(conflict_id=row.pk, survivor_id=survivor, reason=reason, actor=request.actor, at=at)
        told(request, _("已合并，随时可以拆分。"))
    else:
        conflicts.keep_apart(conflict_id=row.pk, reason=reason, actor=request.actor, at=at)
        told(request, _("已记下：是两位客户。同样的证据不再提示。"))


def _matrix(told_: graph.Summary) -> dict[str, Any]:
    """Identity types that occur; a cell: how many contacts of the row's type have the column's too."""
    labels = dict(Identity.Type.choices)
    types = list(told_.types)
    share = {(pair["first"], pair["second"]): (pair["share_of_first"], pair["contacts"]) for pair in told_.pairs}
    share |= {(pair["second"], pair["first"]): (pair["share_of_second"], pair["contacts"]) for pair in told_.pairs}
    rows = []
    for first in types:
        cells = []
        for second in types:
            part_, number = share.get((first, second), (0.0, 0))
            same = first == second
            cells.append({"same": same, "share": part_, "contacts": number, "tint": round(part_ * 45)})
        rows.append({"label": labels[first], "contacts": told_.types[first], "cells": cells})
    return {"types": [labels[each] for each in types], "rows": rows}


def _reason(request: BrandRequest) -> str:
    return request.POST.get("reason", "").strip()[:200]


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 19 else 0
