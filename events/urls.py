"""The log's REST API, mounted at /api/v1/."""

from django.urls import path

from events import api, api_types

urlpatterns = [
    path("events", api.Events.as_view(), name="events"),
    path("event-types", api_types.EventTypes.as_view(), name="event-types"),
]
