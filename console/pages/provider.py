"""服务商代开发授权: a link for the corp's administrator, and what became of it."""

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from console.brand_path import outside_brand
from console.numbers import whole
from console.site import BrandRequest, page, part, render, told_problem
from scrm.lib import errors
from tenants.roles import Capability
from wecom.models import AuthorisationLink
from wecom.provider import authorise

MANAGE = Capability.MANAGE_CREDENTIALS


@page("wecom/authorise/", name="corp-authorise", needs=MANAGE, methods=("POST",), own_scopes=True)
def ask(request: BrandRequest) -> HttpResponse:
    """Make a link of a suite."""
    suite_id = whole(request.POST.get("suite")) or 0
    try:
        with outside_brand():
            link = authorise.make_link(
                suite_id=suite_id, brand_id=request.brand.pk, actor=request.actor, at=timezone.now()
            )
    except errors.NotFound:
        raise
    except errors.DomainError as refusal:
        told_problem(request, refusal)
        return HttpResponseRedirect(reverse("admin:corp-connect"))
    return HttpResponseRedirect(reverse("admin:corp-link", args=[link.state]))


@page("wecom/authorise/<str:state>/", name="corp-link", needs=MANAGE)
def shown(request: BrandRequest, state: str) -> HttpResponse:
    """The link to hand to the administrator, with its outcome below."""
    link = authorise.link_of(brand_id=request.brand.pk, state=state)
    return render(request, "corp_link.html", _told_of(link), title=_("请企业授权"))


@page("wecom/authorise/<str:state>/status/", name="corp-link-status", needs=MANAGE)
def status(request: BrandRequest, state: str) -> HttpResponse:
    """The outcome as a fragment that renews itself until there is one."""
    return part(request, "link_status.html", _told_of(authorise.link_of(brand_id=request.brand.pk, state=state)))


def _told_of(link: AuthorisationLink) -> dict[str, object]:
    problem = authorise.problem_text(link.problem_code) if link.problem_code else None
    over = link.used_at is None and link.expires_at < timezone.now()
    waits = link.used_at is None and not over
    return {"link": link, "problem": problem, "over": over, "waits": waits}
