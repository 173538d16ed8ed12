"""What the modules of the control surface share: reading a request, answering, saying what is wrong."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from wecom.simulator.engine import Engine
from wecom.simulator.world import Callback, Corp

ENGINE: web.AppKey[Engine] = web.AppKey("engine", Engine)

Answer = dict[str, Any]


class BadRequest(Exception):
    """A control request that cannot be met; the message names the field."""


async def body_of(request: web.Request) -> Answer:
    """The JSON object of a request, {} without a body. Raises BadRequest."""
    try:
        body = await request.json() if request.can_read_body else {}
    except ValueError as error:
        raise BadRequest(f"not JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadRequest("the body must be an object")
    return body


def text_of(body: Answer, name: str) -> str:
    """A required string. Raises BadRequest."""
    if not isinstance(body.get(name), str) or not body[name]:
        raise BadRequest(f"{name}: missing")
    return str(body[name])


def text_or_none(body: Answer, name: str) -> str | None:
    """A string, None when it is absent, null or empty. Raises BadRequest."""
    return text_of(body, name) if body.get(name) not in (None, "") else None


def number_of(body: Answer, name: str, default: float) -> float:
    """A number. Raises BadRequest."""
    try:
        return float(body.get(name, default))
    except (TypeError, ValueError) as error:
        raise BadRequest(f"{name}: must be a number") from error


def list_of(body: Answer, name: str) -> list[str] | None:
    """A list of strings, None when it is absent or null. Raises BadRequest."""
    value = body.get(name)
    if value is not None and not (isinstance(value, list) and all(isinstance(each, str) for each in value)):
        raise BadRequest(f"{name}: must be a list of strings or null")
    return value


def receiver_of(body: Answer) -> Callback | None:
    """The url, token and aes_key of a receiver, None for {"url": ""}. Raises BadRequest."""
    if body.get("url") == "":
        return None
    callback = Callback(text_of(body, "url"), text_of(body, "token"), text_of(body, "aes_key"))
    check_keys(callback.token, callback.aes_key)
    return callback


def check_keys(token: str, aes_key: str) -> None:
    """Raises BadRequest for what the console would not take."""
    if len(aes_key) != 43 or not 1 <= len(token) <= 32:
        raise BadRequest("aes_key needs 43 characters, token 1 to 32")


def corp_named(engine: Engine, body: Answer) -> Corp:
    """The corp of a body's corpid, its own or one that a provider sees. Raises BadRequest."""
    corp = engine.suites.corp_behind(engine.world, str(body.get("corpid", "")))
    if corp is None:
        raise BadRequest("corpid: unknown")
    return corp


def reply(body: Any, *, status: int = 200) -> web.Response:
    """An answer in JSON."""
    return web.Response(text=json.dumps(body, ensure_ascii=False), status=status, content_type="application/json")
