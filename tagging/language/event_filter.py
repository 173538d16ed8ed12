"""`where` on events: which of a type's events count. One grammar for segments and tag rules, in two spellings.

Short: {"category": "婴童"} · {"product_id": ["A1", "A2"]} · {"min_dwell_seconds": 15, "max_amount_fen": 9900}: a list
means any of; `min_`/`max_` bound a whole number. Long, a list of tests:
[{"prop": "category", "op": "ne", "value": "婴童", "or_missing": true}, {"prop": "keyword", "op": "contains", …}].
Every entry must hold. An event without the property fails every comparison, also "is not", unless `or_missing`."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from events.reactors import EventRow
from scrm.lib.errors import FieldError, Text
from tagging.language import compare, event_types, regex
from tagging.language.params import MAX_VALUES, is_clean_text, is_whole, shown, values
from tagging.language.sql import Sql, among, any_of

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


def check(where: Any, *, event: str, path: str) -> Iterator[FieldError]:
    """What is wrong with a filter on events of this type."""
    if not isinstance(where, dict | list):
        yield FieldError(
            path,
            "tagging.wrong_type",
            _("where 要是一个对象或列表。"),
            _('例如 {"category": "婴童"}；不筛选就去掉 where。'),
        )
    elif len(where) > MAX_ENTRIES:
        yield FieldError(
            path, "tagging.out_of_range", _("where 最多 %(most)d 项。") % {"most": MAX_ENTRIES}, _("减少筛选项。")
        )
    elif isinstance(where, dict):
        for key, value in where.items():
            yield from _check_entry(key, value, event=event, path=f"{path}.{shown(key)}")
    else:
        for index, entry in enumerate(where):
            yield from _check_test(entry, event=event, path=f"{path}[{index}]")


def conditions_sql(where: Where, *, event: str, alias: str = "e") -> list[Sql]:
    """The entries of a valid filter as conditions on events_event AS alias. NULL stands for false."""
    return [comparison_sql(test, alias) for test in tests_of(where, event=event)]


def matches(where: Where, *, event: str, row: EventRow) -> bool:
    """Whether an event in hand passes a valid filter: what the SQL would say."""
    return passes(tests_of(where, event=event), row)


def passes(tests: Sequence[Comparison], row: EventRow) -> bool:
    """The same for a filter that was taken apart once for many events."""
    return all(_matches(test, row) for test in tests)


def phrase(where: Where, *, event: str) -> str:
    """`（品类 婴童，停留秒数 ≥ 15）`, or nothing without a filter."""
    if not where:
        return ""
    return _("（%(parts)s）") % {"parts": _("，").join(_said(test) for test in tests_of(where, event=event))}


def tests_of(where: Where, *, event: str) -> list[Comparison]:
    """A valid filter of either spelling as tests."""
    if not isinstance(where, Mapping):
        return [Comparison(t["prop"], t["op"], t.get("value"), bool(t.get("or_missing"))) for t in where]
    made = []
    for key, value in where.items():
        bound, prop = _parsed(key, event=event)
        made.append(Comparison(prop, {"min": "gte", "max": "lte"}.get(bound, "in"), value if bound else values(value)))
    return made


def _parsed(key: str, *, event: str) -> tuple[str, str]:
    """`("min", "amount_fen")`, or `("", "category")`: a property's own name goes before the prefix."""
    props = event_types.props_of(event)
    if (props is None or key not in props) and key[:4] in ("min_", "max_"):
        return key[:3], key[4:]
    return "", key


# -- checking ---------------------------------------------------------------------------------------------------------


