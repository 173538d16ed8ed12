"""What several calls take alike: pages, keys, trees, numbers in a query."""

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from scrm.lib.errors import FieldError, Invalid
from tagging.language import params
from tenants.api import IDEMPOTENCY_KEY as KEY

__all__ = ["KEY", "PAGING", "TREE", "TreeIn", "ids", "number", "wrong"]

PAGING = [
    OpenApiParameter("cursor", str, description="next_cursor of the page before"),
    OpenApiParameter("limit", int, description="1–200, default 50"),
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


def ids(**options: Any) -> serializers.ListField:
    """A field of numbers that a row's id can be."""
    return serializers.ListField(child=serializers.IntegerField(min_value=1, max_value=params.MAX_ID), **options)


def number(text: str | None, field: str = "contact") -> int:
    """An id said in a query. Raises Invalid."""
    if not text or not text.isascii() or not text.isdigit() or int(text) > params.MAX_ID:
        raise wrong(field, _("%(field)s 要是一个 id。") % {"field": field}, _("例如 ?%(field)s=7。") % {"field": field})
    return int(text)


def wrong(field: str, message: str, remedy: str) -> Invalid:
    """One field of the call is not what it should be."""
    return Invalid(_("有字段不正确。"), errors=[FieldError(field, "tagging.wrong_type", message, remedy)])
