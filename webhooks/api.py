"""A brand's webhooks by REST: set up, look at what was told, tell it once more."""

from datetime import UTC
from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from scrm.lib.errors import found
from tenants.api import IDEMPOTENCY_KEY, BrandAPIView
from tenants.scope import brand_scope
from webhooks import endpoints, queue
from webhooks.models import Webhook, WebhookDelivery

SCOPES = {method: f"webhooks:{'read' if method == 'GET' else 'write'}" for method in ("GET", "POST", "PUT", "DELETE")}


class WebhookIn(serializers.Serializer):
    """A webhook as its maker sees it."""

    name = serializers.CharField(max_length=60)
    url = serializers.CharField(max_length=500, help_text="https://…")
    types = serializers.ListField(
        child=serializers.CharField(max_length=60), max_length=200, help_text="event types: tag_given, segment_entered…"
    )
    enabled = serializers.BooleanField(default=True)


class WebhookOut(serializers.ModelSerializer):
    """A webhook and how it is."""

    class Meta:
        model = Webhook
        fields = ["id", "name", "url", "types", "enabled", "failures", "rests_until", "succeeded_at", "trouble"]

    rests_until = serializers.DateTimeField(default_timezone=UTC, allow_null=True, help_text="no call before")
    succeeded_at = serializers.DateTimeField(default_timezone=UTC, allow_null=True)


