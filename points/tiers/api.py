"""Members' tiers by REST: the brand's rules, one contact's tier with the gap to the next, its history, a floor."""

from datetime import UTC
from typing import Any, ClassVar

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from contacts.oneid import identity
from points.api import CONTACT_QUERY
from points.models import TierRules, TierSpell
from points.tiers import floors, reading, rules
from scrm.lib.errors import NotFound
from tenants.api import BrandAPIView
from tenants.scope import brand_scope


class RungIO(serializers.Serializer):
    """One tier."""

    code = serializers.CharField(max_length=30, help_text="your own, small letters: gold")
    name = serializers.CharField(max_length=30)
    threshold = serializers.IntegerField(help_text="from how much of the metric on: points, fen or orders; rising")


class RulesIn(serializers.Serializer):
    """A brand's rules."""

    metric = serializers.ChoiceField(choices=TierRules.Metric.choices)
    window = serializers.ChoiceField(choices=TierRules.Window.choices, default=TierRules.Window.ROLLING)
    at_end = serializers.ChoiceField(choices=TierRules.AtEnd.choices, default=TierRules.AtEnd.TO_LEVEL)
    grace_days = serializers.IntegerField(default=0, help_text="after a spell's end, to make up for what is missing")
    protect_days = serializers.IntegerField(default=0, help_text="after an upgrade, without a downgrade")
    tiers = RungIO(many=True, help_text="from the lowest; who is below it has none")


class RulesOut(RulesIn):
    """The rules as they are."""

    since = serializers.DateTimeField(default_timezone=UTC, help_text="when they came into force")
    is_filling = serializers.BooleanField(help_text="everybody is being looked at just now")


class FloorOut(serializers.Serializer):
    """A promise by hand."""

    tier = serializers.CharField()
    since = serializers.DateTimeField(default_timezone=UTC)
    until = serializers.DateTimeField(default_timezone=UTC, allow_null=True)
    note = serializers.CharField()


class TierOut(serializers.Serializer):
    """A contact's tier."""

    contact_id = serializers.IntegerField()
    tier = RungIO(allow_null=True)
    since = serializers.DateTimeField(default_timezone=UTC, allow_null=True)
    ends_at = serializers.DateTimeField(default_timezone=UTC, allow_null=True, help_text="when it is judged anew")
    kept_until = serializers.DateTimeField(
        default_timezone=UTC, allow_null=True, help_text="past its end: until when grace or protection keeps it"
    )
    metric = serializers.CharField()
    value = serializers.IntegerField(help_text="the metric now: points, fen or orders")
    next = RungIO(allow_null=True)
    gap = serializers.IntegerField(help_text="of the metric, to the next tier")
    floor = FloorOut(allow_null=True)


class SpellOut(serializers.Serializer):
    """One stay."""

    since = serializers.DateTimeField(default_timezone=UTC)
    until = serializers.DateTimeField(default_timezone=UTC, allow_null=True)
    tier = serializers.CharField(help_text="code; empty: none")
    was = serializers.CharField(help_text="the tier before; the same when its time began anew")
    reason = serializers.CharField(help_text="start rules reached renewed kept ended floor floor_ended merged")
    metric = serializers.IntegerField(help_text="then")
    ends_at = serializers.DateTimeField(default_timezone=UTC, allow_null=True)


