"""What a sentence of the segment builder shows: its fields in their order, as the page's template wants them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import pgettext, pgettext_lazy

from console.builder_kinds import (
    LONGEST_SEQUENCE,
    NO_WINDOW,
    Filter,
    filtered,
    filters_of,
    has_window,
    is_money,
    profile_field,
    props_of,
)
from tagging.language import conditions, event_filter, event_types, windows
from tagging.language.params import REFERENCES, Param

Control = dict[str, Any]

LAYOUT: dict[str, tuple[str, ...]] = {
    "event_count": ("window", "event", "where", "op", "value"),
    "event_recency": ("window", "op", "event", "where"),
    "event_sum": ("window", "event", "where", "op", "value"),
    "event": ("window", "event", "where", "agg", "prop", "op", "value", "unit"),
    "order": ("window", "measure", "where", "op", "value", "unit"),
    "sequence": ("window", "op", "steps", "within_hours", "then"),
    "tag": ("op", "tag_id", "window"),
    "follow": ("op", "guide", "store", "state"),
    "lost": ("op", "window"),
    "group_member": ("op", "chat_id", "window"),
    "touch": ("window", "what", "channel", "push_id", "op", "value"),
    "journey": ("op", "sop_id", "state"),
    "segment": ("op", "segment_id"),
    "tier": ("op", "tier", "window"),
    "stage": ("stage", "window"),
}
FEW_FILTERS = 4
"""more are folded away"""
YES_NO = (("1", pgettext_lazy("value", "是")), ("0", pgettext_lazy("value", "否")))


def controls(kind: str, said: dict[str, str], offered: Mapping[str, Any]) -> list[Control]:
    """The fields of the sentence in their order: {control, name, label, value, options, unit, …}."""
    condition = conditions.of_kind(kind)
    if condition is None:
        return []
    if kind == "profile":
        return _profile_controls(said)
    if kind == "event":
        _settle_event(said)
    known = {param.name: param for param in condition.params}
    made: list[Control] = []
    for name in LAYOUT.get(kind) or [name for name in known if name not in windows.NAMES or not has_window(condition)]:
        if name == "window":
            made.append(_window_control(said, offered, required=kind == "event_recency", since="since_event" in known))
        elif name == "where":
            made += _filter_controls(filtered(kind, said), said)
        elif name == "steps":
            made += _step_controls(said, offered)
        elif name == "then":
            made += _then_controls(said, offered)
        elif not _is_idle(kind, name, said):
            made.append(_control(known[name], kind, said, offered))
    return made


def _is_idle(kind: str, name: str, said: Mapping[str, str]) -> bool:
    """Fields that mean nothing beside what is chosen."""
    aged = said.get("measure" if kind == "order" else "agg") in ("first", "last")
    if kind == "event" and name == "prop":
        return said.get("agg", "count") == "count"
    if name == "value":
        return said.get("op") in event_filter.PRESENCE
    return name == "unit" and not (aged and not said.get("prop"))


def _settle_event(said: dict[str, str]) -> None:
    """After another event or aggregate was chosen: a property and a comparison that there are."""
    props = props_of(said)
    if said.get("prop") not in props:
        said["prop"] = "" if said.get("agg") in ("first", "last") else next(iter(props), "")
    ops = _event_ops(said)
    if said.get("op") not in ops:
        said["op"], said["value"] = ops[0], ""


def _event_ops(said: Mapping[str, str]) -> tuple[str, ...]:
    """The comparisons that suit what the sentence "event" compares."""
    if said.get("agg") not in ("first", "last"):
        return ("gte", "gt", "eq", "ne", "lte", "lt", "between")
    if not said.get("prop"):
        return ("gt", "gte", "lt", "lte", "between")
    return event_filter.OPS_OF[props_of(said).get(said["prop"], "any")]


def _control(param: Param, kind: str, said: Mapping[str, str], offered: Mapping[str, Any]) -> Control:
    made: Control = {"name": param.name, "label": param.label, "value": said.get(param.name, ""), "unit": param.unit}
    if param.type in REFERENCES:
        anyone = [] if param.required or param.name == "tag_id" else [("", _any(param))]
        rows = [(item["value"], item["label"]) for item in offered[param.type]]
        return {**made, "control": "select", "options": [*anyone, *rows] or [("", _("还没有可选的"))]}
    if param.type == "event":
        return {**made, "control": "select", "options": _events(offered), "redraw": True}
    if kind == "event" and param.name in ("prop", "value"):
        return made | (_prop_control(said) if param.name == "prop" else _value_control(said))
    if param.choices:
        optional = [] if param.required or param.default is not None else [("", _any(param))]
        choices = _ops(param, kind, said)
        redraw = param.name in ("agg", "measure") or (kind in ("event", "order") and param.name == "op")
        return {**made, "control": "select", "options": [*optional, *choices], "redraw": redraw}
    if param.name == "value" and is_money(kind, said):
        return {**made, "control": "text", "unit": _("元"), "hint": _pair_hint(said)}
    if param.name == "value" and kind == "interest":
        return {**made, "control": "text", "unit": ""}
    if param.type == "int" and said.get("op") != "between":
        # A number among choices says itself; one without a unit needs its name beside it.
        shown = param.name in ("within_hours", "silent_days", "days", "lo", "hi")
        return {**made, "control": "number", "least": param.minimum, "most": param.maximum, "shown": shown}
    if param.name == "value":
        return {**made, "control": "text", "hint": _pair_hint(said)}
    hint = "" if param.required else _("二选一") if kind == "interest" else _("不限")
    return {**made, "control": "text", "hint": hint, "shown": True}


def _any(param: Param) -> str:
    """Of several choices beside each other that say "any", any what."""
    return _("%(what)s不限") % {"what": param.label}


def _prop_control(said: Mapping[str, str]) -> Control:
    """What the aggregate is over; of the first or last event also when it was."""
    named = [(prop, event_types.spoken(prop, said.get("event", ""))) for prop in props_of(said)]
    when = [("", _("发生的时间"))] if said.get("agg") in ("first", "last") else []
    return {"control": "select", "options": [*when, *named] or [("", _("没有数字属性"))], "redraw": True}


def _value_control(said: Mapping[str, str]) -> Control:
    """What is compared with, as the property's type has it."""
    prop = said.get("prop", "")
    type_ = props_of(said).get(prop, "int") if said.get("agg") in ("first", "last") else "int"
    if type_ == "bool":
        return {"control": "select", "options": YES_NO}
    if prop and prop == "amount_fen" and said.get("agg") != "distinct":
        return {"control": "text", "unit": _("元"), "hint": _pair_hint(said)}
    unit = event_types.unit_of(prop, said.get("event", "")) if prop and said.get("agg") != "distinct" else ""
    return {"control": "text", "unit": unit or _counted(said), "hint": _pair_hint(said)}


