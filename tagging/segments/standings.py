"""What is true of contacts, leaf by leaf, as a number: bit n of it says that the tree's nth leaf holds.

One number per contact and segment is enough to know the verdict, which leaves have changed since, and so the reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from itertools import combinations
from operator import or_
from typing import Any

from django.db import connection

from tagging.language import changes, compiler
from tagging.language.conditions import Frame
from tagging.language.sql import Sql

MOST_TRIED = 3
"""reasons of up to so many leaves are found by trying; longer ones by leaving out what can be left out"""


@dataclass(frozen=True, slots=True)
class Found:
    """A contact as found now, beside what was known of it."""

    contact_id: int
    exists: bool
    bits: int
    due_at: datetime | None
    known_fill: int | None
    known_bits: int | None
    known_due_at: datetime | None
    entered_at: datetime | None
    """of the stay that is open, if one is"""


def touched_by(tree: Any) -> changes.Touched:
    """By what the verdict of a valid tree can change, apart from time."""
    touches = (compiler.kind_of(leaf).touched_by(leaf) for _path, leaf in compiler.leaves_of(tree))
    return reduce(or_, touches, changes.NOTHING)


def bits_sql(tree: Any, frame: Frame) -> Sql:
    """The leaves of a valid tree as a bigint."""
    parts, params = ["0::bigint"], list[Any]()
    for place, (_path, leaf) in enumerate(compiler.leaves_of(tree)):
        made = compiler.leaf_sql(leaf, frame)
        parts.append(f"CASE WHEN {made.text} THEN {1 << place}::bigint ELSE 0 END")
        params += made.params
    return Sql(f"({' | '.join(parts)})", tuple(params))


def due_sql(tree: Any, frame: Frame) -> Sql:
    """When time alone can next change any leaf of a valid tree; NULL: never."""
    moments = []
    for _path, leaf in compiler.leaves_of(tree):
        moment = compiler.kind_of(leaf).next_flip(leaf, frame)
        if moment is not None:
            moments.append(moment)
    return changes.earliest(moments) or Sql("NULL::timestamptz")


def verdict_sql(tree: Any, bits: str) -> str:
    """The tree over a column of bits: no parameters, two-valued."""
    places = {path: place for place, (path, _leaf) in enumerate(compiler.leaves_of(tree))}

    def compiled(node: Any, path: str) -> str:
        group = compiler.group_of(node)
        if group is None:
            return f"({bits} & {1 << places[path]}) <> 0"
        children = [compiled(child, f"{path}.{group}[{index}]") for index, child in enumerate(node[group])]
        if not children:
            return "FALSE" if group == "any" else "TRUE"
        joined = f"({(' AND ' if group == 'all' else ' OR ').join(children)})"
        return f"NOT {joined}" if group == "none" else joined

    return compiled(tree, "tree")


def holds(tree: Any, bits: int) -> bool:
    """The verdict of a valid tree on a contact."""
    places = {path: place for place, (path, _leaf) in enumerate(compiler.leaves_of(tree))}

    def verdict(node: Any, path: str) -> bool:
        group = compiler.group_of(node)
        if group is None:
            return bool(bits >> places[path] & 1)
        children = [verdict(child, f"{path}.{group}[{index}]") for index, child in enumerate(node[group])]
        return {"all": all(children), "any": any(children), "none": not any(children)}[group]

    return verdict(tree, "tree")


def reason(tree: Any, before: int, after: int) -> list[str]:
    """The paths of the fewest leaves whose change alone turns the verdict from `before` into that of `after`.

    Of several equally few, the first in the order of the tree. Empty if the verdicts are the same."""
    wanted = holds(tree, after)
    if holds(tree, before) == wanted:
        return []
    paths = [path for path, _leaf in compiler.leaves_of(tree)]
    flipped = [place for place in range(len(paths)) if (before ^ after) >> place & 1]
    for size in range(1, min(MOST_TRIED, len(flipped)) + 1):
        for some in combinations(flipped, size):
            if holds(tree, before ^ sum(1 << place for place in some)) == wanted:
                return [paths[place] for place in some]
    needed = list(flipped)
    for place in flipped:
        rest = [other for other in needed if other != place]
        if holds(tree, before ^ sum(1 << other for other in rest)) == wanted:
            needed = rest
    return [paths[place] for place in needed]


def look(*, brand_id: int, segment_id: int, tree: Any, contact_ids: Sequence[int], at: datetime) -> list[Found]:
    """What is true of these contacts at `at`, and what was known. Scoped; some thousands at most.

    Each contact is looked up by its full key: rows just written have no statistics to plan by."""
    frame = Frame(brand_id=brand_id, at=at, singly=True)
    bits, due = bits_sql(tree, frame), due_sql(tree, frame)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT i.id, x.id IS NOT NULL, coalesce(x.bits, 0), x.due_at, s.fill, s.bits, s.due_at, m.entered_at
                FROM unnest(%s::bigint[]) AS i (id)
                LEFT JOIN LATERAL (
                    SELECT c.id, {bits.text} AS bits, {due.text} AS due_at FROM contacts_contact c
                    WHERE c.brand_id = %s AND c.id = i.id OFFSET 0
                ) AS x ON true
                LEFT JOIN LATERAL (
                    SELECT s.fill, s.bits, s.due_at FROM tagging_segmentstanding s
                    WHERE s.brand_id = %s AND s.segment_id = %s AND s.contact_id = i.id OFFSET 0
                ) AS s ON true
                LEFT JOIN LATERAL (
                    SELECT m.entered_at FROM tagging_membership m
                    WHERE m.brand_id = %s AND m.segment_id = %s AND m.contact_id = i.id AND m.left_at IS NULL OFFSET 0
                ) AS m ON true""",  # noqa: S608
            [
                list(contact_ids),
                *bits.params,
                *due.params,
                brand_id,
                brand_id,
                segment_id,
                brand_id,
                segment_id,
            ],
        )
        return [Found(*row) for row in cursor.fetchall()]
