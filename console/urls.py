"""The console's addresses. `console/` is reached through `/b/<slug>/console/` only (console.brand_path)."""

from django.urls import URLPattern, URLResolver, path

from console import doors
from console.site import site

urlpatterns: list[URLPattern | URLResolver] = [
    path("", doors.landing, name="landing"),
    path("login/", doors.log_in, name="login"),
    path("logout/", doors.log_out, name="logout"),
    path("language/", doors.choose_language, name="set_language"),
    path("agency/", doors.agency, name="agency"),
    path("agency/<slug:slug>/row/", doors.agency_row, name="agency-row"),
    path("join/<str:token>/", doors.join, name="join"),
    path("console/", site.urls),
]