def _counted(said: Mapping[str, str]) -> str:
    return {"count": _("次"), "distinct": _("个")}.get(said.get("agg") or "count", "")


def _pair_hint(said: Mapping[str, str]) -> str:
    return {"between": _("如 10–30"), "in": _("用顿号隔开"), "not_in": _("用顿号隔开")}.get(said.get("op", ""), "")


def _ops(param: Param, kind: str, said: Mapping[str, str]) -> list[tuple[Any, Any]]:
    """The choices; of the general event's operators those that fit what is compared."""
    if kind == "event" and param.name == "op":
        labels = dict(param.choices)
        return [(key, labels[key]) for key in _event_ops(said)]
    if kind == "order" and param.name == "op" and said.get("measure") in ("first", "last"):
        return [(key, label) for key, label in param.choices if key not in ("eq", "ne")]
    return list(param.choices)


def _profile_controls(said: dict[str, str]) -> list[Control]:
    condition = conditions.of_kind("profile")
    fields = condition.describe()["fields"] if condition else []
    chosen = profile_field(said.get("field", "")) or fields[0]
    ops = [(op["value"], op["label"]) for op in chosen["ops"]]
    if said.get("op") not in dict(ops):
        said["op"], said["value"] = ops[0][0], ""
    op = said["op"]
    made: list[Control] = [
        {
            "control": "select",
            "name": "field",
            "label": pgettext("console", "资料"),
            "value": chosen["name"],
            "options": [(field["name"], field["label"]) for field in fields],
            "redraw": True,
        },
        {"control": "select", "name": "op", "label": _("比较"), "value": op, "options": ops, "redraw": True},
    ]
    days = {"control": "number", "label": _("天数"), "least": 0, "most": 3650}
    if op == "within":
        made.append(_window_control(said, {}, required=True, since=False))
    elif op == "older_than":
        made.append({**days, "name": "days", "value": said.get("days") or "30", "unit": _("天前")})
    elif op == "anniversary":
        made.append({**days, "name": "anniversary", "value": said.get("anniversary") or "0", "unit": _("天")})
    elif op not in ("exists", "is_missing"):
        value: Control = {"name": "value", "label": _("值"), "value": said.get("value", "")}
        if chosen["choices"]:
            options = [(choice["value"], choice["label"]) for choice in chosen["choices"]]
            made.append({**value, "control": "select", "options": options})
        else:
            made.append({**value, "control": "date" if chosen["type"] == "datetime" else "text", "hint": ""})
    return made


