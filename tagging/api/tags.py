"""/api/v1/tags: making them, giving and taking them; groups of tags that exclude each other."""

from collections.abc import Sequence
from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from contacts.oneid import identity
from scrm.lib import retries
from scrm.lib.errors import found
from tagging import bulk, groups, tags
from tagging.api.asked import KEY, PAGING
from tagging.models import ContactTag, Tag, TagGroup
from tenants.api import BrandAPIView
from tenants.scope import brand_scope


class TagIn(serializers.Serializer):
    """A new tag."""

    name = serializers.CharField(max_length=30)
    group = serializers.CharField(max_length=30, required=False, allow_blank=True, default="")


class RankIn(serializers.Serializer):
    """How strong a tag is."""

    rank = serializers.IntegerField(
        help_text="where the stronger tag of a group wins: 1 is the strongest, 1000 the last"
    )


class TagOut(serializers.Serializer):
    """A tag, and how many contacts have it now."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    group = serializers.CharField(allow_blank=True)
    rank = serializers.IntegerField(help_text="1 is the strongest; matters in a group of `exclusive: priority`")
    contacts = serializers.IntegerField(required=False, help_text="in lists: how many contacts have it now")
    created_at = serializers.DateTimeField()


class TagPage(serializers.Serializer):
    """A page of tags."""

    items = TagOut(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class TagGroupIn(serializers.Serializer):
    """Whether the tags of a group exclude each other."""

    name = serializers.CharField(max_length=30)
    exclusive = serializers.CharField(
        allow_blank=True, help_text='"" (no), latest (the latest one is kept) or priority (the one of the lowest rank)'
    )


class TagGroupOut(TagGroupIn):
    """A group and its tags."""

    tags = TagOut(many=True, help_text="by rank")


class TagGroupPage(serializers.Serializer):
    """A page of groups."""

    items = TagGroupOut(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class HadOut(serializers.Serializer):
    """A tag that a contact has."""

    tag = serializers.DictField(help_text="{id, name, group, rank}")
    source = serializers.CharField(  # type: ignore[assignment]
        help_text="manual, rule, api, wecom or import"
    )
    rule_id = serializers.IntegerField(allow_null=True)
    evidence = serializers.JSONField(help_text='of a rule: {"event_ids": the latest, "count": n, …}')
    given_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True, help_text="null: for good")


class HadPage(serializers.Serializer):
    """A page of a contact's tags."""

    items = HadOut(many=True)
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
            response = self.page(Tag.objects.all(), key="id", out=tag_out)
            having = bulk.holders([item["id"] for item in response.data["items"]], at=at)
        for item in response.data["items"]:
            item["contacts"] = having.get(item["id"], 0)
        return response

    @extend_schema(summary="新建标签", tags=["tags"], parameters=[KEY], request=TagIn, responses={201: TagOut})
    def post(self, request: Request) -> Response:
        """Make a tag. A second tag of the same name in the group is refused: 409 `tagging.tag_exists`."""
        data = self.validated(TagIn)

        def act() -> tuple[int, dict[str, Any]]:
            return 201, tag_out(tags.create(actor=self.caller.actor, at=timezone.now(), **data))

        return self.idempotent(act)


class OneTag(BrandAPIView):
    """One tag."""

    scopes: ClassVar[dict[str, str]] = {"GET": "tags:read", "PUT": "tags:write"}

    @extend_schema(summary="查看标签", tags=["tags"], responses=TagOut)
    def get(self, request: Request, tag_id: int) -> Response:
        """One tag, with how many contacts have it now."""
        with brand_scope(self.brand_id):
            tag = found(Tag.objects.filter(pk=tag_id))
            having = bulk.holders([tag.pk], at=timezone.now())
            return Response({**tag_out(tag), "contacts": having.get(tag.pk, 0)})

    @extend_schema(summary="设置标签优先级", tags=["tags"], request=RankIn, responses=TagOut)
    def put(self, request: Request, tag_id: int) -> Response:
        """Say how strong the tag is in a group where the stronger one wins. Contacts keep what they have until a tag
        of the group is given again."""
        data = self.validated(RankIn)
        with brand_scope(self.brand_id):
            return Response(tag_out(tags.set_rank(tag_id=tag_id, actor=self.caller.actor, at=timezone.now(), **data)))


