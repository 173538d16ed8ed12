"""Why a contact is in a segment or not: each leaf's verdict, with what is actually true of the contact.

Also of a past moment: by what was known then (tagging.past). A leaf without a history is judged by the present, and
says so."""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _

from scrm.lib.errors import NotFound, Refused
from tagging.language import compiler, past, readable, references, windows
from tagging.language.conditions import Frame, Leaf, Names
from tagging.language.sql import Sql
from tenants.scope import current_brand_id


class NotYetKnown(Refused):
    """The contact came later than the moment that is asked about."""

    code = "tagging.not_yet_known"


@dataclass(slots=True)
class Explanation:
    """A node's verdict. A group has `children` and no `actual`; a segment inside the tree has its tree as its child."""

    path: str
    """`tree.all[1]`, as in the errors of a wrong tree; `tree.all[1].segment…` inside another segment"""
    kind: str
    """the leaf's kind, or all, any, none"""
    held: bool
    sentence: str
    actual: Any = None
    """JSON: the value, or counts with times and event ids as evidence"""
    actual_text: str = ""
    children: list["Explanation"] = field(default_factory=list)
    next_flip_at: datetime | None = None
    """when time alone can change it next, at the earliest; None: never"""
    note: str = ""
    """of a past moment: why the leaf could not be told for it, and was judged by the present"""

    def as_json(self) -> dict[str, Any]:
        """For APIs and pages."""
        row: dict[str, Any] = {"path": self.path, "kind": self.kind, "held": self.held, "sentence": self.sentence}
        row["next_flip_at"] = self.next_flip_at
        if self.kind in compiler.GROUPS:
            return {**row, "children": [child.as_json() for child in self.children]}
        row |= {"actual": self.actual, "actual_text": self.actual_text, "note": self.note}
        return {**row, "children": [child.as_json() for child in self.children]} if self.children else row

    def failing(self) -> list["Explanation"]:
        """The innermost nodes that keep the contact out, if it is out: what the page shows first."""
        if self.held:
            return []
        if self.kind == "none":
            return [child for child in self.children if child.held]
        if self.kind not in compiler.GROUPS:
            return [self]
        return [node for child in self.children for node in child.failing()]

    def notes(self) -> list[str]:
        """What could not be told for the past moment, each thing once."""
        own = [self.note] if self.note else []
        return list(dict.fromkeys(own + [note for child in self.children for note in child.notes()]))


def explain(tree: Any, contact_id: int, at: datetime, *, known_at: datetime | None = None) -> Explanation:
    """The tree's verdict on one contact at `at`, by the same SQL that counts: one query for all leaves. Scoped.

    `known_at` (≤ at): by what was known then, from the log. Raises Invalid for a wrong tree, NotFound for a contact
    that is not the brand's, NotYetKnown for one that came after `known_at`."""
    found = explain_many(tree, [contact_id], at, known_at=known_at)
    if contact_id not in found:
        raise NotFound(_("没有这位客户。"))
    return found[contact_id]


def explain_many(
    tree: Any, contact_ids: Collection[int], at: datetime, *, known_at: datetime | None = None
) -> dict[int, Explanation]:
    """`explain` of up to some hundreds of contacts in one query; numbers that are no contacts are left out. Scoped."""
    compiler.validate(tree, depth=compiler.STORED_DEPTH)
    if not contact_ids:
        return {}
    span = (min(contact_ids), max(contact_ids))
    frame = Frame(brand_id=current_brand_id(), at=at, within=span, known_at=known_at)
    leaves = list(_leaves(tree, "tree", frame))
    verdicts = _ask(leaves, sorted(contact_ids), frame)
    names = Names(references.names_of({"all": [leaf for _path, leaf in leaves]}))
    return {who: _of(tree, "tree", found, names, frame) for who, found in verdicts.items()}


@dataclass(frozen=True, slots=True)
class _Found:
    """What the query says of one leaf."""

    held: bool
    actual: Any
    next_flip_at: datetime | None


def _leaves(tree: Any, path: str, frame: Frame) -> Iterator[tuple[str, Leaf]]:
    """The leaves, and those of the segments inside."""
    for place, leaf in compiler.leaves_of(tree, path):
        yield place, leaf
        inner = compiler.kind_of(leaf).inner(leaf, frame)
        if inner is not None:
            yield from _leaves(inner, f"{place}.segment", frame)


def _ask(leaves: list[tuple[str, Leaf]], contact_ids: list[int], frame: Frame) -> dict[int, dict[str, _Found]]:
    """Contact → path of each leaf → what is found."""
    columns, values = ["c.id", "c.created_at"], list[Any]()
    for _path, leaf in leaves:
        kind = compiler.kind_of(leaf)
        flip = kind.next_flip(leaf, frame) or Sql("NULL::timestamptz")
        for made in (kind.sql(leaf, frame), kind.actual(leaf, frame), flip):
            columns.append(made.text)
            values += made.params
    source = Sql("contacts_contact c") if frame.then is None else past.contacts(frame.then, contact_ids)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join(columns)} FROM {source.text}"  # noqa: S608
            " WHERE c.brand_id = %s AND c.id = ANY (%s::bigint[])",
            [*values, *source.params, frame.brand_id, contact_ids],
        )
        rows = cursor.fetchall()
    known = {row[0]: row for row in rows if frame.known_at is None or row[1] <= frame.known_at}
    if rows and not known:
        since = windows.local_text(max(row[1] for row in rows).isoformat(), frame.zone)
        raise NotYetKnown(
            _("那时还没有这位客户，%(since)s 才建档。") % {"since": since}, remedy=_("选一个更晚的时刻。")
        )
    return {
        who: {path: _read(row[2 + 3 * index : 5 + 3 * index]) for index, (path, _leaf) in enumerate(leaves)}
        for who, row in known.items()
    }


def _read(row: tuple[Any, ...]) -> _Found:
    held, actual, flip = row
    return _Found(bool(held), None if actual is None else json.loads(actual), flip)


def _of(node: Any, path: str, verdicts: dict[str, _Found], names: Names, frame: Frame) -> Explanation:
    group = compiler.group_of(node)
    if group is None:
        return _of_leaf(node, path, verdicts, names, frame)
    children = [
        _of(child, f"{path}.{group}[{index}]", verdicts, names, frame) for index, child in enumerate(node[group])
    ]
    held_of = [child.held for child in children]
    held = {"all": all(held_of), "any": any(held_of), "none": not any(held_of)}[group]
    made = Explanation(path, group, held, readable.sentence(node, names=names), children=children)
    made.next_flip_at = min((c.next_flip_at for c in children if c.next_flip_at is not None), default=None)
    return made


def _of_leaf(leaf: Leaf, path: str, verdicts: dict[str, _Found], names: Names, frame: Frame) -> Explanation:
    found, condition = verdicts[path], compiler.kind_of(leaf)
    made = Explanation(path, leaf["kind"], found.held, condition.sentence(leaf, names), found.actual)
    made.actual_text = condition.actual_text(leaf, found.actual, frame.zone)
    made.next_flip_at = found.next_flip_at
    made.note = str(condition.past_note(leaf)) if frame.known_at is not None else ""
    inner = condition.inner(leaf, frame)
    if inner is not None:
        made.children = [_of(inner, f"{path}.segment", verdicts, names, frame)]
    return made
