"""Comparisons with a number: one table for SQL, for words and for what zero means."""

import operator
from collections.abc import Callable
from typing import Any

from django.utils.translation import gettext_lazy as _

from tagging.params import Param

CHOICES = (
    ("gte", _("≥")),
    ("gt", _(">")),
    ("eq", _("=")),
    ("ne", _("≠")),
    ("lte", _("≤")),
    ("lt", _("<")),
)
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
