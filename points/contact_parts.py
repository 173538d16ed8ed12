"""What GET /contacts/{id} says of points and tier. More of the tier: /contacts/{id}/tier."""

from datetime import datetime
from typing import Any

from rest_framework import serializers

from contacts import parts
from contacts.models import Contact
from contacts.parts import Part
from points import ledger, tiers


class PointsPart(serializers.Serializer):
    """Points that can be used now, and the tier; `tier` is null without one."""

    balance = serializers.IntegerField()
    expiring = serializers.IntegerField(help_text="of these within 30 days")
    tier = serializers.CharField(allow_null=True, help_text="its code")


def _points(contact: Contact, at: datetime) -> dict[str, Any]:
    now, standing = ledger.statement(contact_id=contact.pk, at=at), tiers.of(contact_id=contact.pk, at=at)
    tier = standing.tier.code if standing and standing.tier else None
    return {"balance": now.balance, "expiring": now.expiring, "tier": tier}


def register_own() -> None:
    """Called when the app starts."""
    parts.register(Part("points", "points:read", lambda: PointsPart(allow_null=True), _points))
