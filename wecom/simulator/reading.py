"""Reads a request of WeCom's API: its JSON, as far as that can be understood, or the `media` part (reference §1).

Nothing a client sends makes a call fail: what cannot be read is as good as not sent, and the errmsg says so.
"""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from wecom.simulator.call import Call, Endpoint, Upload
from wecom.simulator.engine import Engine

WHITESPACE = " \t\r\n"
DEEPEST = 64  # levels; nothing documented has more than six

Json = dict[str, Any]


async def read(request: web.Request, engine: Engine, target: Endpoint) -> Call:
    """Query, JSON body or the `media` part. A body sent by GET is ignored."""
    body: Json = {}
    upload: Upload | None = None
    broken = forbidden = False
    if request.method == "POST" and request.content_type.startswith("multipart/"):
        upload = await _upload(request)
    elif request.method == "POST":
        raw = await _content(request)
        body, broken = understood(raw) if raw else ({}, raw is None)
        if raw and b"\\u" in raw:
            forbidden = engine.switches.refuse_escapes or not _is_text(body)
            body = {} if forbidden else body
    return Call(
        engine=engine,
        endpoint=target,
        query=request.query,
        body=body,
        ip=request.remote or "",
        base_url=f"{request.scheme}://{request.host}",
        upload=upload,
        broken_json=broken,
        forbidden=forbidden,
        headers=request.headers,
    )


def understood(raw: bytes) -> tuple[Json, bool]:
    """(the object that a body says, whether it is broken JSON): of a body that is cut, or goes on after its end, what
    can be read. UTF-8 only. A field that is null is one that was not sent."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return {}, True
    decoder = json.JSONDecoder(parse_constant=_refuse)
    try:
        parsed, broken = decoder.decode(text), False
    except (ValueError, RecursionError):
        parsed, broken = _leading(decoder, text), True
    if text.count("{") + text.count("[") > DEEPEST and _too_deep(parsed):
        return {}, True
    fields = parsed if isinstance(parsed, dict) else {}
    return {name: value for name, value in fields.items() if value is not None}, broken


def _leading(decoder: json.JSONDecoder, text: str) -> Json:
    """The fields of an object up to where it stops being one."""
    found: Json = {}
    place = _skip(text, 0)
    if text[place : place + 1] != "{":
        return found
    try:
        while text[place : place + 1] in ("{", ","):
            name, place = decoder.raw_decode(text, _skip(text, place + 1))
            place = _skip(text, place)
            if not isinstance(name, str) or text[place : place + 1] != ":":
                break
            found[name], place = decoder.raw_decode(text, _skip(text, place + 1))
            place = _skip(text, place)
    except (ValueError, RecursionError):
        pass  # this is as far as it goes
    return found


def _too_deep(parsed: object) -> bool:
    """Whether something lies below the deepest level, found without recursion."""
    level: list[object] = [parsed]
    for _ in range(DEEPEST):
        inner: list[object] = []
        for each in level:
            if isinstance(each, dict):
                inner.extend(each.values())
            elif isinstance(each, list):
                inner.extend(each)
        level = inner
    return bool(level)


def _skip(text: str, place: int) -> int:
    """The next place that is not whitespace."""
    while place < len(text) and text[place] in WHITESPACE:
        place += 1
    return place


def _refuse(name: str) -> None:
    """NaN and Infinity: Python takes them for JSON, nobody else does."""
    raise ValueError(name)


def _is_text(body: Json) -> bool:
    """False for half a surrogate pair, which no text may have."""
    try:
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


async def _content(request: web.Request) -> bytes | None:
    """The body, None when its Content-Encoding is a lie, or the caller hung up."""
    try:
        return await request.read()
    except (web.RequestPayloadError, ConnectionResetError):
        return None


async def _upload(request: web.Request) -> Upload | None:
    """The part named `media` (`fieldNameHere` in old examples), None when there is none to be found."""
    try:
        form = await request.post()
    except (ValueError, HttpProcessingError, web.RequestPayloadError, ConnectionResetError):
        return None
    part = form.get("media") or form.get("fieldNameHere")
    if isinstance(part, web.FileField):
        return Upload(part.filename, part.file.read())
    return Upload("", part.encode() if isinstance(part, str) else bytes(part)) if part else None
