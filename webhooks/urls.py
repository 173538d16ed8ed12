"""Mounted at /api/v1/."""

from django.urls import path

from webhooks import api

urlpatterns = [
    path("webhooks", api.Webhooks.as_view(), name="webhooks"),
    path("webhooks/<int:webhook_id>", api.OneWebhook.as_view(), name="webhook"),
    path("webhooks/<int:webhook_id>/secret", api.Secret.as_view(), name="webhook-secret"),
    path("webhooks/<int:webhook_id>/deliveries", api.Deliveries.as_view(), name="webhook-deliveries"),
    path("webhooks/<int:webhook_id>/replay", api.Replay.as_view(), name="webhook-replay"),
]
