"""What is wrong with a filter, at which place, and what to do."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _

from scrm.lib.errors import FieldError
from tagging.language import event_types, regex
from tagging.language.event_filter import grammar
from tagging.language.event_filter.grammar import (
    LISTED,
    MAX_ENTRIES,
    MAX_NUMBER,
    OP_LABELS,
    OPS_OF,
    ORDER_OPS,
    PRESENCE,
    TEXT_OPS,
)
from tagging.language.params import MAX_VALUES, is_clean_text, is_whole, shown, values


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


def _check_entry(key: str, value: Any, *, event: str, path: str) -> Iterator[FieldError]:
    bound, prop = grammar.parsed(key, event=event)
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
