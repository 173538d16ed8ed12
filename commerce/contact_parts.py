"""What GET /contacts/{id} says of orders."""

from datetime import datetime
from typing import Any

from rest_framework import serializers

from commerce.models import Order
from commerce.orders import bought
from contacts import parts
from contacts.models import Contact
from contacts.parts import Part

SHOWN = ("order_no", "status", "amount_fen", "refunded_fen", "category", "product_id", "ordered_at", "paid_at")


class OrderPart(serializers.ModelSerializer):
    """One order as all reports of it add up."""

    class Meta:
        model = Order
        fields = SHOWN


class OrdersPart(serializers.Serializer):
    """What the contact bought."""

    paid = serializers.IntegerField(help_text="orders paid and neither cancelled nor refunded in full")
    net_fen = serializers.IntegerField(help_text="paid less refunded")
    latest = OrderPart(many=True, help_text="at most ten, the latest first")


def _orders(contact: Contact, _at: datetime) -> dict[str, Any]:
    found = bought(contact_id=contact.pk)
    latest = [{name: getattr(order, name) for name in SHOWN} for order in found.orders]
    return {"paid": found.paid, "net_fen": found.net_fen, "latest": latest}


def register_own() -> None:
    """Called when the app starts."""
    parts.register(Part("orders", "contacts:read", lambda: OrdersPart(allow_null=True), _orders))
