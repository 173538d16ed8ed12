"""Mounted at the root: the callback addresses of the corps."""

from django.urls import path

from wecom import views

urlpatterns = [path("callbacks/wecom/<uuid:endpoint_id>/", views.callback, name="wecom-callback")]
