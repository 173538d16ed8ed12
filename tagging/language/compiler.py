"""From a condition tree to one SQL expression over contacts, and from a wrong tree to messages that say where and how.

`none` is compiled by pushing the negation down to the leaves, so that the planner meets anti-joins and not the
negation of a disjunction, which it would test row by row."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from scrm.lib.errors import FieldError, Invalid
from tagging.language import conditions, params
from tagging.language.conditions import Condition, Frame, Leaf
from tagging.language.sql import Sql, all_of, any_of

GROUPS = ("all", "any", "none")
MAX_DEPTH = 5
"""of groups inside each other in a new tree"""
STORED_DEPTH = 60
"""what still compiles: older trees of up to 8 levels, and five more behind each other in the place of their names"""
MAX_LEAVES = 50


def validate(tree: Any, *, path: str = "tree", depth: int = MAX_DEPTH) -> None:
    """Refuse a tree that is not a question about contacts. Asks no database. `depth`: how many levels may be nested.

    Raises Invalid whose errors name the place (`tree.all[1].event`), what is wrong and the remedy. Whether the tags,
    guides and stores exist is `segments.check`'s business."""
    errors = list(_check(tree, path, depth=depth, may_be_empty=True))
    leaves = 0 if errors else sum(1 for _path, _leaf in leaves_of(tree))
    if leaves > MAX_LEAVES and depth == MAX_DEPTH:
        errors.append(
            FieldError(
                path,
                "tagging.too_many_conditions",
                _("共有 %(n)d 个条件，最多 %(most)d 个。") % {"n": leaves, "most": MAX_LEAVES},
                _("合并可以用列表表达的条件，例如一个条件里选多个标签。"),
            )
        )
    if errors:
        raise Invalid(
            _("条件有 %(n)d 处不正确。") % {"n": len(errors)},
            remedy=_("按 errors 中的路径逐处改正。"),
            errors=errors,
            code="tagging.invalid_condition",
        )


def condition_sql(
    tree: Any, *, brand_id: int, at: datetime, alias: str = "c", within: tuple[int, int] | None = None
) -> Sql:
    """The tree as a boolean expression over `contacts_contact AS alias`: `.text` with positional %s and `.params`.

    It is two-valued and may stand anywhere a condition may; the caller names the brand and the range in its own WHERE:
    `… FROM contacts_contact c WHERE c.brand_id = %s AND c.id BETWEEN %s AND %s AND {sql.text}`. `within` (first, last
    id) tells the same range to sub-selects, which else look at the whole brand. `at` is now in the tree's
    windows. Asks the database only for the brand's time zone, and only if the tree has a calendar window.
    Raises Invalid for a tree that `validate` refuses."""
    validate(tree, depth=STORED_DEPTH)
    frame = Frame(brand_id=brand_id, at=at, alias=alias, within=within)
    made = compiled(tree, frame)
    return Sql(made.text, made.params, apart=made.apart)


def compiled(tree: Any, frame: Frame) -> Sql:
    """A valid tree in a frame: a boolean that may be negated further."""
    return _compile(tree, frame, wanted=True)


def leaf_sql(leaf: Leaf, frame: Frame) -> Sql:
    """One leaf of a valid tree."""
    return kind_of(leaf).sql(leaf, frame)


def kind_of(leaf: Leaf) -> Condition:
    """The condition that a valid leaf is of."""
    condition = conditions.of_kind(leaf["kind"])
    if condition is None:
        raise KeyError(leaf["kind"])
    return condition


def group_of(node: Any) -> str | None:
    """`all`, `any` or `none` for a group, None for a leaf."""
    return next((name for name in GROUPS if name in node), None)


def leaves_of(tree: Any, path: str = "tree") -> Iterator[tuple[str, Leaf]]:
    """The leaves of a valid tree with their paths, in order."""
    group = group_of(tree)
    if group is None:
        yield path, tree
        return
    for index, child in enumerate(tree[group]):
        yield from leaves_of(child, f"{path}.{group}[{index}]")


