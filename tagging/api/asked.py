"""What several calls take alike: pages, keys, trees, numbers in a query."""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request

from scrm.lib.errors import FieldError, Invalid
from tagging.language import params
from tenants.api import IDEMPOTENCY_KEY as KEY

__all__ = [
    "KEY",
    "PAGING",
    "PERIOD",
    "TREE",
    "TreeIn",
    "ids",
    "moment",
    "named",
    "number",
    "period",
    "row_id",
    "wrong",
]

PAGING = [
    OpenApiParameter("cursor", str, description="next_cursor of the page before"),
    OpenApiParameter("limit", int, description="1–200, default 50"),
]
PERIOD = [
    OpenApiParameter("start", OpenApiTypes.DATETIME, description="default: 28 days before end"),
    OpenApiParameter("end", OpenApiTypes.DATETIME, description="default, and at the latest: now"),
]
TREE = {
    "all": [
        {"kind": "event_recency", "event": "sign_in", "op": "not_within", "days": 30},
        {"any": [{"kind": "tag", "tag": "兴趣·婴童"}, {"kind": "lifecycle", "stage": "silent"}]},
    ]
}
"""an example for the reference"""


class TreeIn(serializers.Serializer):
    """A condition tree."""

    tree = serializers.JSONField()


def row_id(**options: Any) -> serializers.IntegerField:
    """A field for a number that a row's id can be."""
    return serializers.IntegerField(min_value=1, max_value=params.MAX_ID, **options)


def ids(**options: Any) -> serializers.ListField:
    """A field of such numbers."""
    return serializers.ListField(child=row_id(), **options)


def number(text: str | None, field: str = "contact") -> int:
    """An id said in a query. Raises Invalid."""
    if not text or not text.isascii() or not text.isdigit() or int(text) > params.MAX_ID:
        raise wrong(field, _("%(field)s 要是一个 id。") % {"field": field}, _("例如 ?%(field)s=7。") % {"field": field})
    return int(text)


def wrong(field: str, message: str, remedy: str) -> Invalid:
    """One field of the call is not what it should be."""
    return Invalid(_("有字段不正确。"), errors=[FieldError(field, "tagging.wrong_type", message, remedy)])


def moment(request: Request, field: str, default: datetime) -> datetime:
    """A moment said in the query, `field`; not said: the default. Raises Invalid."""
    said = request.query_params.get(field)
    if not said:
        return default
    at = params.moment(said)
    if at is None:
        message = _("%(field)s 要是带时区的 ISO 8601 时间。") % {"field": field}
        raise wrong(field, message, _("例如 2026-11-01T00:00:00+08:00；放进网址时加号要编码。"))
    return at


def period(request: Request, *, now: datetime, usual: timedelta) -> tuple[datetime, datetime]:
    """`start` and `end` of the query, not later than now; not said: the usual time until now. Raises Invalid."""
    end = min(moment(request, "end", now), now)
    start = moment(request, "start", end - usual)
    if start >= end:
        raise wrong("start", _("start 要早于 end，end 最晚算到现在。"), _("把 start 改早一些，或不填。"))
    return start, end


def named(queryset: QuerySet[Any], field: str, value: int) -> None:
    """A row that the body names must be there. Scoped. Raises Invalid, so that the caller learns which field it is."""
    if not queryset.filter(pk=value).exists():
        error = FieldError(
            field,
            "tagging.unknown_reference",
            _("没有 id 为 %(id)s 的%(what)s。") % {"id": value, "what": queryset.model._meta.verbose_name},
            _("先用列表接口查到它的 id。"),
        )
        raise Invalid(_("有字段不正确。"), errors=[error])
