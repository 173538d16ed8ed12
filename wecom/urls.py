"""Mounted at the root: the callback addresses of the corps."""

from django.urls import path

from wecom import views
from wecom.corps import CALLBACK_PATH

urlpatterns = [path(f"{CALLBACK_PATH}<uuid:endpoint_id>/", views.callback, name="wecom-callback")]
