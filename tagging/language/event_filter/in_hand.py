"""A filter and an event in hand: what the SQL would say of it, without asking."""

from collections.abc import Callable, Sequence
from typing import Any

from events.reactors import EventRow
from tagging.language import compare, matching
from tagging.language.event_filter.grammar import (
    NUMBER_COLUMNS,
    ORDER_OPS,
    PRESENCE,
    TEXT_COLUMNS,
    TEXT_OPS,
    Comparison,
    Where,
    tests_of,
)
from tagging.language.params import is_whole, values


def matches(where: Where, *, event: str, row: EventRow) -> bool:
    """Whether an event in hand passes a valid filter: what the SQL would say."""
    return passes(tests_of(where, event=event), row)


def passes(tests: Sequence[Comparison], row: EventRow) -> bool:
    """The same for a filter that was taken apart once for many events."""
    return all(_matches(test, row) for test in tests)


def _matches(test: Comparison, row: EventRow) -> bool:
    missing = row.props.get(test.prop) is None
    if test.op in PRESENCE:
        return missing == (test.op == "is_missing")
    if missing:
        return test.or_missing
    return _compares(test, row)


def _compares(test: Comparison, row: EventRow) -> bool:
    if test.op in ORDER_OPS:
        number = _number(test.prop, row)
        if number is None:
            return False
        if test.op == "between":
            low, high = test.value
            return bool(low <= number <= high)
        return compare.holds(test.op, number, test.value)
    if test.op in TEXT_OPS:
        text = _text(test.prop, row)
        return text is not None and _TEXT_TESTS[test.op](text, test.value)
    return _is_same(test.prop, values(test.value), row) == (test.op in ("eq", "in"))


_TEXT_TESTS: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda text, part: part in text,
    "starts_with": str.startswith,
    "regexp": lambda text, pattern: matching.matches(pattern, text),
}


def _is_same(prop: str, items: list[Any], row: EventRow) -> bool:
    if prop in TEXT_COLUMNS and all(isinstance(item, str) for item in items):
        return getattr(row, prop) in items
    if prop in NUMBER_COLUMNS and all(is_whole(item) for item in items):
        return getattr(row, prop) in items
    found = row.props.get(prop)
    return any(found == item and isinstance(found, bool) == isinstance(item, bool) for item in items)


def _text(prop: str, row: EventRow) -> str | None:
    found = getattr(row, prop) if prop in TEXT_COLUMNS else row.props.get(prop)
    return found if isinstance(found, str) else None


def _number(prop: str, row: EventRow) -> int | None:
    """The property as `event_number` of the database reads it: whole, cut towards zero; null for anything else."""
    if prop in NUMBER_COLUMNS:
        column: int | None = getattr(row, prop)
        return column
    found = row.props.get(prop)
    if isinstance(found, bool) or not isinstance(found, int | float) or not abs(found) < 9e18:
        return None
    return int(found)
