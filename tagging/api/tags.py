"""/api/v1/tags: making them, giving and taking them; groups of tags that exclude each other."""

from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tagging import bulk, tags
from tagging.api.asked import KEY, PAGING
from tagging.models import Tag
from tenants.api import BrandAPIView
from tenants.scope import brand_scope


class TagIn(serializers.Serializer):
    """A new tag."""

    name = serializers.CharField(max_length=30)
    group = serializers.CharField(max_length=30, required=False, allow_blank=True, default="")


class TagOut(serializers.Serializer):
    """A tag, and how many contacts have it now."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    group = serializers.CharField(allow_blank=True)
    contacts = serializers.IntegerField(required=False, help_text="in lists: how many contacts have it now")
    created_at = serializers.DateTimeField()


class TagPage(serializers.Serializer):
    """A page of tags."""

    items = TagOut(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class BulkIn(serializers.Serializer):
    """Whom to give the tag to, or take it from. The items are checked one by one by `tagging.bulk`."""

    contacts = serializers.ListField(
        child=serializers.JSONField(),
        min_length=1,
        max_length=bulk.MAX_ITEMS,
        help_text='{"id": 7}, {"unionid": …}, {"external_userid": …, "corpid": …}, {"openid": …, "appid": …}, …',
    )


class GiveIn(BulkIn):
    """Giving, until when."""

    expires_at = serializers.DateTimeField(required=False, allow_null=True, default=None, help_text="empty: for good")


class BulkItem(serializers.Serializer):
    """What became of one item."""

    index = serializers.IntegerField(help_text="position in the request, from 0")
    status = serializers.CharField(help_text="done, unchanged or refused")
    contact_id = serializers.IntegerField(required=False)
    code = serializers.CharField(required=False)
    message = serializers.CharField(required=False)


class BulkOut(serializers.Serializer):
    """What became of the call."""

    done = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    refused = serializers.IntegerField()
    items = BulkItem(many=True)


class Tags(BrandAPIView):
    """The brand's tags."""

    scopes: ClassVar[dict[str, str]] = {"GET": "tags:read", "POST": "tags:write"}

    @extend_schema(operation_id="tags_list", summary="标签列表", tags=["tags"], parameters=PAGING, responses=TagPage)
    def get(self, request: Request) -> Response:
        """The brand's tags in order of their making, with how many contacts have each now."""
        at = timezone.now()
        with brand_scope(self.brand_id):
            response = self.page(Tag.objects.all(), key="id", out=_tag)
            having = bulk.holders([item["id"] for item in response.data["items"]], at=at)
        for item in response.data["items"]:
            item["contacts"] = having.get(item["id"], 0)
        return response

    @extend_schema(summary="新建标签", tags=["tags"], parameters=[KEY], request=TagIn, responses={201: TagOut})
    def post(self, request: Request) -> Response:
        """Make a tag. A second tag of the same name in the group is refused: 409 `tagging.tag_exists`."""
        data = self.validated(TagIn)

        def act() -> tuple[int, dict[str, Any]]:
            return 201, _tag(tags.create(actor=self.caller.actor, at=timezone.now(), **data))

        return self.idempotent(act)


class GiveTag(BrandAPIView):
    """Giving in bulk."""

    scope: ClassVar[str] = "tags:write"

    @extend_schema(summary="批量打标签", tags=["tags"], request=GiveIn, responses=BulkOut)
    def post(self, request: Request, tag_id: int) -> Response:
        """Give a tag to up to 500 contacts. Each item is done, unchanged (the contact had it; it may be prolonged) or
        refused with the reason; the good ones are kept. Repeating the call changes nothing."""
        data = self.validated(GiveIn)
        with brand_scope(self.brand_id):
            report = bulk.give(tag_id=tag_id, actor=self.caller.actor, at=timezone.now(), **data)
        return Response(report)


class TakeTag(BrandAPIView):
    """Taking in bulk."""

    scope: ClassVar[str] = "tags:write"

    @extend_schema(summary="批量移除标签", tags=["tags"], request=BulkIn, responses=BulkOut)
    def post(self, request: Request, tag_id: int) -> Response:
        """Take a tag from up to 500 contacts. Each item is done, unchanged (the contact did not have it) or refused
        with the reason. Repeating the call changes nothing."""
        data = self.validated(BulkIn)
        with brand_scope(self.brand_id):
            report = bulk.take(tag_id=tag_id, actor=self.caller.actor, at=timezone.now(), **data)
        return Response(report)


def _tag(tag: Tag) -> dict[str, Any]:
    return {"id": tag.pk, "name": tag.name, "group": tag.group, "created_at": tag.created_at}
