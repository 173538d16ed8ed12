"""Refusals of the REST API as problem details (RFC 9457): what is wrong, with which field, and what to do."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.http import Http404
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework import exceptions, serializers
from rest_framework.response import Response

from scrm.lib import errors

STATUS_OF = {
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Forbidden: 403,
    errors.Refused: 422,
}
CORRECT_IT = gettext_lazy("改正这个字段后重试；每个字段的要求见 /api/docs/。")
# By the codes of REST framework's fields; others get CORRECT_IT.
FIELD_REMEDIES = {
    "required": gettext_lazy("补上这个字段。"),
    "null": gettext_lazy("给它一个值。"),
    "blank": gettext_lazy("填写内容。"),
    "max_length": gettext_lazy("缩短它。"),
    "max_string_length": gettext_lazy("缩短它。"),
    "null_characters_not_allowed": gettext_lazy("去掉它再试。"),
    "surrogate_characters_not_allowed": gettext_lazy("去掉它再试。"),
}
# REST framework's own Chinese says something else.
FIELD_MESSAGES = {"null_characters_not_allowed": gettext_lazy("含有 NUL 字符（U+0000）。")}
BODY = "body"
"""the field's name when the whole body is meant"""
REMEDIES = {
    400: gettext_lazy("请求体应是 UTF-8 编码的 JSON。"),
    401: gettext_lazy("在请求头带上 Authorization: Bearer <API 密钥>；密钥在 设置 › API 密钥 新建。"),
    403: gettext_lazy("在 设置 › API 密钥 新建一个有这项权限的密钥。"),
    404: gettext_lazy("检查地址和 id。"),
    405: gettext_lazy("这个地址能用的方法见 /api/docs/。"),
    413: gettext_lazy("分成多次发送。"),
    415: gettext_lazy("用 Content-Type: application/json 发送 JSON。"),
    429: gettext_lazy("等 Retry-After 所说的秒数再试，或放慢请求。"),
}


class FieldProblem(serializers.Serializer):
    """What is wrong with one field."""

    field = serializers.CharField(help_text="its place in the body or query: variants.0.content_id, tree.all[1].event")
    code = serializers.CharField()
    message = serializers.CharField(help_text="in the language of Accept-Language: zh-Hans or en")
    remedy = serializers.CharField()


class Problem(serializers.Serializer):
    """A refusal, application/problem+json (RFC 9457). Nothing was changed."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="what happened and why, for people")
    code = serializers.CharField(help_text="the same for ever, for programs")
    errors = FieldProblem(many=True)  # type: ignore[assignment]
    remedy = serializers.CharField(required=False, help_text="what to do")


def problem_response(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's exception handler: every refusal becomes problem details; anything else is a bug and stays a 500."""
    if isinstance(error, errors.DomainError):
        code = next((number for kind, number in STATUS_OF.items() if isinstance(error, kind)), 422)
        detail = _("没有找到：%s。") % error.detail if isinstance(error, errors.Missing) else error.detail
        return _problem(code, error.problem_code, detail, error.remedy, [_field(e) for e in error.errors])
    if isinstance(error, Http404):
        return _problem(404, "not_found", _("没有找到。"))
    if isinstance(error, exceptions.ValidationError):
        return _problem(422, "invalid", _("有字段不正确。"), errors=_flatten(error.detail))
    if isinstance(error, exceptions.APIException):
        wait, challenge = getattr(error, "wait", None), getattr(error, "auth_header", None)
        headers = {"Retry-After": str(int(wait))} if wait else {}
        if challenge:
            headers["WWW-Authenticate"] = str(challenge)
        name = "rate.limited" if error.status_code == 429 else str(error.default_code)
        return _problem(error.status_code, name, error.detail, headers=headers)
    return None


def _problem(
    code: int,
    name: str,
    detail: Any,
    remedy: Any = "",
    errors: list[dict[str, Any]] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    remedy = remedy or REMEDIES.get(code, "")
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
        "remedy": str(error.remedy or CORRECT_IT),
    }


def _flatten(detail: Any, path: str = "") -> list[dict[str, Any]]:
    if isinstance(detail, Mapping):
        return [row for name, inner in detail.items() for row in _flatten(inner, f"{path}.{name}".lstrip("."))]
    if isinstance(detail, list) and detail and not isinstance(detail[0], str):
        return [row for index, inner in enumerate(detail) for row in _flatten(inner, f"{path}.{index}".lstrip("."))]
    messages = detail if isinstance(detail, list) else [detail]
    return [_said(message, path) for message in messages]


def _said(message: Any, path: str) -> dict[str, Any]:
    code = getattr(message, "code", "invalid")
    return {
        "field": path.replace("non_field_errors", BODY),
        "code": code,
        "message": str(FIELD_MESSAGES.get(code, message)),
        "remedy": str(FIELD_REMEDIES.get(code, CORRECT_IT)),
    }
