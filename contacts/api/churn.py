"""/api/v1/churn: lost friendships of a period."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from contacts import churn
from scrm.lib.errors import FieldError, Invalid
from tenants.api import BrandAPIView
from tenants.models import Brand
from tenants.scope import brand_scope

USUAL = timedelta(days=90)
LONGEST = timedelta(days=366)
DAYS, MOST_DAYS = 30, 365


class ShareOut(serializers.Serializer):
    """Of `created` friendships `lost` have ended within the asked-for days."""

    label = serializers.CharField(allow_blank=True)  # type: ignore[assignment]
    created = serializers.IntegerField()
    lost = serializers.IntegerField()
    rate = serializers.FloatField(help_text="lost ÷ created; 0 of none")


class WeekOut(serializers.Serializer):
    """Friendships that began and that ended in a week of the brand's time."""

    monday = serializers.DateField()
    created = serializers.IntegerField()
    by_contact = serializers.IntegerField(help_text="ended by the customer")
    by_staff = serializers.IntegerField(help_text="ended by the guide")


class HazardOut(serializers.Serializer):
    """A day after friendships began: of those alive that morning, how many ended that day."""

    day = serializers.IntegerField(help_text="0 is the first")
    alive = serializers.IntegerField()
    lost = serializers.IntegerField()
    rate = serializers.FloatField()


class TouchOut(serializers.Serializer):
    """What last reached the customer in the seven days before the loss."""

    type = serializers.CharField(allow_blank=True, help_text="event type; empty: nothing did")
    lost = serializers.IntegerField()


class ChurnOut(serializers.Serializer):
    """Lost friendships. One that was handed on to another guide is not lost."""

    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    days = serializers.IntegerField()
    loss = ShareOut(help_text="of friendships that began in the period and whose days are over")
    weeks = WeekOut(many=True)
    hazard = HazardOut(many=True, help_text="the first 30 days of friendships that began in the period")
    by_source = ShareOut(many=True, help_text="by the code's state (empty: none), the 20 most numerous")
    by_guide = ShareOut(many=True, help_text="the 20 who lost most")
    by_last_touch = TouchOut(many=True, help_text="of friendships that ended in the period")


class Churn(BrandAPIView):
    """Lost friendships of a period."""

    scope: ClassVar[str] = "contacts:read"

    @extend_schema(
        summary="流失数据",
        tags=["contacts"],
        parameters=[
            OpenApiParameter("start", OpenApiTypes.DATETIME, description="default: 90 days before end"),
            OpenApiParameter("end", OpenApiTypes.DATETIME, description="default, and at the latest: now"),
            OpenApiParameter("days", int, description="lost is what ended within so many days; 1–365, default 30"),
        ],
        responses=ChurnOut,
    )
    def get(self, request: Request) -> Response:
        """Friendships that began and ended, who loses them, from which source, after what, and how soon. A period of at
        most 366 days."""
        now = timezone.now()
        start, end = _period(request, now)
        days = _days(request)
        cohort: dict[str, Any] = {"start": start, "end": end, "days": days, "at": now}
        zone = Brand.objects.values_list("timezone", flat=True).get(pk=self.brand_id)
        with brand_scope(self.brand_id):
            touches = churn.by_last_touch(start=start, end=end)
            found = {
                "start": start,
                "end": end,
                "days": days,
                "loss": _share(churn.loss(**cohort)),
                "weeks": [asdict(week) for week in churn.by_week(start=start, end=end, zone=zone)],
                "hazard": [_share(day) for day in churn.hazard(start=start, end=end, at=now)],
                "by_source": [_share(each) for each in churn.by_source(**cohort)],
                "by_guide": [_share(each) for each in churn.by_guide(**cohort)],
                "by_last_touch": [{"type": type_, "lost": lost} for type_, lost in touches],
            }
        return Response(found)


def _share(row: churn.Share | churn.Hazard) -> dict[str, Any]:
    return asdict(row) | {"rate": row.rate}


def _period(request: Request, now: datetime) -> tuple[datetime, datetime]:
    end = min(_moment(request, "end", now), now)
    start = _moment(request, "start", end - USUAL)
    if start >= end:
        raise _wrong("start", _("start 要早于 end，end 最晚算到现在。"), _("把 start 改早一些，或不填。"))
    if end - start > LONGEST:
        raise _wrong("start", _("一次最多看 366 天。"), _("分几段来查。"))
    return start, end


def _moment(request: Request, name: str, default: datetime) -> datetime:
    said = request.query_params.get(name)
    if not said:
        return default
    try:
        at = parse_datetime(said)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        message = _("%(field)s 要是带时区的 ISO 8601 时间。") % {"field": name}
        raise _wrong(name, message, _("例如 2026-11-01T00:00:00+08:00；放进网址时加号要编码。"))
    return at


def _days(request: Request) -> int:
    said = request.query_params.get("days", str(DAYS))
    if not (said.isascii() and said.isdigit() and len(said) < 4 and 1 <= int(said) <= MOST_DAYS):
        raise _wrong("days", _("days 要是 1 到 365 的整数。"), _("不填则为 30。"))
    return int(said)


def _wrong(field: str, message: str, remedy: str) -> Invalid:
    return Invalid(_("有字段不正确。"), errors=[FieldError(field, "period.wrong", message, remedy)])
