"""Points by REST: read a balance and its entries, grant, spend. A contact is named by any identity of theirs."""

from datetime import UTC
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from contacts.oneid import identity
from points import accounts, ledger
from points.models import PointsEntry
from tenants.api import IDEMPOTENCY_KEY, BrandAPIView
from tenants.scope import brand_scope

CONTACT_QUERY = [
    OpenApiParameter(name, str, description=f"name the contact by {name}; give exactly one way")
    for name in ("id", "unionid", "external_userid", "openid", "phone", "member_id")
] + [OpenApiParameter("corpid", str), OpenApiParameter("appid", str)]


class Movement(serializers.Serializer):
    """What to grant or spend."""

    contact = serializers.DictField(
        child=serializers.CharField(),
        help_text='who: {"unionid": "…"} or {"external_userid": "…", "corpid": "…"} or {"id": "7"}',
    )
    points = serializers.IntegerField(min_value=1, max_value=ledger.MOST_POINTS, help_text="whole points")
    reference = serializers.CharField(
        max_length=200, required=False, default="", help_text="your order or activity number"
    )
    note = serializers.CharField(max_length=200, required=False, default="", allow_blank=True)
    expires_at = serializers.DateTimeField(required=False, default=None, help_text="grants only; for ever if absent")


class MovementOut(serializers.Serializer):
    """What was posted."""

    transfer_id = serializers.UUIDField()
    contact_id = serializers.IntegerField()
    points = serializers.IntegerField(help_text="signed")
    balance = serializers.IntegerField(help_text="after the movement")


class StatementOut(serializers.Serializer):
    """A contact's points."""

    contact_id = serializers.IntegerField()
    account_id = serializers.UUIDField()
    balance = serializers.IntegerField(help_text="usable now")
    expiring = serializers.IntegerField(help_text="of these, running out within 30 days")


class EntryOut(serializers.Serializer):
    """One entry of a contact's account."""

    id = serializers.UUIDField()
    transfer_id = serializers.UUIDField()
    amount = serializers.IntegerField(help_text="signed")
    balance_after = serializers.IntegerField()
    reason = serializers.CharField(source="transfer.reason")
    reference = serializers.CharField(source="transfer.reference")
    note = serializers.CharField(source="transfer.note")
    posted_at = serializers.DateTimeField(default_timezone=UTC)


class EntriesOut(serializers.Serializer):
    """A page of entries."""

    items = EntryOut(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class Balance(BrandAPIView):
    """A contact's balance."""

    scope = "points:read"

    @extend_schema(parameters=CONTACT_QUERY, responses=StatementOut, tags=["points"])
    def get(self, request: Request) -> Response:
        """Read a contact's usable points. 404 if the brand knows no such contact; zero if they never had any."""
        with brand_scope(self.brand_id):
            contact = identity.find(request.query_params.dict())
            body = StatementOut(ledger.statement(contact_id=contact.pk, at=timezone.now())).data
        return Response(body)


class Entries(BrandAPIView):
    """A contact's ledger."""

    scope = "points:read"

    @extend_schema(
        parameters=[*CONTACT_QUERY, OpenApiParameter("cursor", str), OpenApiParameter("limit", int)],
        responses=EntriesOut,
        tags=["points"],
    )
    def get(self, request: Request) -> Response:
        """List a contact's entries, latest first; ≤ 200 a page. 404 if the brand knows no such contact."""
        query = {k: v for k, v in request.query_params.dict().items() if k not in {"cursor", "limit"}}
        with brand_scope(self.brand_id):
            contact = identity.find(query)
            entries = PointsEntry.objects.filter(account_id=accounts.account_id(contact.pk)).select_related("transfer")
            return self.page(entries, key="id", latest="posted_at", out=lambda entry: EntryOut(entry).data)


class Grants(BrandAPIView):
    """Give points."""

    scope = "points:write"

    @extend_schema(parameters=[IDEMPOTENCY_KEY], request=Movement, responses={201: MovementOut}, tags=["points"])
    def post(self, request: Request) -> Response:
        """Grant points: the same Idempotency-Key grants once. 404 if the brand knows no such contact."""
        data = self.validated(Movement)
        return self.idempotent(lambda: self._post(data))

    def _post(self, data: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        contact = identity.find(data.pop("contact"))
        posted = ledger.grant(
            contact_id=contact.pk, key=_key(self), actor=self.caller.actor.id, at=timezone.now(), **data
        )
        return 201, MovementOut(posted).data


class Spends(BrandAPIView):
    """Take points."""

    scope = "points:write"

    @extend_schema(parameters=[IDEMPOTENCY_KEY], request=Movement, responses={201: MovementOut}, tags=["points"])
    def post(self, request: Request) -> Response:
        """Spend points, first to expire first, once per Idempotency-Key. 422 `points.insufficient` takes nothing.
        404 if the brand knows no such contact."""
        data = self.validated(Movement)
        return self.idempotent(lambda: self._post(data))

    def _post(self, data: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        contact = identity.find(data.pop("contact"))
        data.pop("expires_at")
        posted = ledger.spend(
            contact_id=contact.pk, key=_key(self), actor=self.caller.actor.id, at=timezone.now(), **data
        )
        return 201, MovementOut(posted).data


def _key(view: BrandAPIView) -> str:
    # Two API keys of a brand may choose the same Idempotency-Key for different things.
    return f"api:{view.caller.key_id}:{view.request.headers['Idempotency-Key']}"