class Groups(BrandAPIView):
    """Groups of tags."""

    scopes: ClassVar[dict[str, str]] = {"GET": "tags:read", "PUT": "tags:write"}

    @extend_schema(
        operation_id="tag_groups_list", summary="标签分组列表", tags=["tags"], parameters=PAGING, responses=TagGroupPage
    )
    def get(self, request: Request) -> Response:
        """The groups by name, each with its tags. Tags without a group are in none."""
        with brand_scope(self.brand_id):
            response = self.page(
                Tag.objects.exclude(group="").distinct("group"), key="group", out=lambda tag: tag.group
            )
            response.data["items"] = _groups(response.data["items"])
        return response

    @extend_schema(summary="设置分组互斥", tags=["tags"], request=TagGroupIn, responses=TagGroupOut)
    def put(self, request: Request) -> Response:
        """Say whether the group's tags exclude each other. Contacts who have several keep the winner; the others are
        taken by a run that begins now (`GET /tag-runs`), each as an event `tag_taken`. A group comes into being with
        its first tag."""
        data = self.validated(TagGroupIn)
        with brand_scope(self.brand_id):
            made = groups.set_group(actor=self.caller.actor, at=timezone.now(), **data)
            return Response(_groups([made.name])[0])


class ContactTags(BrandAPIView):
    """What tags a contact has, and why."""

    scope: ClassVar[str] = "tags:read"

    @extend_schema(
        operation_id="contact_tags", summary="客户的标签", tags=["tags"], parameters=PAGING, responses=HadPage
    )
    def get(self, request: Request, contact_id: int) -> Response:
        """The tags that a contact has now, each with who gave it, on what evidence and until when."""
        at = timezone.now()
        with brand_scope(self.brand_id):
            contact = identity.find({"id": contact_id})
            rows = ContactTag.objects.filter(contact=contact).exclude(expires_at__lte=at).select_related("tag")
            return self.page(rows, key="tag_id", out=_had)


class GiveTag(BrandAPIView):
    """Giving in bulk."""

    scope: ClassVar[str] = "tags:write"

    @extend_schema(summary="批量打标签", tags=["tags"], request=GiveIn, responses=BulkOut)
    def post(self, request: Request, tag_id: int) -> Response:
        """Give a tag to up to 500 contacts. Each item is done, unchanged (the contact had it; it may be prolonged) or
        refused with the reason; the good ones are kept. Repeating the call changes nothing."""
        data = self.validated(GiveIn)

        def act() -> dict[str, Any]:
            with brand_scope(self.brand_id):
                return bulk.give(tag_id=tag_id, actor=self.caller.actor, at=timezone.now(), **data)

        return Response(retries.until_done(act))


class TakeTag(BrandAPIView):
    """Taking in bulk."""

    scope: ClassVar[str] = "tags:write"

    @extend_schema(summary="批量移除标签", tags=["tags"], request=BulkIn, responses=BulkOut)
    def post(self, request: Request, tag_id: int) -> Response:
        """Take a tag from up to 500 contacts. Each item is done, unchanged (the contact did not have it) or refused
        with the reason. Repeating the call changes nothing."""
        data = self.validated(BulkIn)

        def act() -> dict[str, Any]:
            with brand_scope(self.brand_id):
                return bulk.take(tag_id=tag_id, actor=self.caller.actor, at=timezone.now(), **data)

        return Response(retries.until_done(act))


def tag_out(tag: Tag) -> dict[str, Any]:
    """A tag as callers read it."""
    return {"id": tag.pk, "name": tag.name, "group": tag.group, "rank": tag.rank, "created_at": tag.created_at}


def _groups(names: Sequence[str]) -> list[dict[str, Any]]:
    ways = dict(TagGroup.objects.filter(name__in=names).values_list("name", "exclusive"))
    members: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for tag in Tag.objects.filter(group__in=names).order_by("rank", "id"):
        members[tag.group].append(tag_out(tag))
    return [{"name": name, "exclusive": ways.get(name, ""), "tags": some} for name, some in members.items()]


def _had(row: ContactTag) -> dict[str, Any]:
    return {
        "tag": tag_out(row.tag),
        "source": row.source,
        "rule_id": row.rule_id,
        "evidence": row.evidence,
        "given_at": row.given_at,
        "expires_at": row.expires_at,
    }
