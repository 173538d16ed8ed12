"""The merges that one round carries out or takes back: three arrays that travel into every statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from contacts.sets import as_array, execute, touched

FROM = "unnest(%(merges)s::bigint[], %(losers)s::bigint[], %(survivors)s::bigint[]) AS p (merge_id, loser, survivor)"
"""A table of the round's merges, to be joined in a FROM clause."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Merges of one round: no contact occurs twice as loser or as survivor, and none as both."""

    brand: int
    merges: Sequence[int]
    losers: Sequence[int]
    survivors: Sequence[int]
    at: datetime

    def params(self, **more: Any) -> dict[str, Any]:
        """What FROM and our statements name."""
        return {
            "brand": self.brand,
            "merges": as_array(self.merges),
            "losers": as_array(self.losers),
            "survivors": as_array(self.survivors),
            "at": self.at,
            **more,
        }

    def write(self, sql: str, **more: Any) -> int:
        """Run one statement; how many rows it wrote."""
        return touched(sql, **self.params(**more))

    def ask(self, sql: str, **more: Any) -> list[tuple[Any, ...]]:
        """Run one statement; its rows."""
        return execute(sql, **self.params(**more))
