"""The console's frame: who may open which page of which brand, and the scope that holds until the page is rendered.

A page is a function registered by `page(...)` with the capability it needs. The site finds the brand in the path,
the user's seat in it, opens the brand's scope, and renders inside it: templates may query."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.auth import logout
from django.contrib.auth.views import redirect_to_login
from django.contrib.messages.storage import default_storage
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods
from unfold.sites import UnfoldAdminSite

from console.brand_path import SLUG
from console.doors import plain
from scrm.lib import errors, retries
from tenants import seats
from tenants.actors import Actor
from tenants.models import Brand, Seat, User
from tenants.roles import Capability, Role
from tenants.scope import brand_scope

logger = logging.getLogger(__name__)

View = Callable[..., HttpResponse]


class BrandRequest(HttpRequest):
    """A request whose brand, seat and actor are known. Only the type: the site sets these on Django's own."""

    brand: Brand
    place: seats.Place
    places: list[seats.Place]
    """all the user's brands, for the switcher"""
    actor: Actor
    user: User


@dataclass(frozen=True, slots=True)
class Page:
    """One address of the console."""

    route: str
    name: str
    view: View
    needs: Capability
    methods: tuple[str, ...]
    own_scopes: bool


PAGES: list[Page] = []


def page(
    route: str, *, name: str, needs: Capability, methods: tuple[str, ...] = ("GET",), own_scopes: bool = False
) -> Callable[[View], View]:
    """Register a view as a page under `/b/<slug>/console/<route>` for seats with the capability `needs`.

    `own_scopes`: the view talks to WeCom, so it runs outside a scope and opens its own around each act."""

    def register(view: View) -> View:
        PAGES.append(Page(route, name, require_http_methods(list(methods))(view), needs, methods, own_scopes))
        return view

    return register


class ConsoleSite(UnfoldAdminSite):
    """The admin site of one brand at a time; which one is in the path."""

    site_title = site_header = "Orchard 果园"
    enable_nav_sidebar = True
    final_catch_all_view = False

    def get_urls(self) -> list[URLPattern]:
        """Our pages and the few of Django's that unfold's shell links to."""
        from console import pages

        pages.load()
        ours = [path(p.route, self.admin_view(p.view, page=p), name=p.name) for p in PAGES]
        return [
            *ours,
            path("search/", self.admin_view(self.search), name="search"),
            path("logout/", self.logout, name="logout"),
            path("password/", self.admin_view(self.password_change), name="password_change"),
            path("password/done/", self.admin_view(self.password_change_done), name="password_change_done"),
        ]

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether the request came through a brand's door, with a seat that may open the console."""
        place = getattr(request, "place", None)
        return place is not None and place.may(Capability.OPEN_CONSOLE)

    def admin_view(self, view: View, cacheable: bool = False, page: Page | None = None) -> View:
        """Every page goes through here: brand, seat, capability, scope, rendering, refusals."""
        inner = AdminSite.admin_view(self, view, cacheable)

        @wraps(view)
        def through_the_door(request: BrandRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path(), "/login/")
            _enter(request)
            if page is not None and not request.place.may(page.needs):
                raise PermissionDenied(page.needs.label)
            if page is not None and request.method == "GET" and "GET" not in page.methods:
                # An act's address, opened or loaded anew: what it would do, a button does.
                answer = plain(request, 405, _("这个地址只接收提交"), _("请回到页面，用上面的按钮操作。"))
                answer["Allow"] = ", ".join(page.methods)
                return answer
            with timezone.override(ZoneInfo(request.brand.timezone)):
                own_scopes = page is not None and page.own_scopes
                try:
                    if own_scopes:
                        return inner(request, *args, **kwargs)
                    return retries.until_done(lambda: _in_scope(request, inner, args, kwargs))
                except errors.DomainError as refusal:
                    return self.refused(request, refusal)
                except OperationalError as error:
                    if not retries.is_busy(error):
                        raise
                    logger.exception("console.busy", extra={"brand": request.brand.pk, "page": page and page.name})
                    return self.refused(request, _busy(in_part=own_scopes), status=503)

        return through_the_door

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """What the shell shows on every page."""
        place = request.place  # type: ignore[attr-defined]
        can = {capability.name: place.may(capability) for capability in Capability}
        return {
            **super().each_context(request),
            "brand": place.brand,
            "place": place,
            "can": can,
            "role_label": Role(place.role).label,
            "redirect_to": request.get_full_path(),
        }

    def refused(self, request: HttpRequest, refusal: errors.DomainError, *, status: int = 0) -> HttpResponse:
        """A refusal that the page did not show itself: what happened, why, what to do. `status` 0: by its kind."""
        if isinstance(refusal, errors.NotFound):
            raise Http404(str(refusal.detail))
        if isinstance(refusal, errors.Forbidden):
            raise PermissionDenied(str(refusal.detail))
        status = status or (409 if isinstance(refusal, errors.Conflict) else 422)
        if request.headers.get("HX-Request"):
            context: dict[str, Any] = {"problem": refusal}
            return TemplateResponse(request, "console/parts/problem.html", context, status=status).render()
        context = self.each_context(request) | {"title": _("没有完成"), "problem": refusal, "back": _came_from(request)}
        return TemplateResponse(request, "console/problem.html", context, status=status).render()

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Unfold's own search caches results by user and term, across brands: it stays off."""
        return HttpResponse("")

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """End the session."""
        if request.method == "POST":
            logout(request)
        return HttpResponseRedirect("/login/")

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """The sidebar is ours (console.nav)."""
        return []


