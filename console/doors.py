"""The pages outside any brand: log in, out, choose a language, take an invitation, see all one's brands."""

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console import figures
from console.brand_path import console_url
from scrm.lib.errors import Invalid, NotFound
from tenants import login as logins
from tenants import seats
from tenants.models import User
from tenants.roles import Capability, Role
from tenants.scope import brand_scope


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def log_in(request: HttpRequest) -> HttpResponse:
    """The log-in page."""
    target = _safe(request, request.POST.get("next") or request.GET.get("next") or "/")
    if request.method == "GET":
        if request.user.is_authenticated:
            return HttpResponseRedirect(target)
        return render(request, "console/login.html", {"next": target})
    username, password = request.POST.get("username", ""), request.POST.get("password", "")
    try:
        user = logins.log_in(request=request, username=username, password=password)
    except logins.TooManyAttempts as locked:
        context = {"next": target, "username": username, "problem": locked.detail}
        response = render(request, "console/login.html", context, status=429)
        response["Retry-After"] = str(locked.retry_after)
        return response
    except logins.WrongPassword as wrong:
        context = {"next": target, "username": username, "problem": wrong.detail}
        return render(request, "console/login.html", context, status=422)
    response = HttpResponseRedirect(target)
    if user.language:
        response.set_cookie(settings.LANGUAGE_COOKIE_NAME, user.language, max_age=365 * 86400, samesite="Lax")
    return response


@require_POST
def log_out(request: HttpRequest) -> HttpResponse:
    """End the session."""
    logout(request)
    return HttpResponseRedirect("/login/")


@require_POST
def choose_language(request: HttpRequest) -> HttpResponse:
    """Show the console in another language from now on; remembered for the person."""
    language = request.POST.get("language", "")
    response = HttpResponseRedirect(_safe(request, request.POST.get("next", "/")))
    if language in dict(settings.LANGUAGES):
        response.set_cookie(settings.LANGUAGE_COOKIE_NAME, language, max_age=365 * 86400, samesite="Lax")
        if request.user.is_authenticated:
            User.objects.filter(pk=request.user.pk).update(language=language)
    return response


@login_required
@require_GET
def landing(request: HttpRequest) -> HttpResponse:
    """Where a person begins: the agency's overview, else the one brand's page that suits the role."""
    user: User = request.user  # type: ignore[assignment]
    places = [place for place in seats.places_of(user=user) if place.may(Capability.OPEN_CONSOLE)]
    if seats.agencies_of(user=user) or len(places) > 1:
        return HttpResponseRedirect("/agency/")
    if not places:
        return render(request, "console/no_brand.html", status=403)
    rest = "contacts/" if places[0].role == Role.STORE_MANAGER else ""
    return HttpResponseRedirect(console_url(places[0].brand.slug, rest))


@never_cache
@login_required
@require_GET
def agency(request: HttpRequest) -> HttpResponse:
    """代理商总览: one row per brand; each row is fetched by itself, so that a failing brand fails alone."""
    user: User = request.user  # type: ignore[assignment]
    places = [place for place in seats.places_of(user=user) if place.may(Capability.OPEN_CONSOLE)]
    names = " · ".join(agency.name for agency in seats.agencies_of(user=user))
    return render(request, "console/agency.html", {"places": places, "agency_name": names})


@never_cache
@login_required
@require_GET
def agency_row(request: HttpRequest, slug: str) -> HttpResponse:
    """One brand's figures, read in its own scope."""
    place = seats.place_of(user=request.user, slug=slug)  # type: ignore[arg-type]
    if place is None or not place.may(Capability.OPEN_CONSOLE):
        raise Http404("brand")
    context = {"place": place, "brand": place.brand}
    if place.may(Capability.READ_INSIGHTS):
        with brand_scope(place.brand.pk):
            context["row"] = figures.brand_row(brand=place.brand, at=timezone.now())
    return render(request, "console/parts/agency_row.html", context)


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def join(request: HttpRequest, token: str) -> HttpResponse:
    """An invitation: a new person sets a password; one who has a log-in already logs in first."""
    seat = seats.invitation(token=token, at=timezone.now()) if _open(token) else None
    if seat is None:
        return render(request, "console/join.html", {"gone": True}, status=404)
    known = seat.user.has_usable_password()
    if known and request.user.pk != seat.user_id:
        return HttpResponseRedirect(f"/login/?next={request.path}")
    context = {"seat": seat, "known": known, "role": Role(seat.role).label}
    if request.method == "GET":
        return render(request, "console/join.html", context)
    password = request.POST.get("password", "")
    if not known and password != request.POST.get("again", ""):
        return render(request, "console/join.html", {**context, "problems": [_("两次输入的密码不一样。")]}, status=422)
    try:
        seats.accept(token=token, password=None if known else password, at=timezone.now())
    except Invalid as weak:
        problems = [error.message for error in weak.errors]
        return render(request, "console/join.html", {**context, "problems": problems}, status=422)
    if not known:
        logins.log_in(request=request, username=seat.user.username, password=password)
    return HttpResponseRedirect("/")


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """404, for a missing thing and for another brand's alike; the API's in its own form."""
    if request.path.startswith("/api/"):
        problem = {"type": "about:blank", "title": "Not Found", "status": 404, "code": "not_found", "errors": []}
        return JsonResponse(
            {**problem, "detail": _("没有这个地址。")}, status=404, content_type="application/problem+json"
        )
    return plain(request, 404, _("没有这个页面"), _("它可能已被删除，或不属于你能进入的品牌。"))


def forbidden(request: HttpRequest, exception: Exception | None = None, reason: str = "") -> HttpResponse:
    """403: the role does not have it; says whom to ask."""
    return plain(request, 403, _("你的角色没有这项权限"), _("需要的话，请联系品牌负责人在「成员与角色」中调整。"))


def plain(request: HttpRequest, status: int, title: str, text: str) -> HttpResponse:
    """A page of a few words and the way home; of a fragment only the words."""
    if request.headers.get("HX-Request"):
        return render(request, "console/parts/plain.html", {"title": title, "text": text}, status=status)
    return render(request, "console/plain.html", {"title": title, "text": text, "status": status}, status=status)


def _open(token: str) -> bool:
    try:
        seats.invitation(token=token, at=timezone.now())
    except NotFound:
        return False
    return True


def _safe(request: HttpRequest, target: str) -> str:
    hosts = {request.get_host()}
    return target if url_has_allowed_host_and_scheme(target, hosts, request.is_secure()) else "/"
