"""回调收件箱: what WeCom told us, what became of it, and once more if need be."""

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from console import words
from console.keyset import page_of
from console.site import BrandRequest, page, render, told, told_problem
from contacts import reconcile
from scrm.lib.errors import Conflict
from tenants.roles import Capability
from wecom import inbox, troubles
from wecom.models import InboxItem
from wecom.tasks import drain_inbox

REPLAYABLE = (InboxItem.Status.FAILED, InboxItem.Status.IGNORED, InboxItem.Status.PENDING)
"""of which all may be replayed at once: what failed, what a newer version may know, what waits for its next try"""
MOST_COUNTED = 1000


@page("inbox/", name="inbox", needs=Capability.SYNC)
def items(request: BrandRequest) -> HttpResponse:
    """Latest first; by status and by event."""
    rows = InboxItem.objects.select_related("corp")
    status, event = request.GET.get("status", ""), request.GET.get("event", "").strip()
    if status in InboxItem.Status.values:
        rows = rows.filter(status=status)
    if event:
        rows = rows.filter(event=event)
    context = {
        "shown": page_of(rows, request.GET),
        "status": status,
        "event": event,
        "statuses": InboxItem.Status.choices,
        "events": {**({event: event} if event else {}), **words.CALLBACKS}.items(),
        "failed": _failed(event),
        "refused": troubles.refused_callbacks(at=timezone.now()),
        "kept_days": inbox.KEPT.days,
        "reconciled": reconcile.mended(at=timezone.now()),
    }
    return render(request, "inbox.html", context, title=_("回调收件箱"))


@page("inbox/replay/", name="inbox-replay-all", needs=Capability.SYNC, methods=("POST",))
def replay_all(request: BrandRequest) -> HttpResponse:
    """Let everything of a status be handled anew, of one event if one is named."""
    status, event = request.POST.get("status", ""), request.POST.get("event", "").strip()
    if status not in REPLAYABLE:
        status = InboxItem.Status.FAILED
    number = inbox.replay_all(status=status, event=event, at=timezone.now())
    if number:
        drain_inbox.delay_on_commit(brand_id=request.brand.pk)
    told(
        request, ngettext("已放回 %(n)d 条，正在重新处理。", "已放回 %(n)d 条，正在重新处理。", number) % {"n": number}
    )
    return HttpResponseRedirect(reverse("admin:inbox"))


@page("inbox/<int:item_id>/replay/", name="inbox-replay", needs=Capability.SYNC, methods=("POST",))
def replay(request: BrandRequest, item_id: int) -> HttpResponse:
    """Let it be handled anew."""
    try:
        inbox.replay(item_id, at=timezone.now())
    except Conflict as waiting:
        told_problem(request, waiting)
    else:
        drain_inbox.delay_on_commit(brand_id=request.brand.pk)
        told(request, _("已放回待处理，几秒内会重新处理。"))
    return HttpResponseRedirect(reverse("admin:inbox"))


def _failed(event: str) -> str:
    """How many have failed, of the event if one is named: a number, `1,000+`, or nothing. A look at the first rows."""
    rows = InboxItem.objects.filter(status=InboxItem.Status.FAILED)
    rows = rows.filter(event=event) if event else rows
    number = len(rows.values_list("pk")[: MOST_COUNTED + 1])
    return f"{MOST_COUNTED:,}+" if number > MOST_COUNTED else f"{number:,}" if number else ""
