"""Comparisons with a number: one table for SQL, for words and for what zero means."""

import operator
from collections.abc import Callable
from typing import Any

from django.utils.translation import gettext_lazy as _

from tagging.language.params import Param
from tagging.language.sql import Sql

CHOICES = (
    ("gte", _("≥")),
    ("gt", _(">")),
    ("eq", _("=")),
    ("ne", _("≠")),
    ("lte", _("≤")),
    ("lt", _("<")),
)
BETWEEN = ("between", _("介于"))
"""with a value of [low, high], both included"""
OP = Param("op", _("比较"), "choice", required=True, choices=CHOICES)
SQL_OF = {"gte": ">=", "gt": ">", "eq": "=", "ne": "<>", "lte": "<=", "lt": "<"}
SIGN_OF = {"gte": "≥", "gt": ">", "eq": "=", "ne": "≠", "lte": "≤", "lt": "<"}
OPPOSITE = {"gte": "lt", "gt": "lte", "eq": "ne", "ne": "eq", "lte": "gt", "lt": "gte"}
_TEST: dict[str, Callable[[Any, Any], bool]] = {
    "gte": operator.ge,
    "gt": operator.gt,
    "eq": operator.eq,
    "ne": operator.ne,
    "lte": operator.le,
    "lt": operator.lt,
}


def holds(op: str, left: int, right: int) -> bool:
    """Whether `left op right`."""
    return _TEST[op](left, right)


def includes(op: str, number: int, value: Any) -> bool:
    """`holds`, also for between."""
    return bool(value[0] <= number <= value[1]) if op == "between" else holds(op, number, value)


def sql(expression: Sql, op: str, value: Any, *, negated: bool = False) -> Sql:
    """`expression op value` in SQL; negated, its opposite. NULL if the expression is."""
    if op == "between":
        word = "NOT BETWEEN" if negated else "BETWEEN"
        return Sql(f"{expression.text} {word} %s AND %s", (*expression.params, *value))
    sign = SQL_OF[OPPOSITE[op] if negated else op]
    return Sql(f"{expression.text} {sign} %s", (*expression.params, value))


def phrase(op: str, value: Any, said: Callable[[Any], str] = str) -> str:
    """`≥ 3`, `介于 3–5`; `said` puts one number into words."""
    if op == "between":
        return f"{said(value[0])}–{said(value[1])}"
    return f"{SIGN_OF[op]} {said(value)}"
