"""Reading a paged answer of WeCom to its end."""

from collections.abc import Callable
from typing import Any, TypeVar

from wecom.types import Page

T = TypeVar("T")


def whole(fetch: Callable[..., Page[T]], **asked: Any) -> list[T]:
    """All items of a paged call: `whole(wecom.message_tasks, msgid=…)`. Raises what the call raises."""
    found: list[T] = []
    cursor = ""
    while True:
        page = fetch(**asked, cursor=cursor)
        found += page.items
        cursor = page.next_cursor
        if not cursor:
            return found
