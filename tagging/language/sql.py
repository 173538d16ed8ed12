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
    apart: bool = False
    """holds a sub-select that cannot become a join: it is evaluated apart, by every parallel worker anew"""

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


def among(column: str, items: Sequence[Any], type_: str) -> Sql:
    """Whether a column is one of these values of a PostgreSQL type; a single value costs a third less than a list."""
    if len(items) == 1:
        return Sql(f"{column} = %s::{type_}", (items[0],))
    return Sql(f"{column} = ANY (%s::{type_}[])", (list(items),))


def _joined(parts: Sequence[Sql], word: str, empty: Sql) -> Sql:
    if not parts:
        return empty
    if len(parts) == 1:
        return parts[0]
    text = f"({word.join(part.text for part in parts)})"
    apart = any(part.apart for part in parts) or (word == " OR " and "(SELECT " in text)
    return Sql(text, tuple(value for part in parts for value in part.params), apart=apart)


def prepare(cursor: Any, asked: Sql) -> None:
    """Set the transaction up for statements about a whole brand that ask this. The settings end with it."""
    # What is asked apart takes most of the time, and the planner does not see that workers repeat it: two workers and
    # their leader made the same hashes of a million events three times.
    workers = "0" if asked.apart else "DEFAULT"
    settings = {
        # Hashing a brand's events spills to disk in PostgreSQL's usual 4 MB.
        "work_mem": "'64MB'",
        "max_parallel_workers_per_gather": workers,
        # A brand is asked the same way whoever else is in the tables: else it is scanned from end to end as long as it
        # is nearly alone in them, and whether sets are merged or hashed turns with the depth of the shared indexes.
        "enable_seqscan": "off",
        "enable_mergejoin": "off",
        # Where a small table has to be scanned all the same, its price would call the compiler.
        "jit": "off",
    }
    cursor.execute("; ".join(f"SET LOCAL {name} TO {value}" for name, value in settings.items()))