def _check_entry(key: str, value: Any, *, event: str, path: str) -> Iterator[FieldError]:
    bound, prop = _parsed(key, event=event)
    yield from check_prop(prop, event=event, path=path)
    props = event_types.props_of(event)
    if props is not None and prop not in props:
        return
    if bound and props is not None and props[prop] != "int":
        yield FieldError(
            path,
            "tagging.wrong_type",
            _("属性 %(prop)s 不是整数，不能加 min_ 或 max_。") % {"prop": prop},
            _("去掉前缀，写要等于的值。"),
        )
        return
    expected = "int" if bound else (props or {}).get(prop, "any")
    items = values(value)
    if bound and isinstance(value, list):
        items = [None]
    if not 1 <= len(items) <= MAX_VALUES or not all(_is_of(expected, item) for item in items):
        yield _wrong_value(path, prop, value, expected)


def _check_test(entry: Any, *, event: str, path: str) -> Iterator[FieldError]:
    if not isinstance(entry, dict) or set(entry) - {"prop", "op", "value", "or_missing"}:
        yield FieldError(
            path,
            "tagging.wrong_type",
            _("这里要是一个筛选，只有 prop、op、value、or_missing。"),
            _('写 {"prop": "category", "op": "eq", "value": "婴童"}。'),
        )
        return
    wrong = [*check_prop(entry.get("prop"), event=event, path=f"{path}.prop")]
    yield from wrong
    if not wrong:
        yield from check_comparison(entry, prop=entry["prop"], event=event, path=path)
    if not isinstance(entry.get("or_missing", False), bool):
        yield FieldError(
            f"{path}.or_missing", "tagging.wrong_type", _("or_missing 要是 true 或 false。"), _("填 true 或 false。")
        )


def check_prop(prop: Any, *, event: str, path: str) -> Iterator[FieldError]:
    """Whether events of this type can have the property."""
    props = event_types.props_of(event)
    if not is_clean_text(prop) or (props is not None and prop not in props):
        yield FieldError(
            path,
            "tagging.unknown_field",
            _("%(event)s 没有属性 %(prop)s。") % {"event": event_types.label_of(event), "prop": shown(prop)},
            _("可用的属性：%(props)s；整数属性可加 min_ 或 max_。") % {"props": _("、").join(props or ()) or _("任意")},
        )


def check_comparison(entry: Mapping[str, Any], *, prop: str, event: str, path: str) -> Iterator[FieldError]:
    """What is wrong with `op` and `value` for a property that exists."""
    expected = (event_types.props_of(event) or {}).get(prop, "any")
    op, value = entry.get("op"), entry.get("value")
    allowed = OPS_OF[expected]
    if op not in allowed:
        yield FieldError(
            f"{path}.op",
            "tagging.unknown_choice",
            _("属性 %(prop)s 不能用 %(op)s 比较。") % {"prop": shown(prop), "op": shown(op)},
            _("可选：%(choices)s。")
            % {"choices": _("、").join(_("%(key)s（%(label)s）") % {"key": k, "label": OP_LABELS[k]} for k in allowed)},
        )
    elif op in PRESENCE:
        if value is not None:
            yield FieldError(
                f"{path}.value",
                "tagging.unknown_field",
                _("“%(op)s”不需要值。") % {"op": OP_LABELS[op]},
                _("去掉 value。"),
            )
    else:
        yield from _check_value(op, value, prop=prop, expected=expected, path=f"{path}.value")


def _check_value(op: str, value: Any, *, prop: str, expected: str, path: str) -> Iterator[FieldError]:
    if op == "regexp":
        yield from check_regexp(value, path=path)
        return
    if op in TEXT_OPS:
        expected = "text"
    elif op in ORDER_OPS:
        expected = "int"
    items = [value]
    if op in LISTED or op == "between":
        items = value if isinstance(value, list) else [None]
    if op == "between" and (len(items) != 2 or not all(is_whole(i) for i in items) or items[0] > items[1]):
        yield FieldError(
            path,
            "tagging.wrong_type",
            _("“介于”要有两个从小到大的整数，现在是 %(value)s。") % {"value": shown(value)},
            _("写 [下限, 上限]，两端都算在内。"),
        )
    elif not 1 <= len(items) <= MAX_VALUES or not all(_is_of(expected, item) for item in items):
        yield _wrong_value(path, prop, value, expected)


