"""Segments that ask about other segments: no circles, not too deep, and how one is put in the other's place."""

from collections.abc import Iterator, Mapping
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
    """What is wrong with the segments that a valid tree names, which are there. Scoped; a query a level.

    `segment_id`: the segment whose tree this is to be. Then those that name it are asked too: what is small enough by
    itself may be too much where others have put it in."""
    named = [(place, leaf["segment_id"]) for place, leaf in compiler.leaves_of(tree, path) if leaf["kind"] == KIND]
    users = [] if segment_id is None else _users(segment_id)
    if not named and not users:
        return
    known = _all_named([*(target for _place, target in named), *(user.pk for user in users)])
    trees: dict[int | None, Any] = {key: segment.tree for key, segment in known.items()}
    web = _Web(trees | {segment_id: tree})
    circles = [(place, way) for place, target in named if (way := web.way(target, segment_id))]
    for place, way in circles:
        yield _circle(place, [known[key].name for key in way if key in known])
    if circles:  # of what has no end nothing can be measured
        return
    for place, target in named:
        if web.length(target) > MAX_CHAIN:
            yield FieldError(
                f"{place}.segment_id",
                "tagging.too_deep",
                _("人群一个引用一个，超过 %(most)d 层。") % {"most": MAX_CHAIN},
                _("把最里面的条件直接写进来。"),
            )
    leaves = web.size_of(tree)
    if leaves > MAX_LEAVES:
        yield FieldError(
            path,
            "tagging.too_many_conditions",
            _("连同引用的人群共有 %(n)d 个条件，最多 %(most)d 个。") % {"n": leaves, "most": MAX_LEAVES},
            _("少引用几个人群，或简化它们的条件。"),
        )
        return
    for user in users:
        yield from _too_much(user, web, path)


def inlined(tree: Any) -> Any:
    """The tree with other segments' trees in place of their names; static segments keep theirs. Scoped."""
    targets = _targets(tree)
    return _placed(tree, _all_named(targets)) if targets else tree


def named_by(segment_id: int) -> list[Segment]:
    """The segments, not archived, whose trees ask about this one. Scoped."""
    # A brand has some hundreds of segments; their trees are read as they are listed.
    others = Segment.objects.filter(archived_at=None).exclude(pk=segment_id).order_by("id")
    return [other for other in others if segment_id in _targets(other.tree)]


class _Web:
    """Which segment names which. Each is walked once, however often it is named."""

    def __init__(self, trees: Mapping[int | None, Any]) -> None:
        self._trees = trees
        self._lengths: dict[int | None, int] = {}
        self._sizes: dict[int | None, int] = {}

    def way(self, start: int, home: int | None) -> list[int]:
        """How one gets from `start` to `home`, both named; empty if one does not."""
        came_from: dict[int, int | None] = {start: None}
        waiting = [start]
        while waiting:
            here = waiting.pop()
            if here == home:
                way: list[int] = []
                step: int | None = here
                while step is not None:
                    way.insert(0, step)
                    step = came_from[step]
                return way
            for target in self._named(here):
                if target not in came_from:
                    came_from[target] = here
                    waiting.append(target)
        return []

    def length(self, key: int | None) -> int:
        """Segments one behind the other, this one too; 0 for one that is not there."""
        if key not in self._lengths:
            inner = (self.length(target) for target in self._named(key))
            self._lengths[key] = 1 + max(inner, default=0) if key in self._trees else 0
        return self._lengths[key]

    def size(self, key: int | None) -> int:
        """Leaves, with those of all that it names."""
        if key not in self._sizes:
            self._sizes[key] = self.size_of(self._trees[key]) if key in self._trees else 0
        return self._sizes[key]

    def size_of(self, tree: Any) -> int:
        """The same of a tree in hand."""
        own = sum(1 for _leaf in compiler.leaves_of(tree))
        return own + sum(self.size(target) for target in _targets(tree))

    def _named(self, key: int | None) -> list[int]:
        return _targets(self._trees[key]) if key in self._trees else []


def _circle(place: str, names: list[str]) -> FieldError:
    return FieldError(
        f"{place}.segment_id",
        "tagging.segment_cycle",
        _("人群不能引用自己，这里绕了一圈：%(names)s。") % {"names": " → ".join(names)},
        _("去掉其中一处引用。"),
    )


def _too_much(user: Segment, web: _Web, path: str) -> Iterator[FieldError]:
    """What the changed tree makes of a segment that names it."""
    remedy = _("先从“%(name)s”里去掉引用，或简化现在的条件。") % {"name": user.name}
    if web.length(user.pk) > MAX_CHAIN + 1:
        message = _("“%(name)s”引用了这个人群，这样一来会一个引用一个，超过 %(most)d 层。")
        yield FieldError(path, "tagging.too_deep", message % {"name": user.name, "most": MAX_CHAIN}, remedy)
    elif web.size(user.pk) > MAX_LEAVES:
        message = _("“%(name)s”引用了这个人群，这样一来会有 %(n)d 个条件，最多 %(most)d 个。")
        said = {"name": user.name, "n": web.size(user.pk), "most": MAX_LEAVES}
        yield FieldError(path, "tagging.too_many_conditions", message % said, remedy)


def _users(segment_id: int) -> list[Segment]:
    """The segments, not archived, that name this one, themselves or by others."""
    waiting, users = {segment_id}, dict[int, Segment]()
    others = [(other, set(_targets(other.tree))) for other in Segment.objects.filter(archived_at=None)]
    while waiting:
        found = {other.pk: other for other, targets in others if targets & waiting and other.pk not in users}
        users |= found
        waiting = found.keys() - {segment_id}
    users.pop(segment_id, None)
    return sorted(users.values(), key=lambda user: user.pk)


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


def _placed(node: Any, known: Mapping[int, Segment]) -> Any:
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
