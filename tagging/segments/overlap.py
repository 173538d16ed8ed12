"""Which contacts several groups share: every region of the picture at once, in one pass over the contacts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _

from scrm.lib.errors import FieldError, Invalid
from tagging.language import compiler
from tagging.language.conditions import Frame, sampled
from tagging.language.sql import Sql, prepare
from tagging.models import Segment
from tenants.scope import current_brand_id

LEAST, MOST = 2, 5
SAMPLE_ABOVE = 200_000
"""brands of more contacts are read by sample unless asked otherwise"""
MASK = 15


@dataclass(frozen=True, slots=True)
class Region:
    """Contacts who are in exactly these groups and in none of the others."""

    inside: tuple[int, ...]
    """places in the list of groups, ascending"""
    count: int


@dataclass(frozen=True, slots=True)
class Overlap:
    """`sizes[i]`: how many are in group i; `shared`: in all of these, whatever else; `regions` do not overlap."""

    sizes: tuple[int, ...]
    shared: tuple[Region, ...]
    """pairs and larger, in order of size of the combination"""
    regions: tuple[Region, ...]
    """largest first; those of nobody are left out, as is the region outside all groups"""
    outside: int
    contacts: int
    method: str
    """"sample": scaled from a 16th; "exact" """
    at: datetime


def overlap(trees: Sequence[Any], at: datetime, *, is_exact: bool | None = None) -> Overlap:
    """How 2 to 5 trees overlap at `at`. Scoped. Large brands by sample unless `is_exact`. Raises Invalid."""
    if not LEAST <= len(trees) <= MOST:
        message = _("请选 %(least)d 到 %(most)d 个人群。") % {"least": LEAST, "most": MOST}
        raise Invalid(message, errors=[FieldError("segments", "tagging.out_of_range", message)])
    for place, tree in enumerate(trees):
        compiler.validate(tree, path=f"trees[{place}]", depth=compiler.STORED_DEPTH)
    brand_id = current_brand_id()
    if is_exact is None:
        is_exact = _contacts(brand_id) <= SAMPLE_ABOVE
    mask = 0 if is_exact else MASK
    counted = _count(trees, Frame(brand_id=brand_id, at=at, sample=mask))
    return _told(counted, len(trees), at=at, scale=mask + 1)


def of_segments(segment_ids: Sequence[int], at: datetime, *, is_exact: bool | None = None) -> Overlap:
    """How 2 to 5 of the brand's segments overlap now. Scoped. Raises Invalid for one named twice, or not there."""
    if len(set(segment_ids)) != len(segment_ids):
        message = _("同一个人群选了两次。")
        raise Invalid(message, errors=[FieldError("segments", "tagging.twice", message, _("去掉重复的一个。"))])
    known = set(Segment.objects.filter(pk__in=segment_ids, archived_at=None).values_list("pk", flat=True))
    for place, segment_id in enumerate(segment_ids):
        if segment_id not in known:
            message = _("没有这个人群。")
            raise Invalid(message, errors=[FieldError(f"segments[{place}]", "tagging.unknown_segment", message)])
    return overlap([{"kind": "segment", "segment_id": key} for key in segment_ids], at, is_exact=is_exact)


def tree_of_region(segment_ids: Sequence[int], inside: Sequence[int]) -> dict[str, Any]:
    """The region as a tree: in these segments and in none of the others. What is shown can be saved."""
    leaves: list[Any] = [{"kind": "segment", "segment_id": segment_ids[place]} for place in inside]
    others = [{"kind": "segment", "segment_id": key} for place, key in enumerate(segment_ids) if place not in inside]
    return {"all": [*leaves, {"none": others}] if others else leaves}


def _count(trees: Sequence[Any], frame: Frame) -> dict[int, int]:
    """Bits of the groups that a contact is in → how many contacts."""
    parts: list[Sql] = [compiler.compiled(tree, frame) for tree in trees]
    bits = " | ".join(f"CASE WHEN {part.text} THEN {1 << place} ELSE 0 END" for place, part in enumerate(parts))
    inside = f" AND {sampled('c.id', frame.sample).text}" if frame.sample else ""
    with connection.cursor() as cursor:
        prepare(cursor, Sql(bits, apart=True))
        cursor.execute(
            f"SELECT x.bits, count(*) FROM (SELECT {bits} AS bits FROM contacts_contact c"  # noqa: S608
            f" WHERE c.brand_id = %s{inside}) AS x GROUP BY 1",
            [*(value for part in parts for value in part.params), frame.brand_id],
        )
        return {int(bits): int(number) for bits, number in cursor.fetchall()}


def _told(counted: dict[int, int], groups: int, *, at: datetime, scale: int) -> Overlap:
    places = range(groups)

    def in_all(some: tuple[int, ...]) -> int:
        wanted = sum(1 << place for place in some)
        return scale * sum(number for bits, number in counted.items() if bits & wanted == wanted)

    regions = [
        Region(tuple(place for place in places if bits >> place & 1), scale * number)
        for bits, number in counted.items()
        if bits
    ]
    return Overlap(
        sizes=tuple(in_all((place,)) for place in places),
        shared=tuple(Region(some, in_all(some)) for size in places[1:] for some in combinations(places, size + 1)),
        regions=tuple(sorted(regions, key=lambda region: (-region.count, region.inside))),
        outside=scale * counted.get(0, 0),
        contacts=scale * sum(counted.values()),
        method="exact" if scale == 1 else "sample",
        at=at,
    )


def _contacts(brand_id: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM (SELECT FROM contacts_contact WHERE brand_id = %s LIMIT %s) AS x",
            [brand_id, SAMPLE_ABOVE + 1],
        )
        return int(cursor.fetchone()[0])
