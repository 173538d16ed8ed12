"""The segment builder: sentences of a form on one side, a condition tree on the other.

A form is rows; a row is a sentence, or a group that holds others (its number is their `in`). Which sentences there are
comes from tagging's catalogue. A leaf that no sentence can say whole is shown in words and kept as it is (kind
"kept"), so that opening a segment never changes it."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict

from console import builder_controls, builder_kinds, builder_leaves
from console.numbers import whole
from scrm.lib.errors import FieldError, Invalid
from tagging.language import compiler, readable
from tagging.language.conditions import Names

MOST_ROWS = 60
MOST_TEXT = 20_000
MOST_NUMBER = 9_999
MOST_NESTED = 10
"""groups inside each other in a form; older trees have up to 8"""
GROUP, KEPT = "group", "kept"
_ROW_KEY = re.compile(r"c([0-9]{1,4})\.")


@dataclass(slots=True)
class Row:
    """One sentence, or a group. `values` are the leaf's fields as the form shows them: text."""

    number: int
    kind: str
    inside: int = 0
    """number of the group it stands in; 0 is the whole"""
    values: dict[str, str] = field(default_factory=dict)
    error: str = ""

    def get(self, name: str) -> str:
        """A field's text."""
        return self.values.get(name, "")


@dataclass(slots=True)
class Form:
    """The whole builder: rows in their order."""

    rows: list[Row] = field(default_factory=list)
    joiner: str = "all"

    def of(self, group: int) -> list[Row]:
        """The rows that stand in a group."""
        return [row for row in self.rows if row.inside == group]

    @property
    def next_number(self) -> int:
        """A number that no row has."""
        return max((row.number for row in self.rows), default=0) + 1


# -- form → tree ------------------------------------------------------------------------------------------------------


def read(data: QueryDict) -> Form:
    """The rows out of a submitted form: fields are `c<number>.<name>`, in the order of the page."""
    numbers = list(dict.fromkeys(int(found[1]) for key in data if (found := _ROW_KEY.match(key))))
    rows = []
    for number in numbers[:MOST_ROWS]:
        prefix = f"c{number}."
        values = {key[len(prefix) :]: data.get(key, "").strip() for key in data if key.startswith(prefix)}
        kind, inside = values.pop("kind", ""), values.pop("in", "0")
        if kind:
            rows.append(Row(number, kind, whole(inside, most=MOST_NUMBER) or 0, values))
    return Form(_rooted(rows), data.get("joiner", "") if data.get("joiner") in compiler.GROUPS else "all")


def tree_of(form: Form) -> tuple[dict[str, Any], dict[str, Row]]:
    """The condition tree, and which row each path of it comes from, for errors. Empty groups are left out."""
    places: dict[str, Row] = {}
    children = list(_children(form, 0, f"tree.{form.joiner}", places))
    return {form.joiner: children} if children else {"all": []}, places


def show_errors(errors: Sequence[FieldError], places: Mapping[str, Row]) -> list[FieldError]:
    """Put each error on its row; what belongs to no row is returned."""
    rest = []
    for error in errors:
        near = [path for path in places if error.field == path or error.field.startswith((path + ".", path + "["))]
        if near:
            row = places[max(near, key=len)]
            row.error = f"{row.error} {error.message} {error.remedy}".strip()
        else:
            rest.append(error)
    return rest


def _rooted(rows: list[Row]) -> list[Row]:
    """A row whose group is not there, stands in itself or too deep, goes to the whole: a form is somebody's text."""
    groups = {row.number: row for row in rows if row.kind == GROUP}
    for row in rows:
        seen, above = {row.number}, row.inside
        while above in groups and above not in seen and len(seen) <= MOST_NESTED:
            seen.add(above)
            above = groups[above].inside
        if above != 0:
            row.inside = 0
    return rows


def _children(form: Form, group: int, path: str, places: dict[str, Row]) -> Iterator[Any]:
    index = 0
    for row in form.of(group):
        place = f"{path}[{index}]"
        if row.kind == GROUP:
            joiner = row.get("op") if row.get("op") in compiler.GROUPS else "all"
            inner = list(_children(form, row.number, f"{place}.{joiner}", places))
            if not inner:
                continue
            node: Any = {joiner: inner}
        else:
            node = _kept(row) if row.kind == KEPT else builder_leaves.leaf_of(row.kind, row.values)
        places[place] = row
        index += 1
        yield node


def _kept(row: Row) -> Any:
    try:
        return json.loads(row.get("json")[:MOST_TEXT])
    except (ValueError, RecursionError):
        return {"kind": row.get("json")[:40]}


# -- tree → form ------------------------------------------------------------------------------------------------------


def form_of(tree: Any, offered: Mapping[str, Any]) -> Form:
    """The form that makes this tree (a leaf alone becomes a group of one).

    `offered` is the catalogue: a select box without the tree's tag in it would choose another one unasked."""
    form = Form()
    group = compiler.group_of(tree)
    form.joiner = group or "all"
    for node in tree[group] if group else [tree]:
        _add(form, node, 0, offered)
    return form


def _add(form: Form, node: Any, inside: int, offered: Mapping[str, Any]) -> None:
    group, number = compiler.group_of(node), form.next_number
    if group is not None:
        form.rows.append(Row(number, GROUP, inside, {"op": group}))
        for child in node[group]:
            _add(form, child, number, offered)
        return
    values = builder_leaves.values_of(node, offered)
    if values is None:
        form.rows.append(Row(number, KEPT, inside, {"json": json.dumps(node, ensure_ascii=False)}))
    else:
        form.rows.append(Row(number, node["kind"], inside, values))


# -- what the page shows ----------------------------------------------------------------------------------------------


def new_row(kind: str, number: int, *, inside: int) -> Row:
    """A fresh sentence with values that make sense."""
    return Row(number, kind, inside, dict(builder_kinds.DEFAULTS.get(kind, {})))


def page_of(form: Form, offered: Mapping[str, Any], names: Names) -> list[dict[str, Any]]:
    """The rows as the page's template wants them, nested: `line` for a sentence, `group` and `inner` for a group."""
    return _page(form, 0, 1, offered, names)


def decorated(row: Row, offered: Mapping[str, Any], names: Names | None = None, *, depth: int = 1) -> dict[str, Any]:
    """One row for its template."""
    if row.kind == GROUP:
        return {"row": row, "group": row.get("op") or "any", "inner": [], "may_nest": depth + 1 < compiler.MAX_DEPTH}
    kind = offered["kinds"].get(row.kind) or {"kind": row.kind, "label": row.kind, "null_rule": ""}
    if row.kind == KEPT:
        return {"row": row, "kind": kind, "words": _words(row, names)}
    return {"row": row, "kind": kind, "controls": builder_controls.controls(row.kind, row.values, offered)}


def _page(form: Form, group: int, depth: int, offered: Mapping[str, Any], names: Names) -> list[dict[str, Any]]:
    lines = []
    for row in form.of(group):
        line = decorated(row, offered, names, depth=depth)
        if row.kind == GROUP:
            line["inner"] = _page(form, row.number, depth + 1, offered, names)
        lines.append(line)
    return lines


def _words(row: Row, names: Names | None) -> str:
    leaf = _kept(row)
    try:
        compiler.validate(leaf)
    except Invalid:  # what is wrong is said beside it
        return row.get("json")
    return readable.sentence(leaf, names=names)


catalogue = builder_kinds.catalogue
