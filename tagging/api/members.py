"""/api/v1/segments: how they are kept up to date, who is in, who was and why."""

from dataclasses import asdict
from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from scrm.lib.errors import found
from tagging.api.asked import PAGING, ids
from tagging.models import Membership, Segment
from tagging.segments import memberships
from tenants.api import BrandAPIView
from tenants.scope import brand_scope


class ModeIn(serializers.Serializer):
    """How the segment is to be kept up to date."""

    mode = serializers.CharField(help_text="realtime, dynamic or static")


class StateOut(serializers.Serializer):
    """How a segment stands."""

    mode = serializers.CharField()
    members = serializers.IntegerField(help_text="in a dynamic or static segment; 0 for realtime")
    since = serializers.DateTimeField(allow_null=True, help_text="since when the members are complete")
    is_filling = serializers.BooleanField(help_text="the first look at everybody is still going on")
    share = serializers.FloatField(help_text="of the contacts, how many the first look has seen: 0 to 1")


class MemberOut(serializers.Serializer):
    """A member and the stay that is open."""

    contact_id = serializers.IntegerField()
    entered_at = serializers.DateTimeField()
    reason = serializers.JSONField(help_text='{"cause": event|row|time|fill|version|hand, "leaves": paths in the tree}')


class MemberPage(serializers.Serializer):
    """A page of members."""

    items = MemberOut(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class HandIn(serializers.Serializer):
    """Whom to put into a static segment, or take out."""

    add = ids(required=False, default=list, max_length=500)
    remove = ids(required=False, default=list, max_length=500)


class HandOut(serializers.Serializer):
    """How many came in and left."""

    entered = serializers.IntegerField()
    left = serializers.IntegerField()


class SegmentMode(BrandAPIView):
    """Realtime, dynamic or static."""

    scopes: ClassVar[dict[str, str]] = {"GET": "segments:read", "PUT": "segments:write"}

    @extend_schema(summary="更新方式和成员数", tags=["segments"], responses=StateOut)
    def get(self, request: Request, segment_id: int) -> Response:
        """How the segment is kept up to date, how many are in, and how far the first look at everybody is."""
        with brand_scope(self.brand_id):
            return Response(_state(found(Segment.objects.filter(pk=segment_id))))

    @extend_schema(summary="设置更新方式", tags=["segments"], request=ModeIn, responses=StateOut)
    def put(self, request: Request, segment_id: int) -> Response:
        """realtime: computed when used. dynamic: kept up to date as things happen and as time passes; entering and
        leaving are events (`segment_entered`, `segment_left`). static: taken once; setting it again takes it anew."""
        data, at = self.validated(ModeIn), timezone.now()
        with brand_scope(self.brand_id):
            made = memberships.set_mode(segment_id=segment_id, actor=self.caller.actor, at=at, **data)
            return Response(_state(made))


class SegmentMembers(BrandAPIView):
    """Who is in a dynamic or static segment."""

    scopes: ClassVar[dict[str, str]] = {"GET": "segments:read", "POST": "segments:write"}

    @extend_schema(
        operation_id="segments_members", summary="人群成员", tags=["segments"], parameters=PAGING, responses=MemberPage
    )
    def get(self, request: Request, segment_id: int) -> Response:
        """The members by contact id, each with when and why they came in. A realtime segment has none."""
        with brand_scope(self.brand_id):
            found(Segment.objects.filter(pk=segment_id))
            inside = Membership.objects.filter(segment=segment_id, left_at=None)
            return self.page(inside, key="contact_id", out=_member)

    @extend_schema(summary="人工增减成员", tags=["segments"], request=HandIn, responses=HandOut)
    def post(self, request: Request, segment_id: int) -> Response:
        """Put contacts into a static segment or take them out, up to 500 each. Repeating it changes nothing."""
        data, at, actor = self.validated(HandIn), timezone.now(), self.caller.actor
        with brand_scope(self.brand_id):
            entered = memberships.add(segment_id=segment_id, contact_ids=data["add"], actor=actor, at=at)
            left = memberships.remove(segment_id=segment_id, contact_ids=data["remove"], actor=actor, at=at)
        return Response({"entered": entered, "left": left})


class SegmentHistory(BrandAPIView):
    """Who came and went."""

    scope: ClassVar[str] = "segments:read"

    @extend_schema(
        summary="进出记录",
        tags=["segments"],
        parameters=[OpenApiParameter("contact_id", int, description="of this contact only")],
        responses=serializers.ListSerializer(child=serializers.JSONField()),
    )
    def get(self, request: Request, segment_id: int) -> Response:
        """The latest 100 stays: contact, when and why they came in, when and why they left. Reasons name the fewest
        conditions that had to turn, as paths in the tree of that version and in words."""
        who = request.query_params.get("contact_id", "")
        contact_id = int(who) if who.isascii() and who.isdigit() and len(who) < 19 else None
        with brand_scope(self.brand_id):
            found(Segment.objects.filter(pk=segment_id))
            stays = memberships.history(segment_id=segment_id, contact_id=contact_id, limit=100)
        return Response(
            [
                {
                    "contact_id": stay.contact_id,
                    "entered_at": stay.entered_at,
                    "entered": stay.entered,
                    "entered_reason": stay.entered_reason,
                    "left_at": stay.left_at,
                    "left": stay.left,
                    "left_reason": stay.left_reason,
                }
                for stay in stays
            ]
        )


def _state(segment: Segment) -> dict[str, Any]:
    return asdict(memberships.state(segment))


def _member(row: Membership) -> dict[str, Any]:
    return {"contact_id": row.contact_id, "entered_at": row.entered_at, "reason": row.entered_reason}