def _window_control(said: Mapping[str, str], offered: Mapping[str, Any], *, required: bool, since: bool) -> Control:
    options = [
        ("days", pgettext("console", "近几天")),
        ("hours", _("近几小时")),
        ("day", _("今天")),
        ("yesterday", _("昨天")),
        ("week", _("本周")),
        ("last_week", _("上周")),
        ("month", _("本月")),
        ("last_month", _("上月")),
        ("range", _("指定日期")),
    ]
    if since:
        options.append(("since", _("自上次…以来")))
    if not required:
        options.append((NO_WINDOW, pgettext("console", "有记录以来")))
    today = timezone.localdate()
    return {
        "control": "window",
        "name": "window",
        "label": _("时间窗口"),
        "value": said.get("window") or "days",
        "options": options,
        "days": said.get("days") or "30",
        "hours": said.get("hours") or "24",
        "from": said.get("from") or (today - timedelta(days=30)).isoformat(),
        "to": said.get("to") or (today.isoformat() if not said.get("from") else ""),
        "since_event": said.get("since_event") or "order_paid",
        "events": _events(offered) if since else [],
    }


def _filter_controls(event: str, said: Mapping[str, str]) -> list[Control]:
    """Each property that can be filtered by; many of them folded away until one is used."""
    made = [_filter_control(each, event, said) for each in filters_of(event)]
    if len(made) <= FEW_FILTERS:
        return made
    used = sum(1 for each in made if each["value"])
    return [{"control": "folded", "name": "where", "label": _("筛选"), "inner": made, "used": used}]


def _filter_control(each: Filter, event: str, said: Mapping[str, str]) -> Control:
    label, unit = event_types.spoken(each.prop, event), event_types.unit_of(each.prop, event)
    made: Control = {"name": f"where.{each.prop}", "label": label, "value": said.get(f"where.{each.prop}", "")}
    made |= {"unit": unit, "shown": True}
    if each.type == "bool":
        return made | {"control": "select", "options": [("", _("不限")), *YES_NO]}
    if each.type == "text":
        return made | {"control": "text", "hint": _("不限")}
    made["label"] = f"{label} ≥"
    if each.prop == "amount_fen":
        return made | {"control": "text", "hint": "—", "unit": _("元")}
    return made | {"control": "number", "hint": "—", "least": 0, "most": ""}


def _step_controls(said: Mapping[str, str], offered: Mapping[str, Any]) -> list[Control]:
    made: list[Control] = []
    for number in range(1, LONGEST_SEQUENCE + 1):
        none = [("", "—")] if number > 2 else []
        value = said.get(f"s{number}.event", "")
        label = _("第 %(n)d 步") % {"n": number}
        options = [*none, *_events(offered)]
        made.append(
            {"control": "select", "name": f"s{number}.event", "label": label, "value": value, "options": options}
            | {"before": "→" if number > 1 else ""}
        )
    return made


def _then_controls(said: Mapping[str, str], offered: Mapping[str, Any]) -> list[Control]:
    options = [("", _("（不限）")), *_events(offered)]
    return [
        {
            "control": "number",
            "name": "then.hours",
            "label": _("之后"),
            "value": said.get("then.hours", ""),
            "hint": "—",
        }
        | {"unit": _("小时内没有"), "shown": True, "least": 1, "most": ""},
        {"control": "select", "name": "then.event", "label": _("之后没有"), "value": said.get("then.event", "")}
        | {"options": options},
    ]


def _events(offered: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(event["value"], event["label"]) for event in offered["events"]]
