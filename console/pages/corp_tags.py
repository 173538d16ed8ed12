"""企业标签: which tags stand in WeCom, too, and how the two are kept the same."""

from typing import Any

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from console.numbers import whole
from console.site import BrandRequest, need, page, render, told, told_problem
from scrm.lib import errors
from tagging.corp import corp_tags
from tagging.models import CorpTag, Segment, Tag, TagLibrary
from tenants.roles import Capability
from wecom.models import Corp


@page("corp-tags/", name="corp-tags", needs=Capability.READ_SEGMENTS, methods=("GET", "POST"))
def libraries(request: BrandRequest) -> HttpResponse:
    """Every corp's tags; POST turns the sync on or off, ties a tag, makes a shadow tag, or unties one."""
    if request.method == "POST":
        need(request, Capability.WRITE_SEGMENTS)
        return _change(request)
    tied = set(CorpTag.objects.filter(tag__isnull=False).values_list("tag_id", flat=True))
    context = {
        "corps": [
            (corp, TagLibrary.objects.filter(corp=corp).first(), corp_tags.shown(corp.pk))
            for corp in Corp.objects.order_by("id")
        ],
        "tags": [tag for tag in Tag.objects.order_by("group", "name")[:500] if tag.pk not in tied],
        "segments": Segment.objects.filter(archived_at=None).order_by("name")[:200],
    }
    return render(request, "corp_tags.html", context, title=_("企业标签"))


def _change(request: BrandRequest) -> HttpResponse:
    form, now = request.POST, timezone.now()

    def number(name: str) -> int:
        return whole(form.get(name)) or 0

    what = form.get("what")
    who: dict[str, Any] = {"actor": request.actor, "at": now}
    try:
        if what == "link":
            corp_tags.link(corp_id=number("corp"), tag_id=number("tag"), **who)
            told(request, _("正在和企业微信对应，几分钟内生效。"))
        elif what == "shadow":
            corp_tags.shadow(corp_id=number("corp"), segment_id=number("segment"), **who)
            told(request, _("影子标签正在创建，几分钟内生效。"))
        elif what == "unlink":
            corp_tags.unlink(corp_tag_id=number("corp_tag"), **who)
            told(request, _("不再同步，两边已有的标签都保留。"))
        else:
            is_on = form.get("is_on") == "1"
            corp_tags.set_library(
                corp_id=number("corp"), is_on=is_on, imports_new=form.get("imports_new") == "1", **who
            )
            told(request, _("标签同步已开启。") if is_on else _("标签同步已关闭，两边已有的标签都保留。"))
    except errors.Conflict as refusal:
        told_problem(request, refusal)
    return HttpResponseRedirect(reverse("admin:corp-tags"))
