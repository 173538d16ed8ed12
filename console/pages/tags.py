"""标签与规则: the brand's tags, and the rules by which behaviour gives them."""

from typing import Any

from django.http import HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from console import numbers
from console.builder_kinds import FILTERS
from console.site import BrandRequest, need, page, render, told
from events import catalogue, declared
from scrm.lib import errors
from tagging import groups, tags
from tagging.models import Tag, TagGroup, TagRule, TagRun
from tagging.rules import rerun, rules
from tenants.roles import Capability

READ, WRITE = Capability.READ_SEGMENTS, Capability.WRITE_SEGMENTS


@page("tags/", name="tags", needs=READ, methods=("GET", "POST"))
def tag_list(request: BrandRequest) -> HttpResponse:
    """Tags and rules; POST makes one or the other."""
    context: dict[str, Any] = {}
    if request.method == "POST":
        need(request, WRITE)
        now = timezone.now()
        try:
            if request.POST.get("what") == "rule":
                rules.save(actor=request.actor, at=now, **_rule(request.POST))
                told(request, _("规则已启用，从现在起的行为会触发它。"))
            elif request.POST.get("what") == "group":
                way = request.POST.get("exclusive", "")
                groups.set_group(name=request.POST.get("group", ""), exclusive=way, actor=request.actor, at=now)
                told(request, _("分组已保存。"))
            else:
                name, group = request.POST.get("name", ""), request.POST.get("group", "").strip()
                tags.create(name=name, group=group, actor=request.actor, at=now)
                told(request, _("标签已建好。"))
        except (errors.Refused, errors.Conflict) as refusal:
            context = {"problem": refusal}
        else:
            return HttpResponseRedirect(reverse("admin:tags"))
    context |= {
        "tags": Tag.objects.order_by("group", "name")[:500],
        "groups": dict(TagGroup.objects.values_list("name", "exclusive")),
        "ways": TagGroup.Exclusive.choices,
        "rules": _shown_rules(),
        "events": [(kind.name, kind.label, sorted(set(kind.props) & set(FILTERS))) for kind in _observable()],
    }
    return render(request, "tags.html", context, title=_("标签与规则"), status=422 if "problem" in context else 200)


@page("tags/rules/<int:tag_rule_id>/", name="tag-rule", needs=WRITE, methods=("POST",))
def switch_rule(request: BrandRequest, tag_rule_id: int) -> HttpResponse:
    """Turn a rule on or off, or put it away."""
    now, enabled = timezone.now(), request.POST.get("enabled") == "1"
    try:
        if request.POST.get("archive") == "1":
            rules.archive(rule_id=tag_rule_id, actor=request.actor, at=now)
            told(request, _("规则已归档，已打上的标签不变。"))
        else:
            rules.switch(rule_id=tag_rule_id, enabled=enabled, actor=request.actor, at=now)
            told(request, _("规则已启用。") if enabled else _("规则已停用，已打上的标签不变。"))
    except errors.Conflict as refusal:
        told(request, f"{refusal.detail}{refusal.remedy}")
    return HttpResponseRedirect(reverse("admin:tags"))


@page("tags/rules/<int:tag_rule_id>/history/", name="tag-rule-history", needs=WRITE, methods=("POST",))
def over_history(request: BrandRequest, tag_rule_id: int) -> HttpResponse:
    """Take a rule over history: first a preview of how many would change, then the change."""
    kind = "apply" if request.POST.get("kind") == "apply" else "preview"
    try:
        rerun.begin(rule_id=tag_rule_id, kind=kind, actor=request.actor, at=timezone.now())
    except errors.Conflict as refusal:
        told(request, f"{refusal.detail}{refusal.remedy}")
    else:
        told(request, _("正在计算，完成后人数会显示在规则下面。") if kind == "preview" else _("正在按历史补打。"))
    return HttpResponseRedirect(reverse("admin:tags"))


def _shown_rules() -> list[tuple[TagRule, str, TagRun | None]]:
    some = list(TagRule.objects.filter(archived_at=None).select_related("tag").order_by("-id")[:200])
    runs = rerun.latest_of([rule.pk for rule in some])
    return [(rule, rules.sentence(rule), runs.get(rule.pk)) for rule in some]


def _observable() -> list[catalogue.EventType]:
    return [kind for kind in declared.kinds() if kind.sender != "system"]


def _rule(form: QueryDict) -> dict[str, Any]:
    def whole(name: str, default: int | None) -> int | None:
        number = numbers.whole(form.get(name), most=99_999_999)
        return default if number is None else number

    where: dict[str, Any] = {}
    if form.get("category", "").strip():
        where["category"] = form.get("category", "").strip()
    if whole("dwell", None) is not None:
        where["min_dwell_seconds"] = whole("dwell", None)
    measure = form.get("measure", "count")
    amount = whole("high", None)
    low = whole("low", None)
    if measure == "interest":
        where = {"category": form.get("category", "").strip()}
    extra: dict[str, Any] = {}
    if measure == "sum":
        # People type yuan; the log keeps fen.
        extra = {"prop": "amount_fen", "high": (amount or 1) * 100}
        low = None if low is None else low * 100
    elif measure == "interest":
        extra = {"high": amount or 3}
    return {
        **extra,
        "measure": measure,
        "low": None if measure == "recency" else low,
        "name": form.get("name", "").strip(),
        "tag_id": whole("tag", 0) or 0,
        "event_type": "" if measure == "interest" else form.get("event_type", ""),
        "where": where,
        "min_count": whole("min_count", 1),
        "window_days": whole("window_days", 30),
        "keep_days": whole("keep_days", None),
    }