def _enter(request: BrandRequest) -> None:
    """Find the brand and the seat. Without a seat the brand does not exist: 404."""
    slug = request.META.get(SLUG)
    request.places = seats.places_of(user=request.user) if slug else []
    place = next((place for place in request.places if place.brand.slug == slug), None)
    if place is None or not place.may(Capability.OPEN_CONSOLE):
        raise Http404("brand")
    request.place, request.brand = place, place.brand
    request.actor = Actor(f"user:{request.user.pk}", request.user.get_full_name())
    now = timezone.now()
    if place.last_seen_at is None or place.last_seen_at <= now - timedelta(minutes=5):
        Seat.objects.filter(pk=place.seat_id).update(last_seen_at=now)


def _in_scope(request: BrandRequest, view: View, args: Any, kwargs: Any) -> HttpResponse:
    """The page, rendered in the brand's scope: one transaction, no effect outside it, so that it may be tried again."""
    request._messages = default_storage(request)  # type: ignore[attr-defined]  # what an attempt that was undone wanted to tell is not told
    with brand_scope(request.brand.pk):
        response = view(request, *args, **kwargs)
        # Templates query while they render: it must happen before the scope ends.
        return response.render() if hasattr(response, "render") else response


def _busy(*, in_part: bool) -> errors.Conflict:
    """What a page says when the database gave up waiting. `in_part`: the page does its work in several steps."""
    if in_part:
        text = _("数据库正忙，这一步可能只完成了一部分。")
        remedy = _("请先返回刷新，看看哪些已经生效，再决定要不要再做一次。")
    else:
        text, remedy = _("数据库正忙，这一步没有完成，什么都没有改变。"), _("请返回，稍后再做一次。")
    return errors.Conflict(text, remedy=remedy, code="console.busy")


def _came_from(request: HttpRequest) -> str:
    """Where "back" leads: the page whose form was sent, else the brand's first page."""
    before = request.headers.get("Referer", "")
    ours = url_has_allowed_host_and_scheme(before, {request.get_host()}, request.is_secure())
    return before if ours else reverse("admin:index")


def render(
    request: HttpRequest, template: str, context: dict[str, Any] | None = None, *, title: str = "", status: int = 200
) -> TemplateResponse:
    """A page in the shell."""
    shell = {**site.each_context(request), "title": title}
    return TemplateResponse(request, f"console/{template}", {**shell, **(context or {})}, status=status)


def part(
    request: HttpRequest, template: str, context: dict[str, Any] | None = None, *, status: int = 200
) -> TemplateResponse:
    """A fragment, without the shell."""
    place = request.place  # type: ignore[attr-defined]
    can = {capability.name: place.may(capability) for capability in Capability}
    shared = {"brand": place.brand, "place": place, "can": can}
    return TemplateResponse(request, f"console/parts/{template}", {**shared, **(context or {})}, status=status)


def told(request: HttpRequest, text: str) -> None:
    """A line on the next page that says what was done."""
    messages.success(request, text)


def told_problem(request: HttpRequest, refusal: errors.DomainError) -> None:
    """A line on the next page that says what was refused, with its fields and remedy."""
    fields = (text for error in refusal.errors for text in (error.message, error.remedy))
    said = (str(text) for text in (refusal.detail, *fields, refusal.remedy) if text)
    messages.error(request, " ".join(dict.fromkeys(said)))  # a refusal of one field says the same of both


def need(request: BrandRequest, capability: Capability) -> None:
    """Stop with a 403 unless the seat has the capability: for acts on a page that others may read."""
    if not request.place.may(capability):
        raise PermissionDenied(capability.label)


site = ConsoleSite(name="admin")
