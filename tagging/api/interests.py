"""/api/v1/interests: how interest is reckoned, and what a contact is drawn to."""

from dataclasses import asdict
from datetime import timedelta
from typing import Any, ClassVar

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from contacts.oneid import identity
from tagging import of_contact
from tagging.api.asked import KEY, wrong
from tagging.api.rules import RunOut, run_out
from tagging.models import InterestPolicy
from tagging.models.interests import CATEGORY, PRODUCT
from tagging.rules import rerun, scoring
from tenants.api import BrandAPIView
from tenants.scope import brand_scope

MOST = 50
USUAL = {"half_life_days": 14, "weights": {"product_view": 1, "add_cart": 3, "order_paid": 5}}


class PolicyIn(serializers.Serializer):
    """Σ weight(event) · ln(1 + dwell / 10 s) · 2^(−age / half-life); without a dwell time its weight."""

    half_life_days = serializers.FloatField(help_text="0.1 to 365: an event of this age counts half")
    weights = serializers.DictField(child=serializers.FloatField(), help_text="event type → weight, above 0, to 1000")


class PolicyOut(PolicyIn):
    """How the brand reckons."""

    is_own = serializers.BooleanField(help_text="false: the house's usual numbers")
    updated_at = serializers.DateTimeField(allow_null=True)


class SourceOut(serializers.Serializer):
    """An event that a score mostly comes from."""

    id = serializers.UUIDField()
    type = serializers.CharField()
    at = serializers.DateTimeField()
    worth = serializers.FloatField(help_text="what is left of it now")


class InterestOut(serializers.Serializer):
    """How much a contact is drawn to a category or product now."""

    kind = serializers.CharField(help_text="category or product")
    key = serializers.CharField()
    score = serializers.FloatField()
    sources = SourceOut(many=True, help_text="at most five, those that weigh most first")


class InterestsOut(serializers.Serializer):
    """What a contact is drawn to most."""

    items = InterestOut(many=True, help_text="the highest first, at most 50 categories and 50 products")
    at = serializers.DateTimeField()


class Policy(BrandAPIView):
    """How interest is reckoned."""

    scopes: ClassVar[dict[str, str]] = {"GET": "tags:read", "PUT": "tags:write"}

    @extend_schema(summary="兴趣分设置", tags=["interests"], responses=PolicyOut)
    def get(self, request: Request) -> Response:
        """Weights of events and the half-life, the brand's own or the house's."""
        with brand_scope(self.brand_id):
            return Response(_policy())

    @extend_schema(
        summary="修改兴趣分设置",
        tags=["interests"],
        request=PolicyIn,
        responses=PolicyOut,
        examples=[OpenApiExample("常用", value=USUAL, request_only=True)],
    )
    def put(self, request: Request) -> Response:
        """Say how interest is reckoned from now on. Scores that are there stay as they were reckoned until
        `POST /interests/recompute`."""
        data = self.validated(PolicyIn)
        with brand_scope(self.brand_id):
            scoring.set_policy(actor=self.caller.actor, at=timezone.now(), **data)
            return Response(_policy())


class Recompute(BrandAPIView):
    """Reckoning anew."""

    scope: ClassVar[str] = "tags:write"

    @extend_schema(summary="重算兴趣分", tags=["interests"], parameters=[KEY], request=None, responses={201: RunOut})
    def post(self, request: Request) -> Response:
        """Begin to reckon all scores anew from the log, after other weights or an import of history. One that is under
        way ends. Read the run (`GET /tag-runs/{id}`)."""

        def act() -> tuple[int, dict[str, Any]]:
            return 201, run_out(rerun.begin_interests(actor=self.caller.actor, at=timezone.now()))

        return self.idempotent(act)


class ContactInterests(BrandAPIView):
    """What one contact is drawn to."""

    scope: ClassVar[str] = "contacts:read"

    @extend_schema(
        summary="客户的兴趣分",
        tags=["interests"],
        parameters=[OpenApiParameter("kind", str, description="default: both", enum=["category", "product"])],
        responses=InterestsOut,
    )
    def get(self, request: Request, contact_id: int) -> Response:
        """Categories and products by the contact's score now, each with the events that it mostly comes from. A score
        that has faded to less than 0.05 is left out."""
        at, kind = timezone.now(), request.query_params.get("kind")
        if kind not in (None, CATEGORY, PRODUCT):
            raise wrong("kind", _("kind 要是 category 或 product。"), _("不填则两种都有。"))
        with brand_scope(self.brand_id):
            contact = identity.find({"id": contact_id})
            drawn = of_contact.drawn_to(contact.pk, at=at, limit=MOST)
        some = [each for name, several in drawn.items() if kind in (None, name) for each in several]
        return Response({"items": [asdict(each) for each in sorted(some, key=lambda each: -each.score)], "at": at})


def _policy() -> dict[str, Any]:
    row, now = InterestPolicy.objects.first(), scoring.policy()
    return {
        "half_life_days": now.half_life / timedelta(days=1),
        "weights": dict(now.weights),
        "is_own": row is not None,
        "updated_at": row.updated_at if row else None,
    }
