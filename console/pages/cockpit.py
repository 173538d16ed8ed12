"""驾驶舱: what needs me, what came of it, what may I still send."""

from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from campaigns.models import Batch, Push
from console import figures
from console.site import BrandRequest, page, render
from contacts.models import IdentityConflict
from tenants.roles import Capability
from wecom.models import Corp, InboxItem


@page("", name="index", needs=Capability.OPEN_CONSOLE)
def cockpit(request: BrandRequest) -> HttpResponse:
    """The first page. A seat without figures goes to its customers."""
    if not request.place.may(Capability.READ_INSIGHTS):
        return HttpResponse(status=302, headers={"Location": reverse("admin:contacts")})
    now = timezone.now()
    shown = figures.cockpit(brand=request.brand, at=now)
    corps = list(Corp.objects.order_by("pk"))
    context = {
        "shown": shown,
        "row": shown.row,
        "per_ten_thousand": round(10_000 * shown.lost_after / shown.delivered_28, 1) if shown.delivered_28 else None,
        "people": _chart(shown.people, {"added": _("新增好友"), "lost": pgettext("console", "流失")}),
        "outreach": _chart(
            shown.outreach,
            {"delivered": _("送达"), "sign_in": pgettext("console", "签到"), "order_paid": pgettext("console", "下单")},
            bars={"delivered"},
        ),
        "touched": [(_touches(key), count) for key, count in shown.touched.items()],
        "todo": _todo(corps),
        "setup": not corps,
        "pushes": Push.objects.filter(sop_version=None).select_related("segment").order_by("-id")[:6],
    }
    return render(request, "cockpit.html", context, title=_("驾驶舱"))


def _chart(days: figures.Days, names: dict[str, str], bars: frozenset[str] | set[str] = frozenset()) -> dict[str, Any]:
    empty = [0] * len(days.days)
    return {
        "labels": [day.strftime("%m-%d") for day in days.days],
        "empty": not any(any(counts) for counts in days.series.values()),
        "series": [
            {"name": label, "data": days.series.get(key, empty), **({"kind": "bar"} if key in bars else {})}
            for key, label in names.items()
        ],
    }


def _touches(key: str) -> str:
    if key == "0":
        return _("还没触达")
    if key == "3+":
        return _("3 次及以上")
    return ngettext("%(n)d 次", "%(n)d 次", int(key)) % {"n": int(key)}


def _todo(corps: list[Corp]) -> list[dict[str, Any]]:
    """What waits for a person, the most harmful first; each with one verb. A few indexed look-ups."""
    todo: list[dict[str, Any]] = []
    for push_id, name in _pushes_with("unknown"):
        text = _("推送「%(name)s」有批次状态未明，正在向企业微信核对，不会重发") % {"name": name}
        todo.append(_line("unknown", "help", text, reverse("admin:push", args=[push_id]), _("查看")))
    for corp in (corp for corp in corps if corp.trouble_code):
        text = _("企业「%(name)s」的接入需要处理") % {"name": corp.name}
        todo.append(
            _line("failed", "error", text, reverse("admin:corp", args=[corp.pk]), _("去处理"), corp.trouble_text)
        )
    failed = InboxItem.objects.filter(status=InboxItem.Status.FAILED)[:100].count()
    if failed:
        text = ngettext("%(n)d 条回调处理失败", "%(n)d 条回调处理失败", failed) % {"n": failed}
        todo.append(_line("failed", "inbox", text, reverse("admin:inbox") + "?status=failed", _("重放")))
    conflicts = IdentityConflict.objects.filter(resolved_at=None)[:100].count()
    if conflicts:
        text = ngettext("%(n)d 处身份冲突待核对", "%(n)d 处身份冲突待核对", conflicts) % {"n": conflicts}
        todo.append(_line("partial", "hub", text, reverse("admin:oneid-conflicts"), _("核对")))
    for push_id, name in _pushes_with("created"):
        text = _("推送「%(name)s」在等导购确认") % {"name": name}
        todo.append(_line("waiting", "hourglass_top", text, reverse("admin:push", args=[push_id]), _("查看")))
    return todo


def _pushes_with(status: str) -> list[tuple[int, str]]:
    waiting = Batch.objects.filter(status=status, push__sop_version=None)
    pushes = Push.objects.filter(pk__in=waiting.values("push_id").distinct()[:5])
    return list(pushes.order_by("-id").values_list("id", "name"))


def _line(tint: str, icon: str, text: str, link: str, verb: str, detail: str = "") -> dict[str, Any]:
    return {"tint": tint, "icon": icon, "text": text, "link": link, "verb": verb, "detail": detail}
