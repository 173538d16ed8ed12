"""Conditions on what is written on the contact itself."""

import json
from calendar import isleap
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from scrm.lib.errors import FieldError, Text
from tagging.language import changes, event_filter, params, windows
from tagging.language.conditions import Condition, Frame, Leaf, Names
from tagging.language.params import Param
from tagging.language.sql import Sql, all_of, among, any_of

PRESENCE = ("exists", "is_missing")
OPS_OF = {
    "text": ("eq", "ne", "in", "not_in", "contains", "starts_with", "regexp", *PRESENCE),
    "choice": ("eq", "ne", "in", "not_in"),
    "datetime": ("within", "older_than", "before", "after", "anniversary", *PRESENCE),
    "presence": PRESENCE,
}
OP_LABELS: dict[str, Text] = {
    "eq": gettext_lazy("是"),
    "ne": gettext_lazy("不是"),
    "in": gettext_lazy("是任一"),
    "not_in": gettext_lazy("不是任一"),
    "contains": gettext_lazy("包含"),
    "starts_with": gettext_lazy("开头是"),
    "regexp": gettext_lazy("匹配正则"),
    "within": gettext_lazy("在窗口内"),
    "older_than": gettext_lazy("早于几天前"),
    "before": gettext_lazy("早于"),
    "after": gettext_lazy("不早于"),
    "anniversary": gettext_lazy("周年前后几天"),
    "exists": gettext_lazy("有值"),
    "is_missing": gettext_lazy("没有值"),
}


@dataclass(frozen=True, slots=True)
class Field:
    """A column of the contact that conditions may ask about."""

    name: str
    label: Text
    type: str
    missing: str
    """SQL: when `{column}` counts as missing; empty for a field that always has a value"""
    choices: tuple[tuple[int, Text], ...] = ()

    @property
    def ops(self) -> tuple[str, ...]:
        """What may be asked of it."""
        return OPS_OF[self.type] + (PRESENCE if self.type == "choice" and self.missing else ())


FIELDS = {
    field.name: field
    for field in (
        Field("name", gettext_lazy("昵称"), "text", "{column} = ''"),
        Field(
            "gender",
            gettext_lazy("性别"),
            "choice",
            "{column} = 0",
            ((1, gettext_lazy("男")), (2, gettext_lazy("女"))),
        ),
        Field(
            "kind",
            gettext_lazy("客户类型"),
            "choice",
            "",
            ((1, gettext_lazy("微信用户")), (2, gettext_lazy("企业微信用户"))),
        ),
        Field("phone", gettext_lazy("手机号"), "presence", "{column} = ''"),
        Field("source_state", gettext_lazy("来源"), "text", "{column} = ''"),
        Field("first_added_at", gettext_lazy("首次添加"), "datetime", "{column} IS NULL"),
        Field("last_active_at", gettext_lazy("最近互动"), "datetime", "{column} IS NULL"),
        Field("created_at", gettext_lazy("建档时间"), "datetime", ""),
    )
}


