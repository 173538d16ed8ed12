"""What the queue knows of one person: shown to them, or forgotten."""

from typing import Any

from contacts.personal_data.erasure import Person
from webhooks.models import WebhookDelivery

TOLD = ("id", "event_id", "event_type", "occurred_at", "props", "status", "queued_at", "finished_at")


def forget(person: Person) -> int:
    """Delete what was or is to be told about a person. Scoped. How many rows."""
    return WebhookDelivery.objects.filter(contact_id__in=person.ids).delete()[0]


def told(contact_ids: list[int]) -> list[dict[str, Any]]:
    """What was or is to be told about these contacts. Scoped."""
    rows = WebhookDelivery.objects.filter(contact_id__in=contact_ids).order_by("pk")
    return [dict(row) for row in rows.values(*TOLD)]
