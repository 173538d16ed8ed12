"""The log's REST API, mounted at /api/v1/."""

from django.urls import path

from events import api

urlpatterns = [path("events", api.Events.as_view(), name="events")]