class Profile(Condition):
    """{"kind": "profile", "field": "gender", "op": "eq", "value": 2}; times: within + window, older_than + days,
    anniversary + days: today is at most so many days from the day and month of a year that has passed (0: the day)."""

    kind = "profile"
    label = gettext_lazy("客户资料")
    group = "profile"
    null_rule = gettext_lazy("没有值的客户不满足任何比较（包括“不是”），除非勾选“没有值也算”。")
    params = (
        Param(
            "field",
            gettext_lazy("字段"),
            "choice",
            required=True,
            choices=tuple((field.name, field.label) for field in FIELDS.values()),
        ),
        Param("op", gettext_lazy("比较"), "choice", required=True, choices=tuple(OP_LABELS.items())),
        Param("value", gettext_lazy("值"), "any"),
        *windows.PARAMS,
        Param("or_missing", gettext_lazy("没有值也算"), "bool", default=False),
    )

    def check(self, leaf: Leaf, path: str) -> Iterator[FieldError]:
        """The op must suit the field, and the value the op."""
        field, op = FIELDS[leaf["field"]], leaf["op"]
        if op not in field.ops:
            yield FieldError(
                f"{path}.op",
                "tagging.unknown_choice",
                _("%(field)s不能用“%(op)s”比较。") % {"field": field.label, "op": OP_LABELS[op]},
                _("可选：%(choices)s。")
                % {
                    "choices": _("、").join(
                        _("%(key)s（%(label)s）") % {"key": name, "label": OP_LABELS[name]} for name in field.ops
                    )
                },
            )
            return
        yield from _check_operands(leaf, field, path)

    def sql(self, leaf: Leaf, frame: Frame) -> Sql:
        """A comparison that a missing value fails, and the missing ones beside it if asked for."""
        field = FIELDS[leaf["field"]]
        column = f"{frame.alias}.{field.name}"
        missing = Sql(f"({field.missing.format(column=column)})") if field.missing else Sql("FALSE")
        if leaf["op"] in PRESENCE:
            return missing if leaf["op"] == "is_missing" else ~missing
        test = _comparison(leaf, column, frame)
        if field.missing:
            # Not just "is not null": an unknown gender is 0 and an unknown source ''.
            test = Sql(f"({test.text} AND {(~missing).text})", test.params)
        return any_of([test, missing]) if leaf.get("or_missing") and field.missing else test

    def touched_by(self, leaf: Leaf) -> changes.Touched:
        """The contact's own row."""
        return changes.by_sources("contact")

    def next_flip(self, leaf: Leaf, frame: Frame) -> Sql | None:
        """When the moment leaves its window, or becomes old enough."""
        column = f"{frame.alias}.{FIELDS[leaf['field']].name}"
        if leaf["op"] == "older_than":
            return changes.passing(column, timedelta(days=leaf["days"]), frame.at)
        if leaf["op"] == "anniversary":
            return Sql("%s::timestamptz", (changes.boundary({"calendar": "day"}, at=frame.at, zone=frame.zone),))
        return changes.row_flip(leaf, frame, column) if leaf["op"] == "within" else None

    def actual(self, leaf: Leaf, frame: Frame) -> Sql:
        """The value; of a phone number only whether there is one."""
        field = FIELDS[leaf["field"]]
        column = f"{frame.alias}.{field.name}"
        if field.type == "presence":
            return Sql(f"to_jsonb({column} <> '')")
        if not field.missing:
            return Sql(f"to_jsonb({column})")
        return Sql(f"CASE WHEN {field.missing.format(column=column)} THEN NULL ELSE to_jsonb({column}) END")

    def actual_text(self, leaf: Leaf, actual: Any, zone: ZoneInfo) -> str:
        """The value as people read it."""
        field = FIELDS[leaf["field"]]
        if field.type == "presence":
            return _("有") if actual else _("没有")
        if actual is None:
            return _("没有值")
        if field.choices:
            return str(dict(field.choices).get(actual, actual))
        return windows.local_text(actual, zone) if field.type == "datetime" else str(actual)

    def sentence(self, leaf: Leaf, names: Names) -> str:
        """性别 是 女; 最近互动 早于 30 天前; 来源 没有值."""
        field = FIELDS[leaf["field"]]
        said = _operand_phrase(leaf, field)
        if leaf.get("or_missing") and field.missing:
            said = _("%(said)s，或没有值") % {"said": said}
        return f"{field.label} {said}"

    def describe(self) -> dict[str, Any]:
        """Each field with its type, operators and choices."""
        return {
            "fields": [
                {
                    "name": field.name,
                    "label": str(field.label),
                    "type": field.type,
                    "ops": [{"value": op, "label": str(OP_LABELS[op])} for op in field.ops],
                    "choices": [{"value": key, "label": str(label)} for key, label in field.choices],
                }
                for field in FIELDS.values()
            ]
        }


