"""POST /api/v1/events."""

from typing import ClassVar

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response

from events import ingest, spelling
from tenants.api import BrandAPIView

MAX_BYTES = 4 * 1024 * 1024


class TooLarge(APIException):
    """413: the body would be read into memory whole."""

    status_code = 413
    default_code = "events.too_large"


class IdentityIn(serializers.Serializer):
    """Whom the event is about, when the sender does not know our contact id."""

    type = serializers.ChoiceField(choices=list(spelling.IDENTITY_SPACE))
    value = serializers.CharField(max_length=ingest.MAX_IDENTITY)
    corpid = serializers.CharField(required=False, help_text="with external_userid")
    appid = serializers.CharField(required=False, help_text="with openid")


class EventIn(serializers.Serializer):
    """One event. These describe it for the documentation; `events.ingest` checks it (500 serializers are too slow)."""

    id = serializers.UUIDField()
    type = serializers.CharField(max_length=60, help_text="a type of the catalogue, or x_… of your own")
    occurred_at = serializers.DateTimeField(help_text="RFC 3339 with offset; part of the event's key")
    identity = IdentityIn(required=False)
    contact_id = serializers.IntegerField(required=False)
    props = serializers.DictField(required=False)


class BatchIn(serializers.Serializer):
    """Up to 500 events."""

    events = EventIn(many=True)
    sent_at = serializers.DateTimeField(required=False, help_text="the sender's clock when sending")


class ErrorOut(serializers.Serializer):
    """What is wrong with one field of one item."""

    field = serializers.CharField()
    code = serializers.CharField()
    message = serializers.CharField()
    remedy = serializers.CharField()


class ItemOut(serializers.Serializer):
    """What became of one item."""

    index = serializers.IntegerField(help_text="position in the request, from 0")
    id = serializers.CharField(allow_null=True)
    status = serializers.ChoiceField(choices=["accepted", "duplicate", "refused"])
    linked = serializers.BooleanField(required=False, help_text="false: the person is not known yet")
    errors = ErrorOut(many=True, required=False)  # type: ignore[assignment]


class ReportOut(serializers.Serializer):
    """What became of a batch."""

    accepted = serializers.IntegerField()
    duplicate = serializers.IntegerField()
    refused = serializers.IntegerField()
    items = ItemOut(many=True)


EXAMPLE = {
    "events": [
        {
            "id": "0b9c7f5e-3d1a-4a52-8f0e-6a1c2d3e4f50",
            "type": "product_view",
            "occurred_at": "2026-11-20T12:00:00+08:00",
            "identity": {"type": "unionid", "value": "oabc"},
            "props": {"product_id": "P100", "category": "巾帕", "dwell_seconds": 12},
        }
    ],
    "sent_at": "2026-11-20T12:00:01+08:00",
}


class Events(BrandAPIView):
    """The behaviour log's door for the brand's own systems."""

    scope: ClassVar[str] = "events:write"

    @extend_schema(
        summary="上报行为事件",
        tags=["events"],
        request=BatchIn,
        responses=ReportOut,
        examples=[OpenApiExample("浏览商品", value=EXAMPLE, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        """Up to 500 events per call. Each item is accepted, a duplicate, or refused with the reason; good items are
        kept whatever the others are, so the answer is 200 even when some were refused.

        An item is known by `id` and `occurred_at`: a retry that repeats both is a duplicate and changes nothing.
        Items more than 10 minutes ahead or older than 7 days are refused. An event of a person not known yet
        (`linked: false`) is kept, and counts once the person is. Amounts are whole fen, dwell times whole seconds."""
        if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_BYTES:
            raise TooLarge(_("请求体超过 4 MB，请分成多批上报。"))
        report = ingest.take(brand_id=self.brand_id, body=request.data, at=timezone.now())
        return Response(
            {
                "accepted": report.accepted,
                "duplicate": report.duplicate,
                "refused": report.refused,
                "items": report.items,
            }
        )
