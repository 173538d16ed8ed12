"""The frame of the REST API: scopes, checked bodies, idempotent creates, cursor pages."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from django.core import signing
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder
from rest_framework.views import APIView

from scrm.lib import errors
from scrm.lib.ids import made_id
from scrm.lib.retries import until_done
from tenants.api_auth import HasScope, KeyThrottle, Principal
from tenants.models import IdempotentResponse
from tenants.scope import brand_scope

MAX_PAGE = 200
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    required=True,
    description="new for each act, the same for its retries; 1–200 characters",
)
"""For `extend_schema` of methods that answer with `idempotent`."""


class BrandAPIView(APIView):
    """A view of one brand's data, called with an API key. Set `scope = "points:read"` or `scopes = {"GET": …}`."""

    permission_classes = [HasScope]
    throttle_classes = [KeyThrottle]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Before every method: key, scope, limit; then a query that no column could be compared with is refused."""
        if not hasattr(self, str(request.method).lower()):
            self.http_method_not_allowed(request)
        super().initial(request, *args, **kwargs)
        unprintable = [name for name, value in request.query_params.items() if "\0" in value]
        if unprintable:
            message, remedy = _("含有 NUL 字符（U+0000）。"), _("去掉它再试。")
            raise errors.Invalid(
                _("有字段不正确。"),
                errors=[errors.FieldError(name, "text.nul", message, remedy) for name in unprintable],
            )

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
        self.validated(serializers.Serializer)  # of a call that asks for no body, too, none but an object is taken
        digest = hashlib.sha256(json.dumps(self.request.data, sort_keys=True).encode()).hexdigest()
        row_id = made_id(self.brand_id, self.caller.key_id, self.request.method, self.request.path, key)
        return until_done(lambda: self._once(row_id, digest, act))

    def _once(self, row_id: UUID, digest: str, act: Callable[[], tuple[int, Mapping[str, Any]]]) -> Response:
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

    def page(
        self, queryset: "models.QuerySet[Any]", *, key: str, latest: str = "", out: Callable[[Any], Any]
    ) -> Response:
        """One page of `queryset` by its unique column `key`, ascending: `{items, next_cursor}`. Scoped.

        With `latest`, a column of moments, the latest come first, and `key` orders those of one moment."""
        limit = _limit(self.request.query_params.get("limit", "50"))
        if after := self.request.query_params.get("cursor"):
            place, moment = _opened(after, self.request.path)
            beyond = models.Q(**{f"{key}__gt": place})
            queryset = queryset.filter(
                models.Q(**{f"{latest}__lt": moment}) | models.Q(**{latest: moment}) & beyond if latest else beyond
            )
        rows = list(queryset.order_by(*([f"-{latest}"] if latest else []), key)[: limit + 1])
        shown, more = rows[:limit], len(rows) > limit
        cursor = _sealed(shown[-1], key, latest, self.request.path) if more else None
        return Response({"items": [out(row) for row in shown], "next_cursor": cursor})


def _plain(body: Mapping[str, Any]) -> Any:
    """The body as its JSON will read, so that a replay says the same."""
    return json.loads(json.dumps(body, cls=JSONEncoder, ensure_ascii=False))


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 9) or not 1 <= int(text) <= MAX_PAGE:
        raise errors.Invalid(
            errors=[
                errors.FieldError(
                    "limit", "limit.range", _("limit 应在 1 到 %d 之间。") % MAX_PAGE, _("不带它则为 50。")
                )
            ],
            detail=_("有字段不正确。"),
        )
    return int(text)


def _salt(path: str) -> str:
    """A cursor is good for the list that gave it: another list's ids may be of another type."""
    return f"cursor:{path}"


def _sealed(last: Any, key: str, latest: str, path: str) -> str:
    moment = getattr(last, latest).isoformat() if latest else ""
    return signing.dumps([str(getattr(last, key)), moment], salt=_salt(path))


def _opened(cursor: str, path: str) -> tuple[str, str]:
    """(place, moment) of the last row shown."""
    try:
        place, moment = signing.loads(cursor, salt=_salt(path))
        return str(place), str(moment)
    except (signing.BadSignature, ValueError) as bad:
        raise errors.Invalid(
            errors=[errors.FieldError("cursor", "cursor.bad", _("cursor 不是本接口给出的。"), _("从头开始翻页。"))],
            detail=_("有字段不正确。"),
        ) from bad
