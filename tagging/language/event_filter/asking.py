"""A filter as SQL over the log."""

from typing import Any

from tagging.language import compare
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
from tagging.language.sql import Sql, among, any_of


def conditions_sql(where: Where, *, event: str, alias: str = "e") -> list[Sql]:
    """The entries of a valid filter as conditions on events_event AS alias. NULL stands for false."""
    return [comparison_sql(test, alias) for test in tests_of(where, event=event)]


def number_of(prop: str, alias: str = "e") -> Sql:
    """The property as a whole number; NULL for anything else."""
    return Sql(f"{alias}.{prop}") if prop in NUMBER_COLUMNS else Sql(f"event_number({alias}.props, %s)", (prop,))


def text_of(prop: str, alias: str = "e") -> Sql:
    """The property as text; NULL for anything else (category and product_id are text whatever was sent)."""
    if prop in TEXT_COLUMNS:
        return Sql(f"{alias}.{prop}")
    return Sql(
        f"CASE WHEN jsonb_typeof({alias}.props -> %s) = 'string' THEN {alias}.props ->> %s END",
        (prop, prop),
    )


def comparison_sql(test: Comparison, alias: str) -> Sql:
    """One comparison on events_event (or its columns) AS alias. NULL stands for false."""
    missing = Sql(f"coalesce(jsonb_typeof({alias}.props -> %s), 'null') = 'null'", (test.prop,))
    if test.op in PRESENCE:
        return missing if test.op == "is_missing" else Sql(f"({missing.core}) IS FALSE", missing.params)
    made = _compared(test, alias)
    return any_of([made, missing]) if test.or_missing else made


def _compared(test: Comparison, alias: str) -> Sql:
    op, value = test.op, test.value
    if op in ORDER_OPS:
        number = number_of(test.prop, alias)
        if op == "between":
            return Sql(f"{number.core} BETWEEN %s AND %s", (*number.params, *value))
        return Sql(f"{number.core} {compare.SQL_OF[op]} %s", (*number.params, value))
    if op in TEXT_OPS:
        text = text_of(test.prop, alias)
        form = {"contains": "strpos({}, %s) > 0", "starts_with": "starts_with({}, %s)", "regexp": "({}) ~ %s"}[op]
        return Sql(form.format(text.core), (*text.params, value))
    same = _same(test.prop, values(value), alias)
    if op in ("eq", "in"):
        return same
    exists = f"coalesce(jsonb_typeof({alias}.props -> %s), 'null') <> 'null'"
    return Sql(f"({exists} AND NOT coalesce({same.core}, FALSE))", (test.prop, *same.params))


def _same(prop: str, items: list[Any], alias: str) -> Sql:
    if prop in TEXT_COLUMNS and all(isinstance(item, str) for item in items):
        return among(f"{alias}.{prop}", items, "text")
    if prop in NUMBER_COLUMNS and all(is_whole(item) for item in items):
        return among(f"{alias}.{prop}", items, "bigint")
    parts = [f"to_jsonb(%s::{_sql_type(item)})" for item in items]
    return Sql(f"{alias}.props -> %s IN ({', '.join(parts)})", (prop, *items))


def _sql_type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "bigint" if is_whole(value) else "text"
