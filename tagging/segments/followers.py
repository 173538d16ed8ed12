"""Who else keeps something true of contacts that changed rows, or a changed segment, can change: lifecycle stages.

Dynamic segments own the queue of touched contacts (`tagging.segments.due`); a follower looks at the same contacts in
the same transaction. It registers when the app starts."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Protocol

from scrm.lib.errors import FieldError
from tagging.language.changes import Touched
from tagging.language.compiler import leaves_of


class Follower(Protocol):
    """All are called in a brand's scope."""

    def touched_by(self) -> Touched | None:
        """By what it can change in this brand, apart from time; None: it follows nobody here."""

    def look_again(self, contact_ids: Collection[int], *, at: datetime) -> None:
        """Rows about these contacts were changed."""

    def trees(self) -> Sequence[tuple[str, Any]]:
        """(what it is called, its condition) of everything that it keeps."""

    def refused(self, tree: Any, path: str) -> Sequence[FieldError]:
        """What a segment that one of its trees names may not ask: it would follow itself for ever."""

    def ask_anew(self, *, at: datetime) -> None:
        """A segment that one of its trees names has another tree now."""


_FOLLOWERS: list[Follower] = []


def register(follower: Follower) -> None:
    """Called from AppConfig.ready()."""
    _FOLLOWERS.append(follower)


def all_of_them() -> Sequence[Follower]:
    """In order of registration."""
    return _FOLLOWERS


def segments_named(tree: Any) -> set[int]:
    """The segments that a valid tree names itself."""
    return {leaf["segment_id"] for _path, leaf in leaves_of(tree) if leaf["kind"] == "segment"}
