"""/api/v1/lifecycle/matrix: who moved from which stage to which."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from scrm.lib.errors import Text
from tagging.api.asked import PERIOD, period
from tagging.rules import lifecycle
from tenants.api import BrandAPIView
from tenants.scope import brand_scope

USUAL = timedelta(days=28)
Counts = Mapping[tuple[str, str], int]


class NamedOut(serializers.Serializer):
    """A stage of the period, one that is no longer kept too, and who was in it."""

    key = serializers.CharField(allow_blank=True)
    name = serializers.CharField()
    at_start = serializers.IntegerField()
    at_end = serializers.IntegerField()


class MoveOut(serializers.Serializer):
    """So many contacts were in `from` at the start and in `to` at the end; they may be the same."""

    def get_fields(self) -> dict[str, Any]:
        """`from` is a word of Python."""
        return {
            "from": serializers.CharField(allow_blank=True),
            "to": serializers.CharField(allow_blank=True),
            "contacts": serializers.IntegerField(),
        }


class ToOut(serializers.Serializer):
    """So many contacts are in `to` at the end."""

    to = serializers.CharField(allow_blank=True)
    contacts = serializers.IntegerField()


class MatrixOut(serializers.Serializer):
    """Who moved from where to where in [start, end]. Whoever is there at the end is in one of the lists."""

    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    kept_since = serializers.DateTimeField(allow_null=True)
    stages = NamedOut(many=True)
    moves = MoveOut(many=True)
    newcomers = ToOut(many=True, help_text="who came after the start")
    placed_first = ToOut(many=True, help_text="who was there before, and was placed for the first time: no migration")
    placed_anew = ToOut(many=True, help_text="whose stage was changed by changed stages: no migration")


class Matrix(BrandAPIView):
    """Who moved."""

    scope: ClassVar[str] = "segments:read"

    @extend_schema(summary="阶段迁移矩阵", tags=["lifecycle"], parameters=PERIOD, responses=MatrixOut)
    def get(self, request: Request) -> Response:
        """Stage by stage, of those who were in it at `start`, where they are at `end`; apart, who came since, and who
        was only placed. A `start` before `kept_since` is taken as `kept_since`."""
        now = timezone.now()
        start, end = period(request, now=now, usual=USUAL)
        with brand_scope(self.brand_id):
            began = lifecycle.kept_since()
            start = min(max(start, began), end) if began else start
            names = lifecycle.labels()
            counts = lifecycle.matrix(start=start, end=end)
        return Response(_told(counts, names) | {"start": start, "end": end, "kept_since": began})


_APART = {
    "newcomers": lifecycle.NEWCOMERS,
    "placed_first": lifecycle.FIRST,
    "placed_anew": lifecycle.REPLACED,
}


def _told(counts: Counts, names: Mapping[str, Text]) -> dict[str, Any]:
    moves = {pair: count for pair, count in counts.items() if pair[0] not in _APART.values()}
    gone = sorted({key for source, target in moves for key in (source, target)} - names.keys())
    kept = [key for key in names if key]
    return {
        "stages": [
            {
                "key": key,
                "name": str(names.get(key, key)),
                "at_start": sum(count for (source, _target), count in moves.items() if source == key),
                "at_end": sum(count for (_source, target), count in counts.items() if target == key),
            }
            for key in [*kept, *gone, ""]
        ],
        "moves": [
            {"from": source, "to": target, "contacts": count} for (source, target), count in sorted(moves.items())
        ],
        **{name: _to(counts, source) for name, source in _APART.items()},
    }


def _to(counts: Counts, wanted: str) -> list[dict[str, Any]]:
    rows = sorted((target, count) for (source, target), count in counts.items() if source == wanted)
    return [{"to": target, "contacts": count} for target, count in rows]