def check_regexp(pattern: Any, *, path: str) -> Iterator[FieldError]:
    """What is wrong with a regular expression."""
    if not is_clean_text(pattern):
        yield FieldError(path, "tagging.wrong_type", _("正则表达式要是文本。"), _("例如 ^A[0-9]{3}。"))
        return
    why = regex.problem(pattern)
    if not why:
        return
    messages = {
        "too_long": _("正则表达式太长，最多 %(most)d 个字符。") % {"most": regex.MAX_LENGTH},
        "quantified_group": _("正则表达式在括号后面重复，可能会算个没完。"),
        "too_many_repeats": _("正则表达式的重复次数不对，最多 %(most)d 次。") % {"most": regex.MAX_REPEATS},
        "syntax": _("正则表达式写得不对，或用了不支持的写法。"),
    }
    remedies = {
        "too_long": _("改短，或拆成几个条件。"),
        "quantified_group": _("去掉括号后面的 ?、*、+、{}，把重复写在单个字符或 [字符类] 后面。"),
        "too_many_repeats": _("写成 {m,n}，m 不大于 n，都不超过 50。"),
        "syntax": _("可用：文字、.、^、$、[字符类]、\\d \\w \\s、分组、|，以及单个字符后的 ? * + {m,n}；符号前加 \\。"),
    }
    yield FieldError(path, "tagging.unsafe_regexp", messages[why], remedies[why])


def _wrong_value(path: str, prop: str, value: Any, expected: str) -> FieldError:
    wanted = {"int": _("填整数。"), "bool": _("填 true 或 false。"), "any": _("填文本、整数或 true、false。")}
    return FieldError(
        path,
        "tagging.wrong_type",
        _("属性 %(prop)s 的值不对：%(value)s。") % {"prop": shown(prop), "value": shown(value)},
        wanted.get(expected, _("填 1 到 200 个字符的文本。")),
    )


def _is_of(expected: str, value: Any) -> bool:
    if isinstance(value, bool):
        return expected in ("bool", "any")
    if is_whole(value):
        return expected in ("int", "any") and abs(value) <= MAX_NUMBER
    return expected in ("text", "any") and is_clean_text(value)


# -- SQL --------------------------------------------------------------------------------------------------------------


def number_of(prop: str, alias: str = "e") -> Sql:
    """The property as a whole number; NULL for anything else."""
    return Sql(f"{alias}.{prop}") if prop in NUMBER_COLUMNS else Sql(f"event_number({alias}.props, %s)", (prop,))


def text_of(prop: str, alias: str = "e") -> Sql:
    """The property as text; NULL for anything else (category and product_id are text whatever was sent)."""
    if prop in TEXT_COLUMNS:
        return Sql(f"{alias}.{prop}")
    return Sql(
        f"CASE WHEN jsonb_typeof({alias}.props -> %s) = 'string' THEN {alias}.props ->> %s END",
        (prop, prop),
    )


def comparison_sql(test: Comparison, alias: str) -> Sql:
    """One comparison on events_event (or its columns) AS alias. NULL stands for false."""
    missing = Sql(f"coalesce(jsonb_typeof({alias}.props -> %s), 'null') = 'null'", (test.prop,))
    if test.op in PRESENCE:
        return missing if test.op == "is_missing" else Sql(f"({missing.core}) IS FALSE", missing.params)
    made = _compared(test, alias)
    return any_of([made, missing]) if test.or_missing else made


