"""JSON in and out of the REST API: one encoding, a size, a depth; what cannot be read is a 400, never a 500."""

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 64
"""levels of arrays and objects; a condition tree of the deepest kind needs far fewer"""


class TooLarge(APIException):
    """413: the body would be read into memory whole."""

    status_code = 413
    default_code = "body.too_large"
    default_detail = _("请求体超过 4 MB。")


class JSONBody(BaseParser):
    """application/json as RFC 8259 has it: UTF-8 whatever the charset says, finite numbers, at most 64 levels."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        """The body's value. Raises TooLarge or ParseError."""
        request = (parser_context or {})["request"]
        if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_BYTES:
            raise TooLarge
        try:
            value = json.loads(stream.read().decode("utf-8-sig"), parse_constant=_no_number, parse_float=_finite)
        except RecursionError as deep:
            raise _too_deep() from deep
        except ValueError as bad:
            raise ParseError(_("请求体不是 JSON：%s") % bad) from bad
        if _is_deeper(value, MAX_DEPTH):
            raise _too_deep()
        return value


class JSONAnswer(JSONRenderer):
    """JSON in readable UTF-8. What cannot be (half a surrogate pair out of the request, quoted) is escaped."""

    def render(self, data: Any, accepted_media_type: Any = None, renderer_context: Any = None) -> bytes:
        """The body's bytes."""
        try:
            return super().render(data, accepted_media_type, renderer_context)
        except UnicodeEncodeError:
            return _Escaped().render(data, accepted_media_type, renderer_context)


class _Escaped(JSONRenderer):
    ensure_ascii = True


def _is_deeper(value: Any, most: int) -> bool:
    """Whether lists and dicts lie in each other more than `most` times. Level by level: no recursion."""
    level = [value]
    for _depth in range(most):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def _too_deep() -> ParseError:
    return ParseError(_("请求体嵌套太深，最多 %d 层。") % MAX_DEPTH)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is out of range")
    return number
