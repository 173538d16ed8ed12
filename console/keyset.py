"""Pages of a list by its primary key, newest first: any depth costs the same, and nothing is counted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from console.numbers import whole

ROWS = 50


@dataclass(frozen=True, slots=True)
class Shown:
    """One page. `next_before` and `previous_after` are empty at the ends."""

    rows: list[Any]
    next_before: Any
    previous_after: Any


def page_of(rows: QuerySet[Any], query: Mapping[str, str], *, size: int = ROWS) -> Shown:
    """The page that `before` or `after` in the query string ask for. One query; numbers only as keys."""
    before, after = whole(query.get("before", "")), whole(query.get("after", ""))
    if after is not None:
        shown = list(rows.filter(pk__gt=after).order_by("pk")[: size + 1])
        newer, shown = len(shown) > size, shown[:size][::-1]
        older = True
    else:
        rows = rows if before is None else rows.filter(pk__lt=before)
        shown = list(rows.order_by("-pk")[: size + 1])
        older, shown = len(shown) > size, shown[:size]
        newer = before is not None
    return Shown(shown, shown[-1].pk if shown and older else None, shown[0].pk if shown and newer else None)
