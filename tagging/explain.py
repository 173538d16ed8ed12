"""Why a contact is in a segment or not: each leaf's verdict, with what is actually true of the contact."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _

from scrm.lib.errors import NotFound
from tagging import compiler, readable, references
from tagging.conditions import Frame, Names
from tenants.scope import current_brand_id


@dataclass(slots=True)
class Explanation:
    """A node's verdict. A group has `children` and no `actual`."""

    path: str
    """`tree.all[1]`, as in the errors of a wrong tree"""
    kind: str
    """the leaf's kind, or all, any, none"""
    held: bool
    sentence: str
    actual: Any = None
    """JSON: the value, or counts with times and event ids as evidence"""
    actual_text: str = ""
    children: list["Explanation"] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For APIs and pages."""
        row: dict[str, Any] = {"path": self.path, "kind": self.kind, "held": self.held, "sentence": self.sentence}
        if self.children or self.kind in compiler.GROUPS:
            return {**row, "children": [child.as_json() for child in self.children]}
        return {**row, "actual": self.actual, "actual_text": self.actual_text}

    def failing(self) -> list["Explanation"]:
        """The innermost nodes that keep the contact out, if it is out: what the page shows first."""
        if self.held:
            return []
        if self.kind == "none":
            return [child for child in self.children if child.held]
        if self.kind not in compiler.GROUPS:
            return [self]
        return [node for child in self.children for node in child.failing()]


def explain(tree: Any, contact_id: int, at: datetime) -> Explanation:
    """The tree's verdict on one contact at `at`, by the same SQL that counts: one query for all leaves. Scoped.

    Raises Invalid for a wrong tree, NotFound for a contact that is not the brand's."""
    compiler.validate(tree)
    frame = Frame(brand_id=current_brand_id(), at=at, within=(contact_id, contact_id))
    verdicts = _ask(tree, contact_id, frame)
    return _of(tree, "tree", verdicts, Names(references.names_of(tree)), frame)


def _ask(tree: Any, contact_id: int, frame: Frame) -> dict[str, tuple[bool, Any]]:
    """Path of each leaf → (held, actual)."""
    leaves = list(compiler.leaves_of(tree))
    columns, values = ["TRUE"], list[Any]()
    for _path, leaf in leaves:
        for made in (compiler.leaf_sql(leaf, frame), compiler.kind_of(leaf).actual(leaf, frame)):
            columns.append(made.text)
            values += made.params
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join(columns)} FROM contacts_contact c WHERE c.brand_id = %s AND c.id = %s",  # noqa: S608
            [*values, frame.brand_id, contact_id],
        )
        row = cursor.fetchone()
    if row is None:
        raise NotFound(_("没有这位客户。"))
    return {
        path: (bool(row[1 + 2 * index]), None if row[2 + 2 * index] is None else json.loads(row[2 + 2 * index]))
        for index, (path, _leaf) in enumerate(leaves)
    }


def _of(node: Any, path: str, verdicts: dict[str, tuple[bool, Any]], names: Names, frame: Frame) -> Explanation:
    group = compiler.group_of(node)
    if group is None:
        held, actual = verdicts[path]
        condition = compiler.kind_of(node)
        said = condition.actual_text(node, actual, frame.zone)
        return Explanation(path, node["kind"], held, condition.sentence(node, names), actual, said)
    children = [
        _of(child, f"{path}.{group}[{index}]", verdicts, names, frame) for index, child in enumerate(node[group])
    ]
    held_of = [child.held for child in children]
    held = {"all": all(held_of), "any": any(held_of), "none": not any(held_of)}[group]
    return Explanation(path, group, held, readable.sentence(node, names=names), children=children)
