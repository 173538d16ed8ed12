"""审计: who did what, when, to what, before and after. Read-only."""

from django.http import HttpResponse
from django.utils.translation import gettext as _

from console import words
from console.keyset import page_of
from console.site import BrandRequest, page, render
from tenants.models import AuditEntry
from tenants.roles import Capability


@page("audit/", name="audit", needs=Capability.READ_AUDIT)
def audit(request: BrandRequest) -> HttpResponse:
    """Latest first, 50 rows, by keyset."""
    entries = AuditEntry.objects.all()
    action, who = request.GET.get("action", "").strip(), request.GET.get("who", "").strip()
    if action:
        entries = entries.filter(action=action)
    if who:
        entries = entries.filter(actor_label=who)
    acts = sorted(words.ACTS.items(), key=lambda act: str(act[1]))
    context = {"shown": page_of(entries, request.GET), "action": action, "who": who, "acts": acts}
    return render(request, "audit.html", context, title=_("审计"))
