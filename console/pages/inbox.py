"""回调收件箱: what WeCom told us, what became of it, and once more if need be."""

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from console.keyset import page_of
from console.site import BrandRequest, page, render, told, told_problem
from scrm.lib.errors import Conflict
from tenants.roles import Capability
from wecom import inbox
from wecom.models import InboxItem
from wecom.tasks import drain_inbox


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
    }
    return render(request, "inbox.html", context, title=_("回调收件箱"))


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
