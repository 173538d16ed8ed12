"""A tree in words, in the active language: 同时满足：近 30 天 没有 签到；且 有标签 兴趣·婴童."""

from typing import Any

from django.utils.translation import gettext as _

from tagging.language import compiler, references
from tagging.language.conditions import Names


def sentence(tree: Any, *, names: Names | None = None) -> str:
    """The tree as one sentence about the contact. Scoped, unless `names` are given. Raises Invalid."""
    compiler.validate(tree, depth=compiler.STORED_DEPTH)
    known = names or Names(references.names_of(tree))
    return _of(tree, known, outermost=True)


def _of(node: Any, names: Names, *, outermost: bool = False) -> str:
    group = compiler.group_of(node)
    if group is None:
        return compiler.kind_of(node).sentence(node, names)
    children = [_of(child, names) for child in node[group]]
    if not children:
        return _("所有客户")
    if group == "none":
        return _("不满足：%(inner)s") % {"inner": _joined(children, _("，也不满足："))}
    if len(children) == 1:
        return children[0]
    said = _joined(children, _("，且 ") if group == "all" else _("，或 "))
    return said if outermost else _("（%(parts)s）") % {"parts": said}


def _joined(children: list[str], word: str) -> str:
    return word.join(children)