class SpellsOut(serializers.Serializer):
    """A page of history."""

    items = SpellOut(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class FloorIn(serializers.Serializer):
    """A promise to make."""

    contact = serializers.DictField(child=serializers.CharField(), help_text='who: {"unionid": "…"}')
    tier = serializers.CharField(max_length=30, help_text="code")
    until = serializers.DateTimeField(
        required=False, allow_null=True, default=None, help_text="empty: until taken back"
    )
    note = serializers.CharField(max_length=200)


class NoTiers(NotFound):
    """The brand keeps no tiers."""

    code = "tiers.none"


class Rules(BrandAPIView):
    """The brand's rules."""

    scopes: ClassVar[dict[str, str]] = {"GET": "points:read", "PUT": "points:write"}

    @extend_schema(responses=RulesOut, tags=["tiers"])
    def get(self, request: Request) -> Response:
        """Read the rules. 404 `tiers.none` if the brand keeps no tiers."""
        with brand_scope(self.brand_id):
            return Response(_rules())

    @extend_schema(request=RulesIn, responses=RulesOut, tags=["tiers"])
    def put(self, request: Request) -> Response:
        """Replace the rules. Upgrades follow within minutes; nobody loses a tier that there still is before its end.

        Repeating the same rules changes nothing. 422 names the place: `tiers[1].threshold`."""
        data = self.validated(RulesIn)
        tiers = [(rung["code"], rung["name"], rung["threshold"]) for rung in data.pop("tiers")]
        with brand_scope(self.brand_id):
            rules.save(wanted=rules.Wanted(tiers=tiers, **data), actor=self.caller.actor, at=timezone.now())
            return Response(_rules())


class OfContact(BrandAPIView):
    """One contact's tier."""

    scope = "points:read"

    @extend_schema(parameters=CONTACT_QUERY, responses=TierOut, tags=["tiers"])
    def get(self, request: Request) -> Response:
        """Read a contact's tier and the gap to the next. 404 if the brand knows no such contact, or has no tiers."""
        with brand_scope(self.brand_id):
            contact = identity.find(request.query_params.dict())
            return Response(_tier(contact.pk))


class History(BrandAPIView):
    """A contact's tiers so far."""

    scope = "points:read"

    @extend_schema(
        parameters=[*CONTACT_QUERY, OpenApiParameter("cursor", str), OpenApiParameter("limit", int)],
        responses=SpellsOut,
        tags=["tiers"],
    )
    def get(self, request: Request) -> Response:
        """List a contact's spells, latest first; ≤ 200 a page. 404 if the brand knows no such contact."""
        query = {k: v for k, v in request.query_params.dict().items() if k not in {"cursor", "limit"}}
        with brand_scope(self.brand_id):
            contact = identity.find(query)
            spells = TierSpell.objects.filter(contact=contact)
            return self.page(spells, key="since", latest="since", out=lambda spell: SpellOut(spell).data)


class Floor(BrandAPIView):
    """A promise by hand."""

    scope = "points:write"

    @extend_schema(request=FloorIn, responses=TierOut, tags=["tiers"])
    def put(self, request: Request) -> Response:
        """Hold a contact at a tier or above, in the place of an earlier promise. 404 if there is no such contact."""
        data = self.validated(FloorIn)
        with brand_scope(self.brand_id):
            contact = identity.find(data.pop("contact"))
            floors.promise(contact_id=contact.pk, actor=self.caller.actor, at=timezone.now(), **data)
            return Response(_tier(contact.pk))

    @extend_schema(parameters=CONTACT_QUERY, responses=TierOut, tags=["tiers"])
    def delete(self, request: Request) -> Response:
        """Take the promise back. 422 `tiers.no_floor` if none is in force, 404 if there is no such contact."""
        with brand_scope(self.brand_id):
            contact = identity.find(request.query_params.dict())
            floors.take_back(contact_id=contact.pk, actor=self.caller.actor, at=timezone.now())
            return Response(_tier(contact.pk))


def _rules() -> dict[str, Any]:
    found = reading.rules()
    if found is None:
        raise _none()
    return dict(RulesOut(found).data)


def _tier(contact_id: int) -> dict[str, Any]:
    found = reading.of(contact_id=contact_id, at=timezone.now())
    if found is None:
        raise _none()
    return dict(TierOut(found).data)


def _none() -> NoTiers:
    return NoTiers(_("这个品牌还没有会员等级。"), remedy=_("先用 PUT /api/v1/points/tiers 设置规则。"))
