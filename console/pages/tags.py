"""标签与规则: the brand's tags, and the rules by which behaviour gives them."""

from typing import Any

from django.http import HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from console.builder_leaves import FILTERS
from console.site import BrandRequest, need, page, render, told
from events import catalogue, declared
from scrm.lib import errors
from tagging import rules, tags
from tagging.models import Tag, TagRule
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
        "rules": [(rule, rules.sentence(rule)) for rule in TagRule.objects.select_related("tag").order_by("-id")[:200]],
        "events": [(kind.name, kind.label, sorted(set(kind.props) & set(FILTERS))) for kind in _observable()],
    }
    return render(request, "tags.html", context, title=_("标签与规则"), status=422 if "problem" in context else 200)


@page("tags/rules/<int:tag_rule_id>/", name="tag-rule", needs=WRITE, methods=("POST",))
def switch_rule(request: BrandRequest, tag_rule_id: int) -> HttpResponse:
    """Turn a rule on or off."""
    rule = errors.found(TagRule.objects.filter(pk=tag_rule_id))
    enabled = request.POST.get("enabled") == "1"
    rules.save(
        rule_id=rule.pk,
        name=rule.name,
        tag_id=rule.tag_id,
        event_type=rule.event_type,
        where=rule.where,
        min_count=rule.min_count,
        window_days=rule.window_days,
        keep_days=rule.keep_days,
        enabled=enabled,
        actor=request.actor,
        at=timezone.now(),
    )
    told(request, _("规则已启用。") if enabled else _("规则已停用，已打上的标签不变。"))
    return HttpResponseRedirect(reverse("admin:tags"))


def _observable() -> list[catalogue.EventType]:
    return [kind for kind in declared.kinds() if kind.sender != "system"]


def _rule(form: QueryDict) -> dict[str, Any]:
    def whole(name: str, default: int | None) -> int | None:
        text = form.get(name, "").strip()
        return int(text) if text.isdigit() and len(text) < 9 else default

    where: dict[str, Any] = {}
    if form.get("category", "").strip():
        where["category"] = form.get("category", "").strip()
    if whole("dwell", None) is not None:
        where["min_dwell_seconds"] = whole("dwell", None)
    return {
        "name": form.get("name", "").strip(),
        "tag_id": whole("tag", 0) or 0,
        "event_type": form.get("event_type", ""),
        "where": where,
        "min_count": whole("min_count", 1),
        "window_days": whole("window_days", 30),
        "keep_days": whole("keep_days", None),
    }
