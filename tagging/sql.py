"""Pieces of SQL with their parameters. Values never enter the text; they travel beside it as `%s` parameters."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Sql:
    """A boolean or scalar expression. A boolean one is two-valued: its maker sees to it that it is never NULL."""

    core: str
    params: tuple[Any, ...] = ()
    inverted: bool = False
    """kept apart from the text, so that two negations meet as none and the planner sees plain anti-joins"""

    @property
    def text(self) -> str:
        """The expression, to be used with `params`."""
        return f"NOT ({self.core})" if self.inverted else self.core

    def __invert__(self) -> "Sql":
        return replace(self, inverted=not self.inverted)


TRUE = Sql("TRUE")
FALSE = Sql("FALSE")


def all_of(parts: Sequence[Sql]) -> Sql:
    """Every part holds; of no parts, true."""
    return _joined(parts, " AND ", TRUE)


def any_of(parts: Sequence[Sql]) -> Sql:
    """At least one part holds; of no parts, false."""
    return _joined(parts, " OR ", FALSE)


def exists(source: "str | Sql", where: Sequence[Sql], *, select: str = "1") -> Sql:
    """EXISTS over `source`; the planner makes a semi-join of it, and an anti-join of its negation."""
    table = source if isinstance(source, Sql) else Sql(source)
    condition = all_of(where)
    return Sql(
        f"EXISTS (SELECT {select} FROM {table.core} WHERE {condition.text})",  # noqa: S608
        (*table.params, *condition.params),
    )


def _joined(parts: Sequence[Sql], word: str, empty: Sql) -> Sql:
    if not parts:
        return empty
    if len(parts) == 1:
        return parts[0]
    return Sql(f"({word.join(part.text for part in parts)})", tuple(value for part in parts for value in part.params))
