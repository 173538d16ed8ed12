"""The log's REST API, mounted at /api/v1/."""

from django.urls import path

from events import api, api_imports, api_types

urlpatterns = [
    path("events", api.Events.as_view(), name="events"),
    path("event-types", api_types.EventTypes.as_view(), name="event-types"),
    path("imports", api_imports.Imports.as_view(), name="imports"),
    path("imports/<int:import_id>", api_imports.OneImport.as_view(), name="import"),
    path("imports/<int:import_id>/start", api_imports.StartImport.as_view(), name="import-start"),
    path("imports/<int:import_id>/errors", api_imports.ImportErrors.as_view(), name="import-errors"),
]
