"""What a filter says: constants, its two spellings as one list of tests, and its words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from scrm.lib.errors import Text
from tagging.language import event_types
from tagging.language.params import values

Where = Mapping[str, Any] | Sequence[Mapping[str, Any]]

TEXT_COLUMNS = ("category", "product_id")
NUMBER_COLUMNS = ("amount_fen", "dwell_seconds")
MAX_ENTRIES = 10
MAX_NUMBER = 10**15

PRESENCE = ("exists", "is_missing")
TEXT_OPS = ("contains", "starts_with", "regexp")
ORDER_OPS = ("gte", "gt", "lte", "lt", "between")
LISTED = ("in", "not_in")
OPS_OF = {
    "text": ("eq", "ne", *LISTED, *TEXT_OPS, *PRESENCE),
    "int": ("eq", "ne", *LISTED, *ORDER_OPS, *PRESENCE),
    "bool": ("eq", "ne", *PRESENCE),
    "any": ("eq", "ne", *LISTED, *TEXT_OPS, *ORDER_OPS, *PRESENCE),
}
OP_LABELS: dict[str, Text] = {
    "eq": gettext_lazy("是"),
    "ne": gettext_lazy("不是"),
    "in": gettext_lazy("是任一"),
    "not_in": gettext_lazy("不是任一"),
    "gte": gettext_lazy("≥"),
    "gt": gettext_lazy(">"),
    "lte": gettext_lazy("≤"),
    "lt": gettext_lazy("<"),
    "between": gettext_lazy("介于"),
    "contains": gettext_lazy("包含"),
    "starts_with": gettext_lazy("开头是"),
    "regexp": gettext_lazy("匹配正则"),
    "exists": gettext_lazy("有值"),
    "is_missing": gettext_lazy("没有值"),
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One entry: a property, a comparison, what it is compared with."""

    prop: str
    op: str
    value: Any = None
    or_missing: bool = False


def phrase(where: Where, *, event: str) -> str:
    """`（品类 婴童，停留秒数 ≥ 15）`, or nothing without a filter."""
    if not where:
        return ""
    return _("（%(parts)s）") % {"parts": _("，").join(_said(test, event) for test in tests_of(where, event=event))}


def tests_of(where: Where, *, event: str) -> list[Comparison]:
    """A valid filter of either spelling as tests."""
    if not isinstance(where, Mapping):
        return [Comparison(t["prop"], t["op"], t.get("value"), bool(t.get("or_missing"))) for t in where]
    made = []
    for key, value in where.items():
        bound, prop = parsed(key, event=event)
        made.append(Comparison(prop, {"min": "gte", "max": "lte"}.get(bound, "in"), value if bound else values(value)))
    return made


def parsed(key: str, *, event: str) -> tuple[str, str]:
    """`("min", "amount_fen")`, or `("", "category")`: a property's own name goes before the prefix."""
    props = event_types.props_of(event)
    if (props is None or key not in props) and key[:4] in ("min_", "max_"):
        return key[:3], key[4:]
    return "", key


def _said(test: Comparison, event: str) -> str:
    said = f"{event_types.spoken(test.prop, event)} {comparison_phrase(test, event)}"
    return _("%(said)s 或没有值") % {"said": said} if test.or_missing else said


def comparison_phrase(test: Comparison, event: str) -> str:
    """`≥ 15 秒`, `婴童/巾帕`, `不是 婴童`, `有值`. Scoped, for own types."""
    if test.op in PRESENCE:
        return str(OP_LABELS[test.op])
    told = [event_types.value_text(item, test.prop, event) for item in values(test.value)]
    said = ("–" if test.op == "between" else "/").join(told)
    return said if test.op in ("eq", "in", "between") else f"{OP_LABELS[test.op]} {said}"
