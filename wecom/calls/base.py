"""What every section of calls builds on: the transport, and how WeCom's JSON becomes typed values."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from wecom.transport import Transport

Json = dict[str, Any]


class Calls:
    """A section of WeCom's API. Every call raises the errors of wecom.errors and nothing else."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def _get(self, api: str, **params: Any) -> Json:
        return self.transport.call("get", api, params=params)

    def _post(self, api: str, body: Mapping[str, Any]) -> Json:
        return self.transport.call("post", api, body=given(body))

    def _post_once(self, api: str, body: Mapping[str, Any]) -> Json:
        """A call that creates or sends: never repeated, so that an unclear end is OutcomeUnknown."""
        return self.transport.call("post", api, body=given(body), repeatable=False)


def given(body: Mapping[str, Any]) -> Json:
    """The body without what is None: an absent field leaves things as they are, an empty one clears them."""
    return {name: value for name, value in body.items() if value is not None}


def moment(seconds: Any) -> datetime | None:
    """WeCom's Unix seconds, a number or digits in a string, as an aware UTC time; None when absent or 0."""
    try:
        number = int(seconds or 0)
    except ValueError:
        return None
    return datetime.fromtimestamp(number, UTC) if number > 0 else None


def seconds(at: datetime) -> int:
    """Unix seconds of an aware time."""
    return int(at.timestamp())


def cursor_of(answer: Json) -> str:
    """The next page's cursor, empty at the end."""
    return str(answer.get("next_cursor") or "")


def content(text: str, attachments: list[Json]) -> Json:
    """Text and attachments as mass sends, welcomes and moments take them; what is empty is left out."""
    return {
        **({"text": {"content": text}} if text else {}),
        **({"attachments": attachments} if attachments else {}),
    }
