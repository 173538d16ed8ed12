"""What the doors of outreach share: scopes, paging, filters."""

from collections.abc import Sequence

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from scrm.lib.errors import FieldError, Invalid

READ_WRITE = {"GET": "pushes:read", "POST": "pushes:write", "PUT": "pushes:write"}
PAGE = [OpenApiParameter("cursor", str), OpenApiParameter("limit", int, description="1–200, 50 unless given")]


def chosen(request: Request, name: str, known: Sequence[str]) -> str:
    """A filter's value; empty when it is not used. Raises Invalid for one that does not exist."""
    value = str(request.query_params.get(name, ""))
    if value and value not in known:
        wrong = FieldError(name, "choice.unknown", _("没有这个值。"), _("可选：%s。") % "、".join(known))
        raise Invalid(_("有字段不正确。"), errors=[wrong])
    return value
