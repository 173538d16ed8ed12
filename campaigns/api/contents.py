"""Contents by REST."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns.api.asked import PAGE, READ_WRITE
from campaigns.contents import contents, media_use
from campaigns.models import Channel, Content
from scrm.lib.errors import found
from tenants.api import IDEMPOTENCY_KEY, BrandAPIView
from tenants.scope import brand_scope


class ContentIn(serializers.Serializer):
    """What is said. WeCom's limits are checked: 4,000 bytes of text (Moments: 2,000 characters), 9 attachments."""

    name = serializers.CharField(max_length=200)
    channel = serializers.CharField(default=Channel.SINGLE, help_text="single, group or moments")
    text = serializers.CharField(default="", allow_blank=True, trim_whitespace=False)
    attachments = serializers.ListField(
        child=serializers.DictField(),
        default=list,
        help_text="WeCom's own attachment objects; `media` (the id of a kept file) takes the place of a media_id, "
        "pic_media_id, pic_url or picurl",
    )


class ContentOut(serializers.Serializer):
    """A content."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    channel = serializers.CharField()
    text = serializers.CharField()
    text_bytes = serializers.IntegerField(help_text="as WeCom counts them")
    attachments = serializers.ListField(child=serializers.DictField())
    media_ends_at = serializers.DateTimeField(
        allow_null=True,
        help_text="when WeCom forgets the first media_id that the attachments name themselves, at the latest; "
        "kept files do not end",
    )
    created_at = serializers.DateTimeField()


class ContentPage(serializers.Serializer):
    """A page of contents."""

    items = ContentOut(many=True)
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


def _content(row: Content) -> dict[str, Any]:
    return {
        **{name: getattr(row, name) for name in ("id", "name", "channel", "text", "attachments", "created_at")},
        "text_bytes": contents.text_bytes(row.text),
        "media_ends_at": media_use.media_ends(row),
    }