class WebhookPage(serializers.Serializer):
    """Webhooks."""

    items = WebhookOut(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class SecretOut(serializers.Serializer):
    """Shown this once."""

    secret = serializers.CharField(help_text="whsec_…, as libraries of Standard Webhooks take it")


class WebhookDeliveryOut(serializers.ModelSerializer):
    """One event for the webhook and what came of it."""

    class Meta:
        model = WebhookDelivery
        fields = [
            *("id", "event_id", "event_type", "contact_id", "occurred_at", "status", "attempts", "queued_at"),
            *("due_at", "finished_at", "outcome", "answer_status", "answer"),
        ]

    occurred_at = serializers.DateTimeField(default_timezone=UTC)
    queued_at = serializers.DateTimeField(default_timezone=UTC)
    due_at = serializers.DateTimeField(default_timezone=UTC, help_text="next attempt, while pending")
    finished_at = serializers.DateTimeField(default_timezone=UTC, allow_null=True)


class WebhookDeliveryPage(serializers.Serializer):
    """Deliveries."""

    items = WebhookDeliveryOut(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class ReplayIn(serializers.Serializer):
    """What to tell once more: deliveries by id, or all that happened in a time, or (empty) what has failed."""

    deliveries = serializers.ListField(child=serializers.IntegerField(min_value=1), required=False, max_length=1000)
    start = serializers.DateTimeField(required=False)
    end = serializers.DateTimeField(required=False, help_text="exclusive; now if absent")


class ReplayOut(serializers.Serializer):
    """How much was queued."""

    queued = serializers.IntegerField()


class Webhooks(BrandAPIView):
    """All webhooks."""

    scopes: ClassVar[dict[str, str]] = SCOPES

    @extend_schema(
        operation_id="webhooks_list",
        summary="推送地址列表",
        tags=["webhooks"],
        parameters=[OpenApiParameter("cursor", str), OpenApiParameter("limit", int)],
        responses=WebhookPage,
    )
    def get(self, request: Request) -> Response:
        """The brand's webhooks in order of their making."""
        with brand_scope(self.brand_id):
            return self.page(Webhook.objects.all(), key="id", out=lambda row: WebhookOut(row).data)

    @extend_schema(
        summary="新建推送地址",
        tags=["webhooks"],
        parameters=[IDEMPOTENCY_KEY],
        request=WebhookIn,
        responses={201: WebhookOut},
    )
    def post(self, request: Request) -> Response:
        """Make a webhook: it is told what is received from now on. Fetch its signing secret by `POST …/secret`."""
        data = self.validated(WebhookIn)
        data.pop("enabled")

        def act() -> tuple[int, dict[str, Any]]:
            made = endpoints.make(actor=self.caller.actor, at=timezone.now(), **data)
            return 201, WebhookOut(made.webhook).data

        return self.idempotent(act)


class OneWebhook(BrandAPIView):
    """One webhook."""

    scopes: ClassVar[dict[str, str]] = SCOPES

    @extend_schema(summary="查看推送地址", tags=["webhooks"], responses=WebhookOut)
    def get(self, request: Request, webhook_id: int) -> Response:
        """One webhook and how it is: failures in a row, until when it rests."""
        with brand_scope(self.brand_id):
            return Response(WebhookOut(found(Webhook.objects.filter(pk=webhook_id))).data)

    @extend_schema(summary="修改推送地址", tags=["webhooks"], request=WebhookIn, responses=WebhookOut)
    def put(self, request: Request, webhook_id: int) -> Response:
        """Change it, or switch it on and off. What happened while it was off is told by a replay only."""
        data = self.validated(WebhookIn)
        with brand_scope(self.brand_id):
            webhook = endpoints.change(webhook_id=webhook_id, actor=self.caller.actor, at=timezone.now(), **data)
            return Response(WebhookOut(webhook).data)

    @extend_schema(summary="删除推送地址", tags=["webhooks"], request=None, responses={204: None})
    def delete(self, request: Request, webhook_id: int) -> Response:
        """Delete it with all that waits for it."""
        with brand_scope(self.brand_id):
            endpoints.remove(webhook_id=webhook_id, actor=self.caller.actor, at=timezone.now())
        return Response(status=204)


class Secret(BrandAPIView):
    """The signing secret."""

    scope: ClassVar[str] = "webhooks:write"

    @extend_schema(summary="更换签名密钥", tags=["webhooks"], request=None, responses=SecretOut)
    def post(self, request: Request, webhook_id: int) -> Response:
        """A new secret, shown this once. For 24 hours calls are signed with both, the new one first."""
        with brand_scope(self.brand_id):
            made = endpoints.new_secret(webhook_id=webhook_id, actor=self.caller.actor, at=timezone.now())
        return Response({"secret": made.secret}, headers={"Cache-Control": "no-store"})


class Deliveries(BrandAPIView):
    """What was told."""

    scope: ClassVar[str] = "webhooks:read"

    @extend_schema(
        summary="推送记录",
        tags=["webhooks"],
        parameters=[OpenApiParameter("cursor", str), OpenApiParameter("limit", int)],
        responses=WebhookDeliveryPage,
    )
    def get(self, request: Request, webhook_id: int) -> Response:
        """Deliveries of the last 14 days, the latest queued first."""
        with brand_scope(self.brand_id):
            webhook = found(Webhook.objects.filter(pk=webhook_id))
            rows = WebhookDelivery.objects.filter(webhook=webhook)
            return self.page(rows, key="id", latest="queued_at", out=lambda row: WebhookDeliveryOut(row).data)


class Replay(BrandAPIView):
    """Once more."""

    scope: ClassVar[str] = "webhooks:write"

    @extend_schema(summary="重放", tags=["webhooks"], request=ReplayIn, responses=ReplayOut)
    def post(self, request: Request, webhook_id: int) -> Response:
        """Queue once more: the deliveries named, or the events of [start, end) in order of time, or all that failed.

        Receivers know an event again by `webhook-id`. At most 50,000 events at a time."""
        data, at = self.validated(ReplayIn), timezone.now()
        with brand_scope(self.brand_id):
            webhook = found(Webhook.objects.filter(pk=webhook_id))
            common: dict[str, Any] = {"webhook": webhook, "actor": self.caller.actor, "at": at}
            if "start" in data:
                queued = queue.replay_between(start=data["start"], end=data.get("end") or at, **common)
            elif "deliveries" in data:
                queued = queue.replay(delivery_ids=data["deliveries"], **common)
            else:
                queued = queue.replay_failed(**common)
        return Response({"queued": queued})