def _compile(node: Any, frame: Frame, *, wanted: bool) -> Sql:
    group = group_of(node)
    if group is None:
        made = leaf_sql(node, frame)
        return made if wanted else ~made
    children = wanted if group != "none" else not wanted
    parts = [_compile(child, frame, wanted=children) for child in node[group]]
    # De Morgan: none(a, b) is "not a and not b"; a negated `all` is an "or" of negations.
    conjunction = (group != "any") if wanted else (group == "any")
    return all_of(parts) if conjunction else any_of(parts)


def _check(node: Any, path: str, *, depth: int, may_be_empty: bool = False) -> Iterator[FieldError]:
    if not isinstance(node, dict):
        yield _not_a_node(path, node)
        return
    present = [name for name in GROUPS if name in node]
    if not present:
        yield from _check_leaf(node, path)
    elif len(present) > 1 or len(node) > 1:
        yield FieldError(
            path,
            "tagging.bad_group",
            _("一个条件组只能有 all、any、none 中的一个，且没有其他字段。"),
            _('把其余部分放进组内，例如 {"all": [条件, {"none": [条件]}]}。'),
        )
    elif depth <= 0:
        yield FieldError(
            path,
            "tagging.too_deep",
            _("条件嵌套超过 %(most)d 层。") % {"most": MAX_DEPTH},
            _("把内层条件移到外层的组里，或另存为人群再引用它。"),
        )
    else:
        yield from _check_group(
            node[present[0]], f"{path}.{present[0]}", name=present[0], depth=depth, may_be_empty=may_be_empty
        )


def _check_group(children: Any, path: str, *, name: str, depth: int, may_be_empty: bool) -> Iterator[FieldError]:
    if not isinstance(children, list):
        yield FieldError(
            path,
            "tagging.wrong_type",
            _("条件组的内容要是列表。"),
            _('写成 {"%(name)s": [条件, …]}。') % {"name": name},
        )
    elif not children and not (may_be_empty and name == "all"):
        yield FieldError(
            path,
            "tagging.empty_group",
            _("这个条件组是空的。"),
            _('加一个条件，或删去这个组。要选所有客户，写 {"all": []}。'),
        )
    elif len(children) > MAX_LEAVES:
        yield FieldError(
            path,
            "tagging.too_many_conditions",
            _("共有 %(n)d 个条件，最多 %(most)d 个。") % {"n": len(children), "most": MAX_LEAVES},
            _("合并可以用列表表达的条件，例如一个条件里选多个标签。"),
        )
    else:
        for index, child in enumerate(children):
            # A segment of everybody, in the place of its name, is an empty group inside another.
            yield from _check(child, f"{path}[{index}]", depth=depth - 1, may_be_empty=depth > MAX_DEPTH)


def _check_leaf(leaf: dict[str, Any], path: str) -> Iterator[FieldError]:
    kind = leaf.get("kind")
    condition = conditions.of_kind(kind) if isinstance(kind, str) else None
    if condition is None:
        yield FieldError(
            f"{path}.kind",
            "tagging.unknown_kind",
            _("没有这种条件：%(kind)s。") % {"kind": params.shown(kind)},
            _("可用的条件：%(kinds)s。") % {"kinds": _("、").join(known.kind for known in conditions.kinds())},
        )
        return
    errors = list(params.check(condition.params, leaf, path))
    yield from errors or condition.check(leaf, path)


def _not_a_node(path: str, value: Any) -> FieldError:
    return FieldError(
        path,
        "tagging.wrong_type",
        _("这里要是一个条件或条件组，现在是 %(value)s。") % {"value": params.shown(value)},
        _('写条件 {"kind": …}，或组 {"all": […]}、{"any": […]}、{"none": […]}。'),
    )
