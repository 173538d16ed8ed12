"""Segments that ask about other segments: no circles, not too deep, and how one is put in the other's place."""

from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext as _

from scrm.lib.errors import FieldError
from tagging.language import compiler
from tagging.models import Segment

KIND = "segment"
MAX_CHAIN = 5
"""segments one behind the other"""
MAX_LEAVES = 200
"""leaves of a tree with all that it names in their place"""


def check(tree: Any, path: str, *, segment_id: int | None = None) -> Iterator[FieldError]:
    """What is wrong with the segments that a valid tree names, which are there. Scoped; a query a level."""
    named = [(place, leaf["segment_id"]) for place, leaf in compiler.leaves_of(tree, path) if leaf["kind"] == KIND]
    if not named:
        return
    known = _all_named([target for _place, target in named])
    for place, target in named:
        circle = _circle(target, [], known, segment_id)
        if circle:
            names = " → ".join(known[key].name for key in circle if key in known)
            yield FieldError(
                f"{place}.segment_id",
                "tagging.segment_cycle",
                _("人群不能引用自己，这里绕了一圈：%(names)s。") % {"names": names},
                _("去掉其中一处引用。"),
            )
        elif _length(target, known) > MAX_CHAIN:
            yield FieldError(
                f"{place}.segment_id",
                "tagging.too_deep",
                _("人群一个引用一个，超过 %(most)d 层。") % {"most": MAX_CHAIN},
                _("把最里面的条件直接写进来。"),
            )
    leaves = sum(1 for _leaf in compiler.leaves_of(tree)) + sum(_size(target, known) for _place, target in named)
    if leaves > MAX_LEAVES:
        yield FieldError(
            path,
            "tagging.too_many_conditions",
            _("连同引用的人群共有 %(n)d 个条件，最多 %(most)d 个。") % {"n": leaves, "most": MAX_LEAVES},
            _("少引用几个人群，或简化它们的条件。"),
        )


def inlined(tree: Any) -> Any:
    """The tree with other segments' trees in place of their names; static segments keep theirs. Scoped."""
    targets = _targets(tree)
    return _placed(tree, _all_named(targets)) if targets else tree


def named_by(segment_id: int) -> list[Segment]:
    """The segments, not archived, whose trees ask about this one. Scoped."""
    # A brand has some hundreds of segments; their trees are read as they are listed.
    others = Segment.objects.filter(archived_at=None).exclude(pk=segment_id).order_by("id")
    return [other for other in others if segment_id in _targets(other.tree)]


def _targets(tree: Any) -> list[int]:
    return [leaf["segment_id"] for _path, leaf in compiler.leaves_of(tree) if leaf["kind"] == KIND]


def _all_named(targets: list[int]) -> dict[int, Segment]:
    """The segments of these ids, and all that they name in turn."""
    known: dict[int, Segment] = {}
    wanted = set(targets)
    while wanted:
        found = Segment.objects.in_bulk(list(wanted))
        known |= found
        wanted = {target for segment in found.values() for target in _targets(segment.tree)} - known.keys()
    return known


def _circle(target: int, way: list[int], known: dict[int, Segment], home: int | None) -> list[int]:
    """The way back to where it began: to the segment that is being saved, or to one met before."""
    if target == home or target in way:
        return [*way, target]
    if target not in known:
        return []
    return next(
        (found for t in _targets(known[target].tree) if (found := _circle(t, [*way, target], known, home))),
        [],
    )


def _length(target: int, known: dict[int, Segment]) -> int:
    return 1 + max((_length(t, known) for t in _targets(known[target].tree)), default=0) if target in known else 0


def _size(target: int, known: dict[int, Segment]) -> int:
    if target not in known:
        return 0
    tree = known[target].tree
    return sum(1 for _leaf in compiler.leaves_of(tree)) + sum(_size(t, known) for t in _targets(tree))


def _placed(node: Any, known: dict[int, Segment]) -> Any:
    group = compiler.group_of(node)
    if group is not None:
        return {group: [_placed(child, known) for child in node[group]]}
    if node["kind"] != KIND:
        return node
    segment = known.get(node["segment_id"])
    if segment is None or segment.mode == Segment.Mode.STATIC:
        return node
    tree = _placed(segment.tree, known)
    return {"none": [tree]} if node.get("op") == "not_in" else {"all": [tree]}
