"""/api/v1/segments: what a tree selects, about how many, how segments overlap, why somebody is in; the catalogue."""

from dataclasses import asdict
from datetime import timedelta
from typing import Any, ClassVar

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from scrm.lib.errors import found
from tagging.api.asked import TREE, TreeIn, ids, number, wrong
from tagging.language import catalogue, params
from tagging.models import Segment
from tagging.segments import estimate, overlap, segments, templates_ready
from tagging.segments.explain import explain
from tenants.api import BrandAPIView
from tenants.scope import brand_scope


class CountOut(serializers.Serializer):
    """How many contacts there are now."""

    count = serializers.IntegerField()
    sentence = serializers.CharField()
    at = serializers.DateTimeField()


class EstimateOut(serializers.Serializer):
    """About how many."""

    count = serializers.IntegerField()
    low = serializers.IntegerField()
    high = serializers.IntegerField(help_text="the interval holds for 95 of 100 segments or more")
    method = serializers.CharField(help_text="sample or exact")
    share = serializers.FloatField(help_text="of the contacts that were looked at")
    sampled = serializers.IntegerField()
    matched = serializers.IntegerField()
    at = serializers.DateTimeField()
    age_seconds = serializers.IntegerField(help_text="of the brand's number of contacts, by which the sample is scaled")


class OverlapIn(serializers.Serializer):
    """Which segments to lay over each other."""

    segments = ids(max_length=20)
    exact = serializers.BooleanField(required=False, allow_null=True, default=None, help_text="default: small brands")


class RegionOut(serializers.Serializer):
    """Some segments and how many contacts."""

    segments = serializers.ListField(child=serializers.IntegerField())
    count = serializers.IntegerField()


class OverlapOut(serializers.Serializer):
    """How the segments overlap."""

    sizes = RegionOut(many=True, help_text="each by itself")
    shared = RegionOut(many=True, help_text="in all of these, whatever else: pairs, triples, …")
    regions = RegionOut(many=True, help_text="in exactly these; they do not overlap")
    outside = serializers.IntegerField()
    contacts = serializers.IntegerField()
    method = serializers.CharField(help_text="sample or exact")
    at = serializers.DateTimeField()


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


class EstimateSegment(BrandAPIView):
    """About how many a tree selects."""

    scope: ClassVar[str] = "segments:read"

    @extend_schema(summary="估算人数", tags=["segments"], request=TreeIn, responses=EstimateOut)
    def post(self, request: Request) -> Response:
        """About how many contacts satisfy a tree now, from a fixed sample, with an interval. Small brands are counted.
        For the exact number ask `/segments/count`. Nothing is saved."""
        tree, at = self.validated(TreeIn)["tree"], timezone.now()
        with brand_scope(self.brand_id):
            segments.check(tree)
            about = estimate.estimate(tree, at)
        return Response(asdict(about))


class OverlapSegments(BrandAPIView):
    """Who is in several segments at once."""

    scope: ClassVar[str] = "segments:read"

    @extend_schema(summary="人群重叠", tags=["segments"], request=OverlapIn, responses=OverlapOut)
    def post(self, request: Request) -> Response:
        """How 2 to 5 segments overlap now: sizes, pairs and triples, and the regions that do not overlap. Brands of
        more than 200,000 contacts are read by a sixteenth, unless `exact`."""
        data, at = self.validated(OverlapIn), timezone.now()
        ids = data["segments"]
        with brand_scope(self.brand_id):
            seen = overlap.of_segments(ids, at, is_exact=data["exact"])

        def named(places: tuple[int, ...], count: int) -> dict[str, Any]:
            return {"segments": [ids[place] for place in places], "count": count}

        return Response(
            {
                "sizes": [named((place,), size) for place, size in enumerate(seen.sizes)],
                "shared": [named(region.inside, region.count) for region in seen.shared],
                "regions": [named(region.inside, region.count) for region in seen.regions],
                "outside": seen.outside,
                "contacts": seen.contacts,
                "method": seen.method,
                "at": seen.at,
            }
        )


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
        contact_id = number(query.get("contact") or query.get("contact_id"))
        now, moment = timezone.now(), query.get("at")
        at = params.moment(moment) if moment else now
        if at is None or at > now + timedelta(minutes=1):
            remedy = _("例如 2026-11-01T00:00:00+08:00；不能晚于现在。")
            raise wrong("at", _("at 要是带时区的 ISO 8601 时间。"), remedy)
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
            raise wrong("key", _("请求体应是一个对象。"), _('例如 {"key": "silent"}。'))
        key, said = str(request.data.get("key") or ""), request.data.get("params")
        if said is not None and not isinstance(said, dict):
            raise wrong("params", _("params 要是一个对象。"), _('例如 {"days": 60}。'))
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
