"""A tree in words, in the active language: 同时满足：近 30 天 没有 签到；且 有标签 兴趣·婴童."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from scrm.lib.errors import Invalid
from tagging.language import compiler, references
from tagging.language.conditions import Names


def sentence(tree: Any, *, names: Names | None = None) -> str:
    """The tree as one sentence about the contact. Scoped, unless `names` are given. Raises Invalid."""
    compiler.validate(tree, depth=compiler.STORED_DEPTH)
    known = names or Names(references.names_of(tree))
    return _of(tree, known, outermost=True)


def said(tree: Any, *, names: Names | None = None) -> str:
    """The sentence; of a stored tree that asks for what is no more, say a property that a brand declared once, what is
    wrong with it: a list must not fail for one of its rows. Scoped, unless `names` are given."""
    try:
        return sentence(tree, names=names)
    except Invalid as outdated:
        return " ".join([str(outdated.detail), *(f"{error.message} {error.remedy}" for error in outdated.errors[:1])])


def _of(node: Any, names: Names, *, outermost: bool = False) -> str:
    group = compiler.group_of(node)
    if group is None:
        return compiler.kind_of(node).sentence(node, names)
    if not node[group]:
        return _("所有客户")
    if group == "none":
        return _neither([_of(child, names, outermost=True) for child in node[group]], outermost=outermost)
    children = [_of(child, names) for child in node[group]]
    if len(children) == 1:
        return children[0]
    said = (_("，且 ") if group == "all" else _("，或 ")).join(children)
    return said if outermost else pgettext("group", "（%(parts)s）") % {"parts": said}


def _neither(children: list[str], *, outermost: bool) -> str:
    """不满足「性别 是 女」，也不满足「…」: in quotes, or nobody knows how far the "not" reaches."""
    said = [
        (_("也不满足「%(inner)s」") if place else _("不满足「%(inner)s」")) % {"inner": c}
        for place, c in enumerate(children)
    ]
    joined = _("，").join(said)
    return joined if outermost or len(said) == 1 else pgettext("group", "（%(parts)s）") % {"parts": joined}
