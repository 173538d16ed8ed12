"""Outreach by REST: contents, pushes, their dry run and their deliveries."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns import content as contents
from campaigns import forecast, pushes, tally
from campaigns.models import Channel, Content, Delivery, DeliveryStatus, GroupDelivery, Push, Variant
from campaigns.reasons import Reason
from scrm.lib.errors import FieldError, Invalid, found
from tenants.api import IDEMPOTENCY_KEY, BrandAPIView
from tenants.scope import brand_scope

READ_WRITE = {"GET": "pushes:read", "POST": "pushes:write", "PUT": "pushes:write"}
PAGE = [OpenApiParameter("cursor", str), OpenApiParameter("limit", int, description="1–200, 50 unless given")]


class ContentIn(serializers.Serializer):
    """What is said. WeCom's limits are checked: 4,000 bytes of text (Moments: 2,000 characters), 9 attachments."""

    name = serializers.CharField(max_length=200)
    channel = serializers.CharField(default=Channel.SINGLE, help_text="single, group or moments")
    text = serializers.CharField(default="", allow_blank=True, trim_whitespace=False)
    attachments = serializers.ListField(
        child=serializers.DictField(), default=list, help_text="WeCom's own attachment objects"
    )


class ContentOut(serializers.Serializer):
    """A content."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    channel = serializers.CharField()
    text = serializers.CharField()
    text_bytes = serializers.IntegerField(help_text="as WeCom counts them")
    attachments = serializers.ListField(child=serializers.DictField())
    created_at = serializers.DateTimeField()


class ContentPage(serializers.Serializer):
    """A page of contents."""

    items = ContentOut(many=True)
    next_cursor = serializers.CharField(allow_null=True)


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


class Contents(BrandAPIView):
    """The brand's contents."""

    scopes = READ_WRITE

    @extend_schema(operation_id="contents_list", parameters=PAGE, responses=ContentPage)
    def get(self, request: Request) -> Response:
        """List contents, oldest first."""
        with brand_scope(self.brand_id):
            return self.page(Content.objects.all(), key="id", out=_content)

    @extend_schema(
        operation_id="contents_create", parameters=[IDEMPOTENCY_KEY], request=ContentIn, responses={201: ContentOut}
    )
    def post(self, request: Request) -> Response:
        """Save a content. 422 names each field that WeCom would refuse. Once per Idempotency-Key."""
        data = self.validated(ContentIn)
        return self.idempotent(
            lambda: (201, _content(contents.save(**data, actor=self.caller.actor, at=timezone.now())))
        )


class OneContent(BrandAPIView):
    """One content."""

    scopes = READ_WRITE

    @extend_schema(operation_id="contents_read", responses=ContentOut)
    def get(self, request: Request, content_id: int) -> Response:
        """Read a content."""
        with brand_scope(self.brand_id):
            return Response(_content(found(Content.objects.filter(pk=content_id))))

    @extend_schema(operation_id="contents_replace", request=ContentIn, responses=ContentOut)
    def put(self, request: Request, content_id: int) -> Response:
        """Replace a content. 409 while a push that is on its way uses it."""
        data = self.validated(ContentIn)
        with brand_scope(self.brand_id):
            said = contents.save(**data, content_id=content_id, actor=self.caller.actor, at=timezone.now())
            return Response(_content(said))


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
            if wanted := _chosen(request, "status", Push.Status.values):
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


class DryRun(BrandAPIView):
    """The dry run of a push."""

    scope = "pushes:read"

    @extend_schema(operation_id="pushes_dry_run", request=None, responses=ForecastOut)
    def post(self, request: Request, push_id: int) -> Response:
        """What would happen if the push were planned now: who, from whom, who not and why. Writes and sends nothing."""
        with brand_scope(self.brand_id):
            return Response(asdict(forecast.dry_run(push_id=push_id, at=timezone.now())))


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
        wanted = {name: value for name, known in choices.items() if (value := _chosen(request, name, known))}
        with brand_scope(self.brand_id):
            push = found(Push.objects.filter(pk=push_id))
            if push.channel == Channel.GROUP:
                groups = GroupDelivery.objects.filter(push=push, **wanted)
                return self.page(groups, key="chat_id", out=lambda row: _delivery(row, "chat_id"))
            rows = Delivery.objects.filter(push=push, **wanted)
            return self.page(rows, key="contact_id", out=lambda row: _delivery(row, "contact_id"))


def _chosen(request: Request, name: str, known: Sequence[str]) -> str:
    """A filter's value; empty when it is not used. Raises Invalid for one that does not exist."""
    value = str(request.query_params.get(name, ""))
    if value and value not in known:
        wrong = FieldError(name, "choice.unknown", _("没有这个值。"), _("可选：%s。") % "、".join(known))
        raise Invalid(_("有字段不正确。"), errors=[wrong])
    return value


def _draft(data: Mapping[str, Any]) -> pushes.Draft:
    return pushes.Draft(**{**data, "variants": [pushes.VariantDraft(**each) for each in data["variants"]]})


def _content(row: Content) -> dict[str, Any]:
    return {
        **{name: getattr(row, name) for name in ("id", "name", "channel", "text", "attachments", "created_at")},
        "text_bytes": contents.text_bytes(row.text),
    }


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


def _delivery(row: Delivery | GroupDelivery, key: str) -> dict[str, Any]:
    names = (key, "variant_id", "staff_id", "status", "reason", "delivered_at")
    return {name: getattr(row, name) for name in names}
