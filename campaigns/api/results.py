"""What a push would do, and what became of it, by REST."""

from dataclasses import asdict
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns.api.asked import PAGE, chosen
from campaigns.models import Channel, Delivery, DeliveryStatus, GroupDelivery, Push
from campaigns.planning import forecast
from campaigns.reasons import Reason
from scrm.lib.errors import found
from tenants.api import BrandAPIView
from tenants.scope import brand_scope


class VariantCountOut(serializers.Serializer):
    """How many would get a variant."""

    variant_id = serializers.IntegerField()
    name = serializers.CharField()
    content = serializers.CharField()
    planned = serializers.IntegerField()


class GuideLoadOut(serializers.Serializer):
    """How many recipients a guide would write to."""

    staff_id = serializers.IntegerField()
    name = serializers.CharField()
    count = serializers.IntegerField()


class LoadsOut(serializers.Serializer):
    """The guides' work."""

    count = serializers.IntegerField(help_text="guides")
    max = serializers.IntegerField(help_text="the most any guide has")
    heaviest = GuideLoadOut(many=True)


class SampleOut(serializers.Serializer):
    """One recipient at random."""

    key = serializers.IntegerField(help_text="contact id; for a group push: group chat id")
    name = serializers.CharField()
    variant_id = serializers.IntegerField()
    text = serializers.CharField()
    staff_id = serializers.IntegerField()
    guide = serializers.CharField()


class ForecastOut(serializers.Serializer):
    """What planning now would do: selected = planned + holdout + the sum of suppressed."""

    selected = serializers.IntegerField()
    reachable = serializers.IntegerField(help_text="have a guide who could write to them")
    planned = serializers.IntegerField()
    holdout = serializers.IntegerField()
    suppressed = serializers.DictField(child=serializers.IntegerField(), help_text="reason → count")
    per_variant = VariantCountOut(many=True)
    per_guide = LoadsOut()
    batches = serializers.IntegerField()
    mark_tag_calls = serializers.IntegerField(help_text="Moments only")
    minutes = serializers.IntegerField(help_text="that these calls take at WeCom's rate")
    sample = SampleOut(many=True)


class DeliveryOut(serializers.Serializer):
    """What became of one contact (`contact_id`) or group chat (`chat_id`)."""

    contact_id = serializers.IntegerField(required=False)
    chat_id = serializers.IntegerField(required=False)
    variant_id = serializers.IntegerField(allow_null=True)
    staff_id = serializers.IntegerField(allow_null=True)
    status = serializers.CharField(help_text=", ".join(DeliveryStatus.values))
    reason = serializers.CharField(help_text="why it was not sent; see the codes of campaigns.reasons")
    delivered_at = serializers.DateTimeField(allow_null=True)


class DeliveryPage(serializers.Serializer):
    """A page of deliveries, by contact (or chat) id."""

    items = DeliveryOut(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class DryRun(BrandAPIView):
    """The dry run of a push."""

    scope = "pushes:read"

    @extend_schema(operation_id="pushes_dry_run", request=None, responses=ForecastOut)
    def post(self, request: Request, push_id: int) -> Response:
        """What would happen if the push were planned now: who, from whom, who not and why. Writes and sends nothing."""
        with brand_scope(self.brand_id):
            return Response(asdict(forecast.dry_run(push_id=push_id, at=timezone.now())))


class Deliveries(BrandAPIView):
    """What became of each recipient."""

    scope = "pushes:read"

    @extend_schema(
        operation_id="pushes_deliveries",
        parameters=[
            *PAGE,
            OpenApiParameter("status", str, enum=DeliveryStatus.values),
            OpenApiParameter("reason", str),
        ],
        responses=DeliveryPage,
    )
    def get(self, request: Request, push_id: int) -> Response:
        """The push's deliveries, those left out included, each with its reason. Filter by status and reason."""
        choices = {"status": DeliveryStatus.values, "reason": Reason.values}
        wanted = {name: value for name, known in choices.items() if (value := chosen(request, name, known))}
        with brand_scope(self.brand_id):
            push = found(Push.objects.filter(pk=push_id))
            if push.channel == Channel.GROUP:
                groups = GroupDelivery.objects.filter(push=push, **wanted)
                return self.page(groups, key="chat_id", out=lambda row: _delivery(row, "chat_id"))
            rows = Delivery.objects.filter(push=push, **wanted)
            return self.page(rows, key="contact_id", out=lambda row: _delivery(row, "contact_id"))


def _delivery(row: Delivery | GroupDelivery, key: str) -> dict[str, Any]:
    names = (key, "variant_id", "staff_id", "status", "reason", "delivered_at")
    return {name: getattr(row, name) for name in names}
