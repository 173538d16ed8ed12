"""生命周期与流失: where customers stand by the brand's stages, who moved, and which friendships end when."""

from datetime import datetime, timedelta
from typing import Any

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from console import numbers
from console.site import BrandRequest, need, page, render, told
from contacts import churn
from events import catalogue
from scrm.lib import errors
from tagging.models import LifecycleStage, Segment
from tagging.rules import lifecycle, rerun
from tagging.segments import segments
from tenants.roles import Capability

READ, WRITE = Capability.READ_SEGMENTS, Capability.WRITE_SEGMENTS
SPANS = (7, 28, 90)
CHURN_SPANS = (90, 180, 365)
LOSS_DAYS = (7, 30, 90)


@page("lifecycle/", name="lifecycle", needs=READ, methods=("GET", "POST"))
def stages(request: BrandRequest) -> HttpResponse:
    """The matrix of a period; POST starts the stages, adds one that a segment describes, removes one."""
    context: dict[str, Any] = {}
    now = timezone.now()
    if request.method == "POST":
        need(request, WRITE)
        try:
            lifecycle.save(wanted=_wanted(request), actor=request.actor, at=now)
        except errors.Refused as refusal:
            context = {"problem": refusal}
        else:
            told(request, _("阶段已保存，正在重新划分所有客户。"))
            return HttpResponseRedirect(reverse("admin:lifecycle"))
    span = _span(request, SPANS, 28)
    began = lifecycle.kept_since()
    start = max(now - timedelta(days=span), began) if began else now
    kept = lifecycle.stages()
    context |= {
        "stages": [(stage, segments.sentence(stage.tree)) for stage in kept],
        "matrix": (matrix := _matrix(kept, start=start, end=now) if began and kept else []),
        "has_placed": any(row.get("apart") and row["name"] != _apart()[lifecycle.NEWCOMERS] for row in matrix),
        "running": [run for run in rerun.open_runs() if run.kind == "lifecycle"],
        "start": start,
        "span": span,
        "spans": SPANS,
        "segments": Segment.objects.filter(archived_at=None).order_by("name")[:200],
    }
    return render(request, "lifecycle.html", context, title=_("生命周期"), status=422 if "problem" in context else 200)


@page("churn/", name="churn", needs=Capability.READ_INSIGHTS)
def lost(request: BrandRequest) -> HttpResponse:
    """Lost friendships of a period, as charts and shares."""
    now = timezone.now()
    span, days = _span(request, CHURN_SPANS, 90), _span(request, LOSS_DAYS, 30, name="loss")
    start = now - timedelta(days=span)
    cohort: dict[str, Any] = {"start": start, "end": now, "days": days, "at": now}
    weeks = churn.by_week(start=start, end=now, zone=request.brand.timezone)
    hazard = churn.hazard(start=start, end=now, at=now)
    context = {
        "span": span,
        "spans": CHURN_SPANS,
        "days": days,
        "loss_days": LOSS_DAYS,
        "loss": churn.loss(**cohort),
        "ended": sum(week.by_contact + week.by_staff for week in weeks),
        "began": sum(week.created for week in weeks),
        "weeks": {
            "labels": [week.monday.strftime("%m-%d") for week in weeks],
            "series": [
                {"name": _("新增好友"), "data": [week.created for week in weeks]},
                {"name": _("客户删除"), "data": [week.by_contact for week in weeks], "kind": "bar"},
                {"name": _("员工删除"), "data": [week.by_staff for week in weeks], "kind": "bar"},
            ],
        },
        "hazard": any(each.rate for each in hazard)
        and {
            "labels": [str(each.day + 1) for each in hazard],
            "series": [
                {
                    "name": _("当天流失，每万个好友"),
                    "data": [round(each.rate * 10_000) for each in hazard],
                    "kind": "bar",
                }
            ],
        },
        "sources": churn.by_source(**cohort),
        "guides": churn.by_guide(**cohort),
        "touches": [(_touch(kind), n) for kind, n in churn.by_last_touch(start=start, end=now)],
    }
    return render(request, "churn.html", context, title=_("流失分析"))


def _matrix(kept: list[LifecycleStage], *, start: datetime, end: datetime) -> list[dict[str, Any]]:
    """One row a stage: its name, how many were in it at the start, and a cell for each stage at the end.

    Then, apart, who has not moved: newcomers, and those whom a run has placed."""
    counts = lifecycle.matrix(start=start, end=end)
    names = lifecycle.labels()
    apart = _apart()
    seen = {key for pair in counts for key in pair} - apart.keys()
    columns = [stage.key for stage in kept] + sorted(seen - {stage.key for stage in kept})
    rows = []
    for source in [*columns, *apart]:
        total = sum(counts.get((source, target), 0) for target in columns)
        if total == 0 and source not in names:
            continue
        cells = [
            {
                "count": (count := counts.get((source, target), 0)),
                "share": round(100 * count / total) if total else 0,
                "stays": source == target,
                "tint": f"{0.06 + 0.6 * count / total:.2f}" if count and total else "0",
            }
            for target in columns
        ]
        label = apart.get(source) or str(names.get(source, source))
        rows.append({"name": label, "total": total, "cells": cells, "apart": source in apart})
    ends = [
        {"name": str(names.get(key, key)), "n": sum(n for (_source, target), n in counts.items() if target == key)}
        for key in columns
    ]
    return [{"heads": ends}, *rows]


def _apart() -> dict[str, str]:
    """Rows of the matrix that are no stage."""
    return {
        lifecycle.NEWCOMERS: pgettext("lifecycle", "之后新来的"),
        lifecycle.FIRST: pgettext("lifecycle", "首次划分的"),
        lifecycle.REPLACED: pgettext("lifecycle", "改阶段后重新划分的"),
    }


def _wanted(request: BrandRequest) -> list[lifecycle.Stage]:
    form = request.POST
    present = [lifecycle.Stage(stage.key, stage.name, stage.tree) for stage in lifecycle.stages()]
    if form.get("what") == "begin":
        return lifecycle.defaults()
    if form.get("what") == "remove":
        return [stage for stage in present if stage.key != form.get("key")]
    segment = errors.found(Segment.objects.filter(pk=numbers.whole(form.get("segment")) or 0, archived_at=None))
    place = numbers.whole(form.get("place"), most=len(present))
    place = len(present) if place is None else place
    new = lifecycle.Stage(
        f"segment_{segment.pk}", form.get("name", "").strip(), {"kind": "segment", "segment_id": segment.pk}
    )
    return [*present[:place], new, *present[place:]]


def _span(request: BrandRequest, allowed: tuple[int, ...], usual: int, *, name: str = "days") -> int:
    number = numbers.whole(request.GET.get(name))
    return number if number in allowed else usual


def _touch(kind: str) -> str:
    return catalogue.label(kind) if kind else _("7 天内没有触达")
