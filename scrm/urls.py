"""Every door of the house. A page of a brand lives under /b/<slug>/…, which scrm.wsgi moves into SCRIPT_NAME."""

from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from scrm import health

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    path("api/v1/", include("events.urls")),
    path("api/v1/", include("media.urls")),
    path("api/v1/", include("contacts.urls")),
    path("api/v1/", include("tagging.urls")),
    path("api/v1/", include("points.urls")),
    path("api/v1/", include("campaigns.urls")),
    path("api/v1/", include("webhooks.urls")),
    path("", include("wecom.urls")),
    path("", include("console.urls")),
]

handler403 = "console.doors.forbidden"
handler404 = "console.doors.not_found"
