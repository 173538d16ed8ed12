"""Statements over a set of rows: the rows travel as one JSON parameter, `json_to_recordset` gives them their types.

What is known of them only later (ids, say) travels beside it as an array: `ROWS FROM (…)` puts the two together."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import connection


def execute(sql: str, **params: Any) -> list[tuple[Any, ...]]:
    """Run one statement with %(name)s parameters; its rows, or none."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall() if cursor.description else []


def touched(sql: str, **params: Any) -> int:
    """Run one statement; how many rows it wrote."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return int(cursor.rowcount)


def as_json(rows: Iterable[Mapping[str, object]]) -> str:
    """The rows as the text of a JSON array. Datetimes and UUIDs become their text, which PostgreSQL reads."""
    return json.dumps(list(rows), default=str, ensure_ascii=False)


def as_array(values: Iterable[object]) -> str:
    """Numbers or UUIDs as the text of a PostgreSQL array; None is NULL."""
    return "{" + ",".join("NULL" if value is None else str(value) for value in values) + "}"


def clean(text: str, longest: int) -> str:
    """`text` as a column takes it: without NUL and lone surrogates (peers send both), at most `longest` characters."""
    return text.replace("\x00", "").encode("utf-8", "ignore").decode()[:longest]
