"""/api/v1/segments: making, changing, listing and archiving them."""

from collections.abc import Sequence
from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from scrm.lib.errors import found
from tagging.api.asked import KEY, PAGING, TREE
from tagging.language import readable, references
from tagging.language.conditions import Names
from tagging.models import Segment
from tagging.segments import memberships, segments
from tenants.api import BrandAPIView
from tenants.scope import brand_scope


class SegmentIn(serializers.Serializer):
    """A segment's name and condition tree."""

    name = serializers.CharField(max_length=60)
    tree = serializers.JSONField(help_text="a leaf {kind, …} or a group {all|any|none: […]}; see /segments/catalogue")


class SegmentOut(serializers.Serializer):
    """A segment."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    tree = serializers.JSONField()
    sentence = serializers.CharField(help_text="the tree in words, in the language asked for")
    version = serializers.IntegerField()
    mode = serializers.CharField(help_text="realtime, dynamic or static; PUT /segments/{id}/mode")
    members = serializers.IntegerField(help_text="who is in now; 0 for realtime, which is computed when used")
    filled_at = serializers.DateTimeField(allow_null=True, help_text="since when the members are complete")
    is_filling = serializers.BooleanField(help_text="the look at everybody is still going on")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    archived_at = serializers.DateTimeField(allow_null=True)


class SegmentPage(serializers.Serializer):
    """A page of segments."""

    items = SegmentOut(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class Segments(BrandAPIView):
    """The brand's segments."""

    scopes: ClassVar[dict[str, str]] = {"GET": "segments:read", "POST": "segments:write"}

    @extend_schema(
        operation_id="segments_list", summary="人群列表", tags=["segments"], parameters=PAGING, responses=SegmentPage
    )
    def get(self, request: Request) -> Response:
        """The brand's segments in order of their making, without archived ones."""
        with brand_scope(self.brand_id):
            response = self.page(Segment.objects.filter(archived_at=None), key="id", out=lambda segment: segment)
            response.data["items"] = _all(response.data["items"])
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


def _segment(segment: Segment) -> dict[str, Any]:
    return _all([segment])[0]


def _all(some: Sequence[Segment]) -> list[dict[str, Any]]:
    """Scoped; as many queries for a page as for one, but for segments that are being filled."""
    names = Names(references.names_of({"any": [segment.tree for segment in some]}))
    states = memberships.states(some)
    return [
        {
            "id": segment.pk,
            "name": segment.name,
            "tree": segment.tree,
            "sentence": readable.said(segment.tree, names=names),
            "version": segment.version,
            "mode": segment.mode,
            "members": states[segment.pk].members,
            "filled_at": states[segment.pk].since,
            "is_filling": states[segment.pk].is_filling,
            "created_at": segment.created_at,
            "updated_at": segment.updated_at,
            "archived_at": segment.archived_at,
        }
        for segment in some
    ]
