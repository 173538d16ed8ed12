"""Mounted at the root: the callback addresses of the corps, and those of the installation's suites."""

from django.urls import path

from wecom import views
from wecom.corps import CALLBACK_PATH
from wecom.provider import views as provider
from wecom.provider.suites import SUITE_PATH

urlpatterns = [
    path(f"{CALLBACK_PATH}<uuid:endpoint_id>/", views.callback, name="wecom-callback"),
    path(f"{SUITE_PATH}<uuid:endpoint_id>/", provider.commands, name="wecom-suite"),
    path(f"{SUITE_PATH}<uuid:endpoint_id>/authorised/", provider.authorised, name="wecom-authorised"),
]
