"""What every section of calls builds on: the transport, and how WeCom's JSON becomes typed values."""

import logging
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from wecom.policy import error_of
from wecom.transport import Transport, no_answer
from wecom.types import ItemRefusal

logger = logging.getLogger("wecom")

Json = dict[str, Any]
P = ParamSpec("P")
T = TypeVar("T")

_answered: ContextVar[tuple[str, bool] | None] = ContextVar("answered", default=None)
"""the API that has just answered in this thread, and whether it may be repeated"""


class Calls:
    """A section of WeCom's API. Every call raises the errors of wecom.errors and nothing else.

    An answer that lacks what it must have is no answer: Busy, or OutcomeUnknown for a call that is never repeated."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, member in list(vars(cls).items()):
            if callable(member) and not name.startswith("_"):
                setattr(cls, name, _understood(member))

    def _get(self, api: str, **params: Any) -> Json:
        return self._call("get", api, params=params)

    def _post(self, api: str, body: Mapping[str, Any]) -> Json:
        return self._call("post", api, body=given(body))

    def _post_once(self, api: str, body: Mapping[str, Any]) -> Json:
        """A call that creates or sends: never repeated, so that an unclear end is OutcomeUnknown."""
        return self._call("post", api, body=given(body), repeatable=False)

    def _plain(self, api: str, query: Mapping[str, Any]) -> Json:
        """A call that names app and secret itself."""
        answer = self.transport.call_without_token("get", api, query)
        _answered.set((api, True))
        return answer

    def _call(self, verb: str, api: str, *, repeatable: bool = True, **options: Any) -> Json:
        answer = self.transport.call(verb, api, repeatable=repeatable, **options)
        _answered.set((api, repeatable))
        return answer


def _understood(call: Callable[P, T]) -> Callable[P, T]:
    """The call, whose failure to read an answer is an error of wecom.errors."""

    @wraps(call)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
        _answered.set(None)
        try:
            return call(*args, **kwargs)
        except (LookupError, TypeError, ValueError, AttributeError) as damage:
            answered = _answered.get()
            if answered is None:  # ours: nothing was asked yet
                raise
            api, repeatable = answered
            logger.warning("wecom.answer.damaged", extra={"api": api}, exc_info=True)
            raise no_answer(api, repeatable) from damage

    return guarded


def given(body: Mapping[str, Any]) -> Json:
    """The body without what is None: an absent field leaves things as they are, an empty one clears them."""
    return {name: value for name, value in body.items() if value is not None}


def moment(seconds: Any) -> datetime | None:
    """WeCom's Unix seconds, a number or digits in a string, as an aware UTC time; None when absent, 0, or no time."""
    try:
        number = int(seconds or 0)
        return datetime.fromtimestamp(number, UTC) if number > 0 else None
    except (ValueError, OverflowError, OSError):  # what the platform says of a year that cannot be
        return None


def strings(values: Any) -> tuple[str, ...]:
    """A list of ids, or nothing, as strings."""
    return tuple(str(each) for each in values or [])


def numbers(values: Any) -> tuple[int, ...]:
    """A list of numbers, or nothing, as ints."""
    return tuple(int(each) for each in values or [])


def refusals(rows: Any, *, key: str, api: str, harmless: frozenset[int] = frozenset()) -> list[ItemRefusal]:
    """The items of an answer that were refused while the call as a whole was not; `harmless` codes mean done."""
    found = [(str(row[key]), int(row.get("errcode") or 0)) for row in rows or []]
    return [
        ItemRefusal(each, errcode, error_of(errcode, api=api).problem_code)
        for each, errcode in found
        if errcode and errcode not in harmless
    ]


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
