"""What all kinds of answers share."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, Self, TypeVar

T = TypeVar("T")


class OpenEnum(IntEnum):
    """WeCom's numbers with names; one that WeCom adds later is kept as it is, without a name of ours."""

    @classmethod
    def _missing_(cls, value: object) -> "Self | None":
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)
        member._name_ = f"UNKNOWN_{value}"
        member._value_ = value
        return member


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page; iterating gives its items. An empty `next_cursor` is the end, a short or empty page is not.

    Cursors are short-lived: never store one for later; on a bad one start from the beginning."""

    items: list[T]
    next_cursor: str = ""

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True, slots=True)
class ItemRefusal:
    """One item that WeCom refused while it took the others: its id, WeCom's number and our word for it."""

    id: str
    errcode: int
    code: str