def _compared(test: Comparison, alias: str) -> Sql:
    op, value = test.op, test.value
    if op in ORDER_OPS:
        number = number_of(test.prop, alias)
        if op == "between":
            return Sql(f"{number.core} BETWEEN %s AND %s", (*number.params, *value))
        return Sql(f"{number.core} {compare.SQL_OF[op]} %s", (*number.params, value))
    if op in TEXT_OPS:
        text = text_of(test.prop, alias)
        form = {"contains": "strpos({}, %s) > 0", "starts_with": "starts_with({}, %s)", "regexp": "({}) ~ %s"}[op]
        return Sql(form.format(text.core), (*text.params, value))
    same = _same(test.prop, values(value), alias)
    if op in ("eq", "in"):
        return same
    exists = f"coalesce(jsonb_typeof({alias}.props -> %s), 'null') <> 'null'"
    return Sql(f"({exists} AND NOT coalesce({same.core}, FALSE))", (test.prop, *same.params))


def _same(prop: str, items: list[Any], alias: str) -> Sql:
    if prop in TEXT_COLUMNS and all(isinstance(item, str) for item in items):
        return among(f"{alias}.{prop}", items, "text")
    if prop in NUMBER_COLUMNS and all(is_whole(item) for item in items):
        return among(f"{alias}.{prop}", items, "bigint")
    parts = [f"to_jsonb(%s::{_sql_type(item)})" for item in items]
    return Sql(f"{alias}.props -> %s IN ({', '.join(parts)})", (prop, *items))


def _sql_type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "bigint" if is_whole(value) else "text"


# -- an event in hand -------------------------------------------------------------------------------------------------


def _matches(test: Comparison, row: EventRow) -> bool:
    missing = row.props.get(test.prop) is None
    if test.op in PRESENCE:
        return missing == (test.op == "is_missing")
    if missing:
        return test.or_missing
    return _compares(test, row)


def _compares(test: Comparison, row: EventRow) -> bool:
    if test.op in ORDER_OPS:
        number = _number(test.prop, row)
        if number is None:
            return False
        if test.op == "between":
            low, high = test.value
            return bool(low <= number <= high)
        return compare.holds(test.op, number, test.value)
    if test.op in TEXT_OPS:
        text = _text(test.prop, row)
        return text is not None and _TEXT_TESTS[test.op](text, test.value)
    return _is_same(test.prop, values(test.value), row) == (test.op in ("eq", "in"))


_TEXT_TESTS: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda text, part: part in text,
    "starts_with": str.startswith,
    "regexp": lambda text, pattern: re.search(pattern.replace("$", r"\Z"), text) is not None,
}


def _is_same(prop: str, items: list[Any], row: EventRow) -> bool:
    if prop in TEXT_COLUMNS and all(isinstance(item, str) for item in items):
        return getattr(row, prop) in items
    if prop in NUMBER_COLUMNS and all(is_whole(item) for item in items):
        return getattr(row, prop) in items
    found = row.props.get(prop)
    return any(found == item and isinstance(found, bool) == isinstance(item, bool) for item in items)


def _text(prop: str, row: EventRow) -> str | None:
    found = getattr(row, prop) if prop in TEXT_COLUMNS else row.props.get(prop)
    return found if isinstance(found, str) else None


def _number(prop: str, row: EventRow) -> int | None:
    """The property as `event_number` of the database reads it: whole, cut towards zero; null for anything else."""
    if prop in NUMBER_COLUMNS:
        column: int | None = getattr(row, prop)
        return column
    found = row.props.get(prop)
    if isinstance(found, bool) or not isinstance(found, int | float) or not abs(found) < 9e18:
        return None
    return int(found)


# -- words ------------------------------------------------------------------------------------------------------------


def _said(test: Comparison) -> str:
    said = f"{event_types.prop_label(test.prop)} {comparison_phrase(test)}"
    return _("%(said)s，或没有值") % {"said": said} if test.or_missing else said


def comparison_phrase(test: Comparison) -> str:
    """`≥ 15`, `婴童/巾帕`, `不是 婴童`, `有值`."""
    if test.op in PRESENCE:
        return str(OP_LABELS[test.op])
    if test.op == "between":
        return f"{test.value[0]}–{test.value[1]}"
    said = "/".join(str(item) for item in values(test.value))
    return said if test.op in ("eq", "in") else f"{OP_LABELS[test.op]} {said}"
