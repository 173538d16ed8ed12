"""Pushes by REST: drafts, sending, recalling, cancelling."""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns.api.asked import PAGE, READ_WRITE, chosen
from campaigns.models import Channel, Push, Variant
from campaigns.planning import tally
from campaigns.pushes import pushes
from scrm.lib.errors import found
from tenants.api import IDEMPOTENCY_KEY, BrandAPIView
from tenants.scope import brand_scope


class VariantIn(serializers.Serializer):
    """Who meets the condition gets the content; the first match wins."""

    content_id = serializers.IntegerField()
    condition = serializers.DictField(
        required=False, default=None, allow_null=True, help_text="a condition tree; null: everybody"
    )
    name = serializers.CharField(required=False, default="", allow_blank=True, max_length=60)


class PushIn(serializers.Serializer):
    """A push, as a draft."""

    name = serializers.CharField(max_length=200)
    channel = serializers.CharField(default=Channel.SINGLE, help_text="single, group or moments")
    segment_id = serializers.IntegerField(required=False, default=None, allow_null=True, help_text="null: everybody")
    corp_id = serializers.IntegerField(required=False, default=None, allow_null=True, help_text="null: the only corp")
    variants = VariantIn(many=True)
    priority = serializers.IntegerField(default=50, help_text="0–100")
    holdout_percent = serializers.IntegerField(default=0, help_text="control group, 0–90 %")
    max_recipients = serializers.IntegerField(required=False, default=None, allow_null=True)
    scheduled_at = serializers.DateTimeField(required=False, default=None, allow_null=True)


class SendIn(serializers.Serializer):
    """When it should leave; at once, after the grace, unless given."""

    scheduled_at = serializers.DateTimeField(required=False, default=None, allow_null=True)


class VariantOut(serializers.Serializer):
    """A variant."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    content_id = serializers.IntegerField()
    condition = serializers.DictField(allow_null=True)


class PushBriefOut(serializers.Serializer):
    """A push in a list. `counts` is empty until it is planned."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    channel = serializers.CharField()
    status = serializers.CharField(help_text=", ".join(Push.Status.values))
    segment_id = serializers.IntegerField(allow_null=True)
    corp_id = serializers.IntegerField(allow_null=True)
    priority = serializers.IntegerField()
    holdout_percent = serializers.IntegerField()
    max_recipients = serializers.IntegerField(allow_null=True)
    scheduled_at = serializers.DateTimeField(allow_null=True)
    planned_at = serializers.DateTimeField(allow_null=True)
    done_at = serializers.DateTimeField(allow_null=True)
    counts = serializers.DictField(help_text="selected, reachable, planned, holdout, suppressed {reason: n}, batches")
    error = serializers.CharField()


class PushOut(PushBriefOut):
    """A push."""

    variants = VariantOut(many=True)


class PushPage(serializers.Serializer):
    """A page of pushes."""

    items = PushBriefOut(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class Pushes(BrandAPIView):
    """The brand's pushes."""

    scopes = READ_WRITE

    @extend_schema(
        operation_id="pushes_list",
        parameters=[*PAGE, OpenApiParameter("status", str, enum=Push.Status.values)],
        responses=PushPage,
    )
    def get(self, request: Request) -> Response:
        """List pushes, oldest first."""
        with brand_scope(self.brand_id):
            rows = Push.objects.all()
            if wanted := chosen(request, "status", Push.Status.values):
                rows = rows.filter(status=wanted)
            return self.page(rows, key="id", out=_brief)

    @extend_schema(operation_id="pushes_create", parameters=[IDEMPOTENCY_KEY], request=PushIn, responses={201: PushOut})
    def post(self, request: Request) -> Response:
        """Write a draft. 422 names each field (`variants.0.content_id`). Once per Idempotency-Key."""
        draft = _draft(self.validated(PushIn))
        return self.idempotent(
            lambda: (201, _push(pushes.create(draft=draft, actor=self.caller.actor, at=timezone.now())))
        )


class OnePush(BrandAPIView):
    """One push."""

    scopes = READ_WRITE

    @extend_schema(operation_id="pushes_read", responses=PushOut)
    def get(self, request: Request, push_id: int) -> Response:
        """Read a push with the figures of its plan."""
        with brand_scope(self.brand_id):
            return Response(_push(found(Push.objects.filter(pk=push_id))))

    @extend_schema(operation_id="pushes_replace", request=PushIn, responses=PushOut)
    def put(self, request: Request, push_id: int) -> Response:
        """Replace a draft. 409 once it has been sent."""
        draft = _draft(self.validated(PushIn))
        with brand_scope(self.brand_id):
            push = pushes.edit(push_id=push_id, draft=draft, actor=self.caller.actor, at=timezone.now())
            return Response(_push(push))


class Send(BrandAPIView):
    """Sending a push."""

    scope = "pushes:write"

    @extend_schema(
        operation_id="pushes_send",
        request=SendIn,
        responses={200: PushOut, 422: OpenApiResponse(description="campaigns.audience_empty, with the reasons")},
    )
    def post(self, request: Request, push_id: int) -> Response:
        """Schedule a draft. It leaves after 2 minutes of grace at the earliest, in which it can be recalled. 409 unless
        it is a draft."""
        data = self.validated(SendIn)
        with brand_scope(self.brand_id):
            return Response(_push(pushes.send(push_id=push_id, actor=self.caller.actor, at=timezone.now(), **data)))


class Recall(BrandAPIView):
    """Recalling a push."""

    scope = "pushes:write"

    @extend_schema(operation_id="pushes_recall", request=None, responses=PushOut)
    def post(self, request: Request, push_id: int) -> Response:
        """Make a scheduled push a draft again. 409 once its planning has begun."""
        with brand_scope(self.brand_id):
            return Response(_push(pushes.recall(push_id=push_id, actor=self.caller.actor, at=timezone.now())))


class Cancel(BrandAPIView):
    """Cancelling a push."""

    scope = "pushes:write"

    @extend_schema(operation_id="pushes_cancel", request=None, responses=PushOut)
    def post(self, request: Request, push_id: int) -> Response:
        """Stop a push: what no guide has confirmed yet is not sent. What was delivered stays delivered.

        409 once it is over."""
        with brand_scope(self.brand_id):
            return Response(_push(pushes.cancel(push_id=push_id, actor=self.caller.actor, at=timezone.now())))


def _draft(data: Mapping[str, Any]) -> pushes.Draft:
    return pushes.Draft(**{**data, "variants": [pushes.VariantDraft(**each) for each in data["variants"]]})


PUSH_FIELDS = ("id", "name", "channel", "status", "segment_id", "corp_id", "priority", "holdout_percent")
PUSH_TIMES = ("scheduled_at", "planned_at", "done_at")
FIGURES = ("selected", "reachable", "planned", "holdout", "suppressed", "batches")


def _brief(row: Push) -> dict[str, Any]:
    return {
        **{name: getattr(row, name) for name in (*PUSH_FIELDS, "max_recipients", *PUSH_TIMES)},
        "error": tally.trouble(row),
        "counts": {name: row.counts[name] for name in FIGURES if name in row.counts},
    }


def _push(row: Push) -> dict[str, Any]:
    variants = Variant.objects.filter(push=row).order_by("position")
    return {**_brief(row), "variants": list(variants.values("id", "name", "content_id", "condition"))}