def _check_operands(leaf: Leaf, field: Field, path: str) -> Iterator[FieldError]:
    op, windowed = leaf["op"], [name for name in windows.NAMES if leaf.get(name) is not None]
    if op == "within":
        yield from windows.check(leaf, path, required=True)
    elif op == "older_than" and leaf.get("days") is None:
        yield FieldError(f"{path}.days", "tagging.missing_field", _("缺少天数。"), _("写 days，例如 30。"))
    elif op == "anniversary" and windowed != ["anniversary"]:
        yield FieldError(
            f"{path}.anniversary",
            "tagging.missing_field",
            _("缺少周年前后的天数。"),
            _("写 anniversary，例如 0（当天）或 3（前后 3 天）。"),
        )
    elif windowed and (op, windowed) not in (("older_than", ["days"]), ("anniversary", ["anniversary"])):
        yield FieldError(
            f"{path}.{windowed[-1]}",
            "tagging.impossible_window",
            _("“%(op)s”不用时间窗口。") % {"op": OP_LABELS[op]},
            _("去掉 %(name)s，或改用“%(within)s”。") % {"name": windowed[-1], "within": OP_LABELS["within"]},
        )
    takes_value = op not in (*PRESENCE, "within", "older_than", "anniversary")
    if takes_value and leaf.get("value") is None:
        yield FieldError(
            f"{path}.value",
            "tagging.missing_field",
            _("缺少要比较的值。"),
            _("写 value；要找没有值的客户，用 is_missing。"),
        )
    elif op == "regexp":
        yield from event_filter.check_regexp(leaf["value"], path=f"{path}.value")
    elif takes_value:
        wanted = Param("value", gettext_lazy("值"), field.type, many=op in ("in", "not_in"), choices=field.choices)
        yield from params.check_value(wanted, leaf["value"], f"{path}.value")
    elif leaf.get("value") is not None:
        yield FieldError(
            f"{path}.value",
            "tagging.unknown_field",
            _("“%(op)s”不需要值。") % {"op": OP_LABELS[op]},
            _("去掉 value。"),
        )


def _comparison(leaf: Leaf, column: str, frame: Frame) -> Sql:
    op, value = leaf["op"], leaf.get("value")
    if op == "within":
        window = frame.window(leaf)
        return all_of(windows.inside(column, window))
    if op == "anniversary":
        return _anniversary(column, leaf["anniversary"], frame)
    if op == "regexp":
        return Sql(f"{column} ~ %s", (value,))
    if op == "older_than":
        return Sql(f"{column} < %s", (frame.at - timedelta(days=leaf["days"]),))
    if op in ("before", "after"):
        return Sql(f"{column} {'<' if op == 'before' else '>='} %s", (params.moment(value),))
    if op == "contains":
        return Sql(f"strpos({column}, %s) > 0", (value,))
    if op == "starts_with":
        return Sql(f"starts_with({column}, %s)", (value,))
    listed = params.values(value)
    type_ = "text" if isinstance(listed[0], str) else "int"
    if op in ("eq", "in"):
        return among(column, listed, type_)
    return Sql(f"{column} <> ALL (%s::{type_}[])", (listed,))


def _anniversary(column: str, around: int, frame: Frame) -> Sql:
    """Whether one of the days from today - around to today + around is an anniversary of the moment's day.

    29 February has its anniversary on the 28th in other years. `around` is at most 60, so one list of (month, day)
    does, and of each the latest year that may have passed."""
    today = frame.at.astimezone(frame.zone).date()
    days = [today + timedelta(days=n) for n in range(-around, around + 1)]
    local = f"({column} AT TIME ZONE %s)"
    year_of = {f"{day:%m-%d}": day.year for day in days}
    if leap := next((day for day in days if (day.month, day.day) == (2, 28) and not isleap(day.year)), None):
        year_of["02-29"] = leap.year
    return Sql(
        f"coalesce((%s::jsonb ->> to_char({local}, 'MM-DD'))::int > extract(year FROM {local}), FALSE)",
        (json.dumps(year_of), str(frame.zone), str(frame.zone)),
    )


def _operand_phrase(leaf: Leaf, field: Field) -> str:
    op = leaf["op"]
    if op in PRESENCE:
        return str(OP_LABELS[op])
    if op == "within":
        return _("在 %(window)s") % {"window": windows.phrase(leaf)}
    if op == "older_than":
        return ngettext("早于 %(n)d 天前", "早于 %(n)d 天前", leaf["days"]) % {"n": leaf["days"]}
    if op == "anniversary":
        around = leaf["anniversary"]
        said = ngettext("周年在前后 %(n)d 天内", "周年在前后 %(n)d 天内", around) % {"n": around}
        return said if around else _("今天满周年")
    if field.type == "datetime":
        return f"{OP_LABELS[op]} {windows.written(params.moment(leaf['value']))}"
    labels = dict(field.choices)
    said = " / ".join(str(labels.get(item, item)) for item in params.values(leaf["value"]))
    return f"{OP_LABELS[op]} {said}"
