"""The frame of the REST API: problem details (RFC 9457), idempotent creates, cursor pages."""

import hashlib
import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from django.core import signing
from django.db import models
from django.http import Http404
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework import exceptions, serializers
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder
from rest_framework.views import APIView

from scrm.lib import errors
from scrm.lib.ids import made_id
from tenants.api_auth import HasScope, KeyThrottle, Principal
from tenants.models import IdempotentResponse
from tenants.scope import brand_scope

STATUS_OF = {
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Forbidden: 403,
    errors.Refused: 422,
}
MAX_PAGE = 200


class BrandAPIView(APIView):
    """A view of one brand's data, called with an API key. Set `scope = "points:read"` or `scopes = {"GET": …}`."""

    permission_classes = [HasScope]
    throttle_classes = [KeyThrottle]

    @property
    def caller(self) -> Principal:
        """Who calls."""
        return self.request.user  # type: ignore[return-value]

    @property
    def brand_id(self) -> int:
        """The brand of the caller's key."""
        return self.caller.brand_id

    def validated(self, serializer: type[serializers.Serializer], data: Any = None) -> dict[str, Any]:
        """The body (or `data`), checked; raises a 422 that names the fields."""
        checked = serializer(data=self.request.data if data is None else data)
        checked.is_valid(raise_exception=True)
        return dict(checked.validated_data)

    def idempotent(self, act: Callable[[], tuple[int, Mapping[str, Any]]]) -> Response:
        """Run a creating act in the brand's scope, at most once per Idempotency-Key.

        `act` returns (status, JSON body). Its effects and the stored answer are one transaction; a repeat with the same
        body gets that answer with `Idempotent-Replayed: true`, with another body 409 `key.reused`."""
        key = self.request.headers.get("Idempotency-Key", "")
        if not key or len(key) > 200:
            raise errors.Invalid(
                _("这个请求需要 Idempotency-Key（1–200 个字符）。"),
                remedy=_("每次新的操作用一个新的键；重试时用同一个键。"),
                code="key.missing",
            )
        digest = hashlib.sha256(json.dumps(self.request.data, sort_keys=True).encode()).hexdigest()
        row_id = made_id(self.brand_id, self.caller.key_id, self.request.method, self.request.path, key)
        with brand_scope(self.brand_id):
            fresh = IdempotentResponse(id=row_id, body_hash=digest, created_at=timezone.now())
            IdempotentResponse.objects.bulk_create([fresh], ignore_conflicts=True)
            # Waits here for a first call that is still running: its row is locked until it commits.
            row = IdempotentResponse.objects.select_for_update(of=("self",)).get(pk=row_id)
            if row.body_hash != digest:
                raise errors.Conflict(
                    _("这个 Idempotency-Key 已用于另一个请求体。"),
                    remedy=_("换一个新的键。"),
                    code="key.reused",
                )
            if row.status is not None:
                return Response(row.response, status=row.status, headers={"Idempotent-Replayed": "true"})
            code, body = act()
            body = _plain(body)
            IdempotentResponse.objects.filter(pk=row_id).update(status=code, response=body)
        return Response(body, status=code)

    def page(self, queryset: "models.QuerySet[Any]", *, key: str, out: Callable[[Any], Any]) -> Response:
        """One page of `queryset` by its unique column `key`, ascending: `{items, next_cursor}`. Scoped."""
        limit = _limit(self.request.query_params.get("limit", "50"))
        after = self.request.query_params.get("cursor")
        if after:
            queryset = queryset.filter(**{f"{key}__gt": _opened(after)})
        rows = list(queryset.order_by(key)[: limit + 1])
        more = len(rows) > limit
        rows = rows[:limit]
        cursor = signing.dumps(str(getattr(rows[-1], key)), salt="cursor") if more else None
        return Response({"items": [out(row) for row in rows], "next_cursor": cursor})


def _plain(body: Mapping[str, Any]) -> Any:
    """The body as its JSON will read, so that a replay is the same to the letter."""
    return json.loads(json.dumps(body, cls=JSONEncoder, ensure_ascii=False))


def problem_response(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's exception handler: every refusal becomes problem details; anything else is a bug and stays a 500."""
    if isinstance(error, errors.DomainError):
        code = next((number for kind, number in STATUS_OF.items() if isinstance(error, kind)), 422)
        return _problem(code, error.problem_code, error.detail, error.remedy, [_field(e) for e in error.errors])
    if isinstance(error, Http404):
        return _problem(404, "not_found", _("没有找到。"))
    if isinstance(error, exceptions.ValidationError):
        return _problem(422, "invalid", _("有字段不正确。"), errors=_flatten(error.detail))
    if isinstance(error, exceptions.APIException):
        return _problem(error.status_code, _name_of(error), error.detail, headers=_headers_of(error))
    return None


def _name_of(error: exceptions.APIException) -> str:
    return "rate.limited" if isinstance(error, exceptions.Throttled) else str(error.default_code)


def _headers_of(error: exceptions.APIException) -> dict[str, str]:
    told = {"Retry-After": getattr(error, "wait", None), "WWW-Authenticate": getattr(error, "auth_header", None)}
    return {name: str(value) for name, value in told.items() if value}


def _problem(
    code: int,
    name: str,
    detail: Any,
    remedy: Any = "",
    errors: list[dict[str, Any]] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    body = {
        "type": f"/api/docs/#{name}",
        "title": HTTPStatus(code).phrase,
        "status": code,
        "detail": str(detail),
        "code": name,
        "errors": errors or [],
        **({"remedy": str(remedy)} if remedy else {}),
    }
    return Response(body, status=code, headers=headers, content_type="application/problem+json")


def _field(error: errors.FieldError) -> dict[str, Any]:
    return {
        "field": error.field,
        "code": error.code,
        "message": str(error.message),
        "remedy": str(error.remedy),
    }


def _flatten(detail: Any, path: str = "") -> list[dict[str, Any]]:
    if isinstance(detail, Mapping):
        return [row for name, inner in detail.items() for row in _flatten(inner, f"{path}.{name}".lstrip("."))]
    if isinstance(detail, list) and detail and not isinstance(detail[0], str):
        return [row for index, inner in enumerate(detail) for row in _flatten(inner, f"{path}.{index}".lstrip("."))]
    messages = detail if isinstance(detail, list) else [detail]
    return [
        {"field": path, "code": getattr(message, "code", "invalid"), "message": str(message), "remedy": ""}
        for message in messages
    ]


def _limit(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= MAX_PAGE:
        raise errors.Invalid(
            errors=[errors.FieldError("limit", "limit.range", _("limit 应在 1 到 %d 之间。") % MAX_PAGE)],
            detail=_("有字段不正确。"),
        )
    return int(text)


def _opened(cursor: str) -> str:
    try:
        return str(signing.loads(cursor, salt="cursor"))
    except signing.BadSignature as bad:
        raise errors.Invalid(
            errors=[errors.FieldError("cursor", "cursor.bad", _("cursor 不是本接口给出的。"), _("从头开始翻页。"))],
            detail=_("有字段不正确。"),
        ) from bad
