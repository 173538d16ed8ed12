"""/api/v1/tags and /api/v1/segments."""

from datetime import timedelta
from typing import Any, ClassVar

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from scrm.lib.errors import FieldError, Invalid, found
from tagging import bulk, tags
from tagging.language import catalogue, params, references
from tagging.language.conditions import Names
from tagging.models import Segment, Tag
from tagging.segments import segments, templates_ready
from tagging.segments.explain import explain
from tenants.api import BrandAPIView
from tenants.scope import brand_scope

PAGING = [
    OpenApiParameter("cursor", str, description="next_cursor of the page before"),
    OpenApiParameter("limit", int, description="1–200, default 50"),
]
KEY = OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER, required=True)
TREE = {
    "all": [
        {"kind": "event_recency", "event": "sign_in", "op": "not_within", "days": 30},
        {"any": [{"kind": "tag", "tag": "兴趣·婴童"}, {"kind": "lifecycle", "stage": "silent"}]},
    ]
}


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


class SegmentIn(serializers.Serializer):
    """A segment's name and condition tree."""

    name = serializers.CharField(max_length=60)
    tree = serializers.JSONField(help_text="a leaf {kind, …} or a group {all|any|none: […]}; see /segments/catalogue")


class TreeIn(serializers.Serializer):
    """A condition tree."""

    tree = serializers.JSONField()


