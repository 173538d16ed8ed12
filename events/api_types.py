"""The event catalogue by REST: what may be sent, and a brand's own types."""

from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from events import declared
from events.catalogue import EventType
from tenants.api import BrandAPIView
from tenants.scope import brand_scope


class PropIn(serializers.Serializer):
    """One property of an own type."""

    type = serializers.ChoiceField(choices=declared.PROP_TYPES, help_text="int for amounts in fen, dwell in seconds")
    label = serializers.CharField(required=False, allow_blank=True)  # type: ignore[assignment]
    unit = serializers.CharField(required=False, allow_blank=True)
    required = serializers.BooleanField(required=False)  # type: ignore[assignment]


class TypeIn(serializers.Serializer):
    """An own type. For the documentation; `events.declared` checks it."""

    name = serializers.CharField(help_text="x_…: lower-case letters, digits, underscores")
    label = serializers.CharField()  # type: ignore[assignment]
    props = serializers.DictField(child=PropIn())


class TypeOut(serializers.Serializer):
    """A type of the catalogue."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    sender = serializers.ChoiceField(choices=["api", "wecom", "system"], help_text="api: yours to send")
    own = serializers.BooleanField()
    props = serializers.DictField(child=PropIn())


class CatalogueOut(serializers.Serializer):
    """The catalogue."""

    items = TypeOut(many=True)
    undeclared = serializers.ListField(child=serializers.CharField(), help_text="own types in the log, not declared")


class EventTypes(BrandAPIView):
    """The catalogue of events."""

    scope: ClassVar[str] = "events:write"

    @extend_schema(summary="行为目录", tags=["events"], responses=CatalogueOut)
    def get(self, request: Request) -> Response:
        """All types with their typed properties: built-in ones, then the brand's own."""
        with brand_scope(self.brand_id):
            items = [_out(kind) for kind in declared.kinds()]
            return Response({"items": items, "undeclared": declared.undeclared()})

    @extend_schema(summary="声明自有行为类型", tags=["events"], request=TypeIn, responses=TypeOut)
    def put(self, request: Request) -> Response:
        """Declare the type `name`, or replace what was declared. From then on each event of it is checked: properties
        of the wrong type and missing required ones refuse that item. Further flat properties are taken as they are."""
        body = request.data if isinstance(request.data, dict) else {}
        with brand_scope(self.brand_id):
            row = declared.save(
                name=body.get("name", ""),
                label=body.get("label", ""),
                props=body.get("props", {}),
                actor=self.caller.actor,
                at=timezone.now(),
            )
            return Response(_out(declared.of_brand()[row.name]))

    @extend_schema(
        summary="删除自有行为类型",
        tags=["events"],
        parameters=[OpenApiParameter("name", str, required=True)],
        responses={204: None},
    )
    def delete(self, request: Request) -> Response:
        """Declare `name` no longer. Its events stay; new ones are taken unchecked."""
        with brand_scope(self.brand_id):
            name = request.query_params.get("name", "")
            declared.remove(name=name, actor=self.caller.actor, at=timezone.now())
        return Response(status=204)


def _out(kind: EventType) -> dict[str, Any]:
    return {
        "name": kind.name,
        "label": str(kind.label),
        "sender": kind.sender,
        "own": kind.name.startswith("x_"),
        "props": {
            name: {
                "type": type_,
                "label": kind.prop_labels.get(name, name),
                "unit": kind.units.get(name, ""),
                "required": name in kind.required,
            }
            for name, type_ in kind.props.items()
        },
    }
