"""`where` on events: which of a type's events count. One grammar for segments and tag rules.

{"category": "婴童"} · {"product_id": ["A1", "A2"]} · {"min_dwell_seconds": 15, "max_amount_fen": 9900}:
every entry must hold; a list means any of; `min_`/`max_` bound a whole number. An event without the property is out."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _

from events.reactors import EventRow
from scrm.lib.errors import FieldError
from tagging import event_types
from tagging.params import MAX_VALUES, is_clean_text, is_whole, shown, values
from tagging.sql import Sql

TEXT_COLUMNS = ("category", "product_id")
NUMBER_COLUMNS = ("amount_fen", "dwell_seconds")
MAX_ENTRIES = 10
MAX_NUMBER = 10**15


def check(where: Any, *, event: str, path: str) -> Iterator[FieldError]:
    """What is wrong with a filter on events of this type."""
    if not isinstance(where, dict):
        yield FieldError(
            path, "tagging.wrong_type", _("where 要是一个对象。"), _('例如 {"category": "婴童"}；不筛选就去掉 where。')
        )
        return
    if len(where) > MAX_ENTRIES:
        yield FieldError(
            path, "tagging.out_of_range", _("where 最多 %(most)d 项。") % {"most": MAX_ENTRIES}, _("减少筛选项。")
        )
        return
    for key, value in where.items():
        yield from _check_entry(key, value, event=event, path=f"{path}.{shown(key)}")


def conditions_sql(where: Mapping[str, Any], *, event: str, alias: str = "e") -> list[Sql]:
    """The entries of a valid filter as conditions on events_event AS alias."""
    return [_entry_sql(*_parsed(key, event=event), value, alias) for key, value in where.items()]


def matches(where: Mapping[str, Any], *, event: str, row: EventRow) -> bool:
    """Whether an event in hand passes a valid filter: what the SQL would say."""
    return all(_entry_matches(*_parsed(key, event=event), value, row) for key, value in where.items())


def phrase(where: Mapping[str, Any], *, event: str) -> str:
    """`（品类 婴童，停留秒数 ≥ 15）`, or nothing without a filter."""
    if not where:
        return ""
    parts = []
    for key, value in where.items():
        bound, prop = _parsed(key, event=event)
        said = "/".join(str(item) for item in values(value))
        parts.append(f"{event_types.prop_label(prop)} {({'min': '≥ ', 'max': '≤ '}).get(bound, '')}{said}")
    return _("（%(parts)s）") % {"parts": _("，").join(parts)}


def _parsed(key: str, *, event: str) -> tuple[str, str]:
    """`("min", "amount_fen")`, or `("", "category")`: a property's own name goes before the prefix."""
    props = event_types.props_of(event)
    if (props is None or key not in props) and key[:4] in ("min_", "max_"):
        return key[:3], key[4:]
    return "", key


def _check_entry(key: str, value: Any, *, event: str, path: str) -> Iterator[FieldError]:
    bound, prop = _parsed(key, event=event)
    props = event_types.props_of(event)
    if not is_clean_text(prop) or (props is not None and prop not in props):
        yield FieldError(
            path,
            "tagging.unknown_field",
            _("%(event)s 没有属性 %(prop)s。") % {"event": event_types.label_of(event), "prop": shown(prop)},
            _("可用的属性：%(props)s；整数属性可加 min_ 或 max_。") % {"props": _("、").join(props or ()) or _("任意")},
        )
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
        wanted = {"int": _("填整数。"), "bool": _("填 true 或 false。"), "any": _("填文本、整数或 true、false。")}
        yield FieldError(
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


def _entry_sql(bound: str, prop: str, value: Any, alias: str) -> Sql:
    if bound:
        sign = ">=" if bound == "min" else "<="
        if prop in NUMBER_COLUMNS:
            return Sql(f"{alias}.{prop} {sign} %s", (value,))
        return Sql(f"event_number({alias}.props, %s) {sign} %s", (prop, value))
    items = values(value)
    if prop in TEXT_COLUMNS and all(isinstance(item, str) for item in items):
        return Sql(f"{alias}.{prop} = ANY (%s::text[])", (items,))
    if prop in NUMBER_COLUMNS and all(is_whole(item) for item in items):
        return Sql(f"{alias}.{prop} = ANY (%s::bigint[])", (items,))
    parts = [f"to_jsonb(%s::{_sql_type(item)})" for item in items]
    return Sql(f"{alias}.props -> %s IN ({', '.join(parts)})", (prop, *items))


def _sql_type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "bigint" if is_whole(value) else "text"


def _entry_matches(bound: str, prop: str, value: Any, row: EventRow) -> bool:
    items = values(value)
    if bound:
        number = _number(prop, row)
        return number is not None and (number >= value if bound == "min" else number <= value)
    if prop in TEXT_COLUMNS and all(isinstance(item, str) for item in items):
        return getattr(row, prop) in items
    if prop in NUMBER_COLUMNS and all(is_whole(item) for item in items):
        return getattr(row, prop) in items
    found = row.props.get(prop)
    return any(found == item and isinstance(found, bool) == isinstance(item, bool) for item in items)


def _number(prop: str, row: EventRow) -> int | None:
    """The property as `event_number` of the database reads it: whole, cut towards zero; null for anything else."""
    if prop in NUMBER_COLUMNS:
        column: int | None = getattr(row, prop)
        return column
    found = row.props.get(prop)
    if isinstance(found, bool) or not isinstance(found, int | float) or not abs(found) < 9e18:
        return None
    return int(found)
