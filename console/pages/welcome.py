"""欢迎语: what each corp says to customers who have just added a guide, and what came of it."""

from typing import Any

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from campaigns.contents import media_use
from campaigns.models import Channel, Content, Welcome
from campaigns.welcome import welcome
from console.numbers import whole
from console.site import BrandRequest, need, page, render, told
from console.words import welcome_reason
from media import copies, keeping
from media.models import Kept
from scrm.lib import errors
from tenants.roles import Capability
from wecom.models import Corp

MOST_CONTENTS = 200


@page("welcome/", name="welcome", needs=Capability.READ_PUSHES, methods=("GET", "POST"))
def welcomes(request: BrandRequest) -> HttpResponse:
    """Every corp with its welcome; POST sets one."""
    context: dict[str, Any] = {}
    if request.method == "POST":
        need(request, Capability.WRITE_PUSHES)
        form = request.POST
        number = {name: whole(form.get(name)) for name in ("corp", "content", "media")}
        try:
            saved = welcome.save(
                corp_id=number["corp"] or 0,
                is_on=form.get("is_on") == "1",
                text=form.get("text", ""),
                content_id=number["content"],
                media_id=number["media"],
                actor=request.actor,
                at=timezone.now(),
            )
        except errors.Invalid as refusal:
            typed_media = keeping.by_ids([number["media"]] if number["media"] else []).get(number["media"] or 0)
            context = {"problem": refusal, "typed": form, "typed_corp": number["corp"], "typed_media": typed_media}
        else:
            told(request, _("欢迎语已启用，从下一位新客户开始。") if saved.is_on else _("欢迎语已保存，目前停用。"))
            return HttpResponseRedirect(reverse("admin:welcome"))
    context |= {
        "corps": [_shown(corp) for corp in Corp.objects.order_by("id")],
        "pile": Kept.objects.order_by("-pk")[:MOST_CONTENTS],
        "now": timezone.now(),
        "contents": Content.objects.filter(channel=Channel.SINGLE).order_by("-id")[:MOST_CONTENTS],
    }
    status = 422 if "problem" in context else 200
    return render(request, "welcome.html", context, title=_("欢迎语"), status=status)


def _shown(corp: Corp) -> dict[str, Any]:
    row = Welcome.objects.filter(corp=corp).select_related("content", "media").first()
    ended = welcome.outcomes_of(row, at=timezone.now()) if row else {}
    sent = ended.pop("", 0)
    failed = [(welcome_reason(code), number) for code, number in sorted(ended.items(), key=lambda pair: -pair[1])]
    files = media_use.shown_by(media_use.welcome_attachments(row)) if row else []
    return {
        "corp": corp,
        "welcome": row,
        "sent": sent,
        "failed": failed,
        "failed_total": sum(ended.values()),
        "files": files if row and row.content else [],
        "ends": media_use.media_ends(row.content) if row and row.content else None,
        "troubles": list(copies.troubles(media_ids=[each.pk for each in files]).values()),
    }