class SegmentOut(serializers.Serializer):
    """A segment."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    tree = serializers.JSONField()
    sentence = serializers.CharField(help_text="the tree in words, in the language asked for")
    version = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    archived_at = serializers.DateTimeField(allow_null=True)


class SegmentPage(serializers.Serializer):
    """A page of segments."""

    items = SegmentOut(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class CountOut(serializers.Serializer):
    """How many contacts there are now."""

    count = serializers.IntegerField()
    sentence = serializers.CharField()
    at = serializers.DateTimeField()


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


class Segments(BrandAPIView):
    """The brand's segments."""

    scopes: ClassVar[dict[str, str]] = {"GET": "segments:read", "POST": "segments:write"}

    @extend_schema(
        operation_id="segments_list", summary="人群列表", tags=["segments"], parameters=PAGING, responses=SegmentPage
    )
    def get(self, request: Request) -> Response:
        """The brand's segments in order of their making, without archived ones."""
        with brand_scope(self.brand_id):
            response = self.page(Segment.objects.filter(archived_at=None), key="id", out=_plain)
            names = Names(references.names_of({"any": [item["tree"] for item in response.data["items"]]}))
            for item in response.data["items"]:
                item["sentence"] = segments.sentence(item["tree"], names=names)
        return response

    @extend_schema(
        summary="新建人群",
        tags=["segments"],
        parameters=[KEY],
        request=SegmentIn,
        responses={201: SegmentOut},
        examples=[OpenApiExample("沉默或有兴趣", value={"name": "沉默·婴童", "tree": TREE}, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        """Make a segment. A wrong tree is refused: each place (`tree.all[1].event`), what is wrong and the remedy."""
        data = self.validated(SegmentIn)

        def act() -> tuple[int, dict[str, Any]]:
            return 201, _segment(segments.save(actor=self.caller.actor, at=timezone.now(), **data))

        return self.idempotent(act)


class OneSegment(BrandAPIView):
    """One segment."""

    scopes: ClassVar[dict[str, str]] = {"GET": "segments:read", "PUT": "segments:write", "DELETE": "segments:write"}

    @extend_schema(summary="查看人群", tags=["segments"], responses=SegmentOut)
    def get(self, request: Request, segment_id: int) -> Response:
        """One segment, archived or not."""
        with brand_scope(self.brand_id):
            return Response(_segment(found(Segment.objects.filter(pk=segment_id))))

    @extend_schema(summary="修改人群", tags=["segments"], request=SegmentIn, responses=SegmentOut)
    def put(self, request: Request, segment_id: int) -> Response:
        """Change a segment's name and tree. Its version rises when the tree changes; pushes keep what they planned.

        409 `tagging.name_taken` while another segment has the name."""
        data = self.validated(SegmentIn)
        with brand_scope(self.brand_id):
            made = segments.save(segment_id=segment_id, actor=self.caller.actor, at=timezone.now(), **data)
            return Response(_segment(made))

    @extend_schema(summary="归档人群", tags=["segments"], request=None, responses=SegmentOut)
    def delete(self, request: Request, segment_id: int) -> Response:
        """Put a segment away. It leaves the list; what used it keeps its snapshot."""
        with brand_scope(self.brand_id):
            return Response(
                _segment(segments.archive(segment_id=segment_id, actor=self.caller.actor, at=timezone.now()))
            )


class CountSegment(BrandAPIView):
    """How many a tree selects."""

    scope: ClassVar[str] = "segments:read"

    @extend_schema(
        summary="计算人数",
        tags=["segments"],
        request=TreeIn,
        responses=CountOut,
        examples=[OpenApiExample("沉默或有兴趣", value={"tree": TREE}, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        """The exact number of contacts who satisfy a tree now. Nothing is saved."""
        tree, at = self.validated(TreeIn)["tree"], timezone.now()
        with brand_scope(self.brand_id):
            segments.check(tree)
            return Response({"count": segments.count(tree, at), "sentence": segments.sentence(tree), "at": at})


class ExplainSegment(BrandAPIView):
    """Why a contact is in a segment, or is not."""

    scope: ClassVar[str] = "segments:read"

    @extend_schema(
        summary="解释某位客户",
        tags=["segments"],
        parameters=[
            OpenApiParameter("contact", int, required=True, description="the contact's id; contact_id means the same"),
            OpenApiParameter(
                "at", OpenApiTypes.DATETIME, description="a past moment: by what was known then; default now"
            ),
        ],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request, segment_id: int) -> Response:
        """The tree with each node's verdict: {path, kind, held, sentence, next_flip_at, children} of groups, and of
        leaves `actual` (the value, or counts with times and event ids as evidence), `actual_text`, and `note`: of a
        past moment, why the leaf has no history and was judged by the present. `next_flip_at` is when time alone can
        change it next. 422 `tagging.not_yet_known` for a moment before the contact came."""
        query = request.query_params
        contact_id = _number(query.get("contact") or query.get("contact_id"))
        now, moment = timezone.now(), query.get("at")
        at = params.moment(moment) if moment else now
        if at is None or at > now + timedelta(minutes=1):
            remedy = _("例如 2026-11-01T00:00:00+08:00；不能晚于现在。")
            raise _bad("at", _("at 要是带时区的 ISO 8601 时间。"), remedy)
        with brand_scope(self.brand_id):
            segment = found(Segment.objects.filter(pk=segment_id))
            verdict = explain(segment.tree, contact_id, at, known_at=at if moment else None)
            body = {"segment_id": segment.pk, "version": segment.version, "contact_id": contact_id, "at": at}
            body |= {"held": verdict.held, "next_flip_at": verdict.next_flip_at, "notes": verdict.notes()}
            return Response({**body, "tree": verdict.as_json()})


class Templates(BrandAPIView):
    """Ready-made questions."""

    scope: ClassVar[str] = "segments:read"

    @extend_schema(summary="人群模板", tags=["segments"], responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """Ready-made segments: {items: [{key, name, aim, params, tree}]}, the tree with the usual numbers. POST for
        other numbers, then make a segment of the tree."""
        return Response({"items": templates_ready.describe()})

    @extend_schema(
        summary="按模板生成条件", tags=["segments"], request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT
    )
    def post(self, request: Request) -> Response:
        """{key: "silent", params: {days: 60}} → {key, tree, sentence}. Nothing is saved."""
        if not isinstance(request.data, dict):
            raise _bad("key", _("请求体应是一个对象。"), _('例如 {"key": "silent"}。'))
        key, said = str(request.data.get("key") or ""), request.data.get("params")
        if said is not None and not isinstance(said, dict):
            raise _bad("params", _("params 要是一个对象。"), _('例如 {"days": 60}。'))
        tree = templates_ready.tree_of(key, said)
        with brand_scope(self.brand_id):
            return Response({"key": key, "tree": tree, "sentence": segments.sentence(tree)})


class Catalogue(BrandAPIView):
    """What a tree may ask."""

    scope: ClassVar[str] = "segments:read"

    @extend_schema(summary="条件目录", tags=["segments"], responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """Kinds of conditions with their fields, operators, value types and choices, and the event types."""
        with brand_scope(self.brand_id):
            return Response(catalogue.describe())


def _tag(tag: Tag) -> dict[str, Any]:
    return {"id": tag.pk, "name": tag.name, "group": tag.group, "created_at": tag.created_at}


def _segment(segment: Segment) -> dict[str, Any]:
    return {**_plain(segment), "sentence": segments.sentence(segment.tree)}


def _plain(segment: Segment) -> dict[str, Any]:
    return {
        "id": segment.pk,
        "name": segment.name,
        "tree": segment.tree,
        "version": segment.version,
        "created_at": segment.created_at,
        "updated_at": segment.updated_at,
        "archived_at": segment.archived_at,
    }


def _number(text: str | None) -> int:
    if not text or not text.isascii() or not text.isdigit() or int(text) > params.MAX_ID:
        raise _bad("contact", _("contact 要是客户的 id。"), _("例如 ?contact=7。"))
    return int(text)


def _bad(field: str, message: str, remedy: str) -> Invalid:
    return Invalid(_("有字段不正确。"), errors=[FieldError(field, "tagging.wrong_type", message, remedy)])
