"""One sentence of the segment builder: a leaf as a row of fields, and the fields as a leaf."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from tagging.language import conditions, event_filter, references, windows
from tagging.language.params import REFERENCES, Param, is_whole, moment, values
from tagging.segments import segments

MOST_OFFERED = 500
HIDDEN_KINDS = {"sop_touch"}
NO_WINDOW = "ever"
CALENDARS = {"day": ("day", 0), "week": ("week", 0), "month": ("month", 0), "yesterday": ("day", -1)}
CALENDARS |= {"last_week": ("week", -1), "last_month": ("month", -1)}
FILTERS = {
    # property of the event → key in `where`, as the builder offers it
    "category": "category",
    "product_id": "product_id",
    "dwell_seconds": "min_dwell_seconds",
    "amount_fen": "min_amount_fen",
}
LONGEST_SEQUENCE = 3
DEFAULTS: dict[str, dict[str, str]] = {
    "event_count": {"event": "product_view", "window": "days", "days": "30", "op": "gte", "value": "3"},
    "event_recency": {"event": "sign_in", "window": "days", "days": "30", "op": "not_within"},
    "event_sum": {"event": "order_paid", "window": "days", "days": "90", "op": "gte", "value": "199"},
    "event": {"event": "order_paid", "window": NO_WINDOW, "agg": "last", "op": "gt", "value": "30", "unit": "days"},
    "order": {"measure": "count", "window": NO_WINDOW, "op": "gte", "value": "1"},
    "sequence": {"s1.event": "add_cart", "s2.event": "order_created", "window": "days", "days": "30", "op": "has"},
    "lifecycle": {"stage": "silent", "silent_days": "30"},
    "points_balance": {"op": "gte", "value": "100"},
    "points_expiring": {"days": "30", "op": "gte", "value": "100"},
    "tier": {"op": "is", "window": NO_WINDOW},
    "profile": {"field": "first_added_at", "op": "within", "window": "days", "days": "30"},
    "tag": {"op": "has", "window": NO_WINDOW},
    "lost": {"op": "is_not", "window": NO_WINDOW},
    "follow": {"op": "has"},
    "group_member": {"op": "has", "window": NO_WINDOW},
    "identity": {"type": "unionid", "op": "has"},
    "bucket": {"salt": "A", "lo": "0", "hi": "10"},
    "touch": {"what": "received", "window": "days", "days": "7", "op": "gte", "value": "2"},
    "journey": {"state": "in", "op": "has"},
    "segment": {"op": "in"},
}
NOT_SHOWN = {
    "tag": {"tag"},
    "follow": {"live"},
    "group_member": {"live"},
    "sequence": {"strict"},
    "profile": {"or_missing"},
}
"""fields that a kind's sentence has no part for: a leaf that says one is kept in words"""


# -- fields → leaf ----------------------------------------------------------------------------------------------------


def leaf_of(kind: str, said: Mapping[str, str]) -> dict[str, Any]:
    """The leaf that the fields say; what is no number stays text, and the check says what is wrong with it."""
    condition, leaf = conditions.of_kind(kind), dict[str, Any](kind=kind)
    if condition is None:
        return leaf
    for param in condition.params:
        text = said.get(param.name, "")
        elsewhere = param.name in (*windows.NAMES, "since_event") and _has_window(condition)
        if text and not elsewhere and param.type not in ("where", "steps"):
            leaf[param.name] = _value(param, text)
    if kind == "profile":
        _profile_value(leaf, said)
    elif isinstance(leaf.get("value"), str):
        leaf["value"] = _number_or_pair(leaf["value"], leaf.get("op"))
    if _is_money(kind, said):
        leaf["value"] = _times_100(leaf.get("value"))
    if _has_window(condition) and (kind != "profile" or leaf.get("op") in ("within", "older_than", "anniversary")):
        leaf |= _window_of(said)
    where = dict(_where_of(said))
    if where:
        leaf["where"] = where
    if kind == "sequence":
        leaf |= _sequence_of(said)
    return leaf


def _value(param: Param, text: str) -> Any:
    known = {str(key).lower(): key for key, _label in param.choices}
    if text.lower() in known:
        return known[text.lower()]
    if param.type == "int" or param.is_reference:
        return _number(text)
    if param.type == "bool":
        return text == "1"
    if param.many and param.type == "text":
        many = _listed(text)
        return many if len(many) > 1 else text
    return text


def _number(text: str) -> Any:
    whole = text.replace(",", "")
    return int(whole) if whole.lstrip("-").isdigit() and len(whole) < 19 else text


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.replace("、", ",").replace("，", ",").split(",") if part.strip()]


def _number_or_pair(text: str, op: Any) -> Any:
    if op != "between":
        return _number(text)
    parts = [_number(part) for part in (text.split("–") if "–" in text else text.split("-"))]
    return parts if len(parts) > 1 else text


def _times_100(value: Any) -> Any:
    if isinstance(value, list):
        return [_times_100(item) for item in value]
    return value * 100 if is_whole(value) else value


def _is_money(kind: str, said: Mapping[str, Any]) -> bool:
    return kind == "event_sum" or (kind == "order" and said.get("measure") in ("amount", "net", "average"))


def _profile_value(leaf: dict[str, Any], said: Mapping[str, str]) -> None:
    chosen, op = profile_field(said.get("field", "")), leaf.get("op")
    if op in ("exists", "is_missing", "within", "older_than", "anniversary"):
        leaf.pop("value", None)
    elif op in ("in", "not_in") and isinstance(leaf.get("value"), str):
        leaf["value"] = _listed(leaf["value"])
    elif chosen and chosen["type"] == "datetime" and leaf.get("value"):
        leaf["value"] = _midnight(leaf["value"])
    if chosen and chosen["type"] == "choice" and leaf.get("value") is not None:
        leaf["value"] = [_number(v) if isinstance(v, str) else v for v in values(leaf["value"])]
        leaf["value"] = leaf["value"] if op in ("in", "not_in") else leaf["value"][0]


def _midnight(text: str) -> str:
    """A day as the form says it becomes the brand's midnight; anything else stays for the check."""
    try:
        day = datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        return text
    return datetime.combine(day, time.min, tzinfo=timezone.get_current_timezone()).isoformat()


def _window_of(said: Mapping[str, str]) -> dict[str, Any]:
    chosen = said.get("window", "days")
    if said.get("op") == "anniversary":
        return {"anniversary": _number(said.get("anniversary") or "0")}
    if said.get("op") == "older_than":
        chosen = "days"
    if chosen in CALENDARS:
        calendar, offset = CALENDARS[chosen]
        return {"calendar": calendar, **({"offset": offset} if offset else {})}
    if chosen == "range":
        ends = {"from": said.get("from", ""), "to": said.get("to", "")}
        return {name: _midnight(text) for name, text in ends.items() if text}
    if chosen == "since":
        return {"since_event": said["since_event"]} if said.get("since_event") else {}
    if chosen == "hours":
        return {"hours": _number(said.get("hours") or "")}
    return {"days": _number(said["days"])} if chosen == "days" and said.get("days") else {}


def _where_of(said: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    for prop, key in FILTERS.items():
        text = said.get(f"where.{prop}", "")
        if not text:
            continue
        if prop == "amount_fen":
            yield key, _times_100(_number(text))
        elif prop == "dwell_seconds":
            yield key, _number(text)
        else:
            many = _listed(text)
            yield key, many if len(many) > 1 else text


def _sequence_of(said: Mapping[str, str]) -> dict[str, Any]:
    steps = [{"event": said[f"s{n}.event"]} for n in range(1, LONGEST_SEQUENCE + 1) if said.get(f"s{n}.event")]
    made: dict[str, Any] = {"steps": steps}
    if said.get("then.event"):
        hours = {"hours": _number(said["then.hours"])} if said.get("then.hours") else {}
        made["then_not"] = {"event": said["then.event"], **hours}
    return made


# -- leaf → fields ----------------------------------------------------------------------------------------------------


def values_of(leaf: Any, offered: Mapping[str, Any]) -> dict[str, str] | None:
    """The fields that make this leaf; None for one that no sentence can say whole."""
    kind = leaf["kind"]
    condition = conditions.of_kind(kind)
    if condition is None or kind in HIDDEN_KINDS:
        return None
    said = {name: _text(value) for name, value in leaf.items() if name not in ("kind", "where", "steps", "then_not")}
    _say_window(leaf, said, windowed=_has_window(condition))
    if isinstance(leaf.get("where"), dict):
        for prop, key in FILTERS.items():
            if key in leaf["where"]:
                value = leaf["where"][key]
                said[f"where.{prop}"] = _text(value // 100 if prop == "amount_fen" and is_whole(value) else value)
    if _is_money(kind, leaf) and "value" in leaf:
        said["value"] = _text([item // 100 for item in values(leaf["value"])])
    if leaf.get("op") == "between" and isinstance(leaf.get("value"), list):
        said["value"] = "–".join(said["value"].split("、"))
    if kind == "sequence":
        said |= {f"s{n}.event": step["event"] for n, step in enumerate(leaf["steps"], 1)}
        then = leaf.get("then_not") or {}
        said |= {f"then.{name}": _text(value) for name, value in then.items()}
    if kind == "profile" and (field := profile_field(leaf["field"])) and field["type"] == "datetime":
        said["value"] = _day(leaf.get("value"))
    return said if _makes(leaf, kind, said) and _is_offered(condition, said, offered) else None


def _makes(leaf: Mapping[str, Any], kind: str, said: Mapping[str, str]) -> bool:
    """Whether the fields say just this leaf, moments compared as moments."""
    return not NOT_SHOWN.get(kind, set()) & leaf.keys() and _plain(leaf_of(kind, said)) == _plain(leaf)


def _plain(leaf: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: moment(value) or value if name in ("from", "to", "value") else value
        for name, value in leaf.items()
        if value is not None and not (name == "offset" and value == 0)
    }


def _say_window(leaf: Mapping[str, Any], said: dict[str, str], *, windowed: bool) -> None:
    if not windowed:
        return
    calendar = (leaf.get("calendar"), leaf.get("offset") or 0)
    named = next((name for name, period in CALENDARS.items() if period == calendar), None)
    if named:
        said["window"] = named
    elif leaf.get("from") or leaf.get("to"):
        said |= {"window": "range", "from": _day(leaf.get("from")), "to": _day(leaf.get("to"))}
    elif leaf.get("since_event"):
        said["window"] = "since"
    elif leaf.get("hours") is not None:
        said["window"] = "hours"
    else:
        said["window"] = NO_WINDOW if leaf.get("days") is None else "days"


def _day(value: Any) -> str:
    """A moment that is a midnight of the brand as its day; else nothing, and the leaf is kept in words."""
    at = moment(value)
    local = at.astimezone(timezone.get_current_timezone()) if at else None
    return local.strftime("%Y-%m-%d") if local and local.time() == time.min else ""


def _is_offered(condition: conditions.Condition, said: Mapping[str, str], offered: Mapping[str, Any]) -> bool:
    named = [param for param in condition.params if param.is_reference and said.get(param.name)]
    if not all(said[param.name] in {str(item["value"]) for item in offered[param.type]} for param in named):
        return False
    events = [value for name, value in said.items() if name == "event" or name.endswith(("_event", ".event"))]
    return all(value in offered["props"] for value in events if value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value)
    return "、".join(str(item) for item in value) if isinstance(value, list) else str(value)


# -- what a sentence shows --------------------------------------------------------------------------------------------

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
}


def controls(kind: str, said: dict[str, str], offered: Mapping[str, Any]) -> list[Control]:
    """The fields of the sentence in their order: {control, name, label, value, options, unit, …}."""
    condition = conditions.of_kind(kind)
    if condition is None:
        return []
    if kind == "profile":
        return _profile_controls(said)
    known = {param.name: param for param in condition.params}
    made: list[Control] = []
    for name in LAYOUT.get(kind) or [name for name in known if name not in windows.NAMES or not _has_window(condition)]:
        if name == "window":
            made.append(_window_control(said, offered, required=kind == "event_recency", since="since_event" in known))
        elif name == "where":
            event = "order_paid" if kind == "order" else said.get("event", "")
            made += _filter_controls(event, said, offered)
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
    return name == "unit" and not (aged and not said.get("prop"))


def _control(param: Param, kind: str, said: Mapping[str, str], offered: Mapping[str, Any]) -> Control:
    made: Control = {"name": param.name, "label": param.label, "value": said.get(param.name, ""), "unit": param.unit}
    if param.type in REFERENCES:
        anyone = [] if param.required or param.name == "tag_id" else [("", _("不限"))]
        rows = [(item["value"], item["label"]) for item in offered[param.type]]
        return {**made, "control": "select", "options": [*anyone, *rows] or [("", _("还没有可选的"))]}
    if param.type == "event":
        return {**made, "control": "select", "options": _events(offered), "redraw": True}
    if param.choices:
        optional = [] if param.required or param.default is not None else [("", _("不限"))]
        choices = _ops(param, kind, said)
        redraw = param.name in ("agg", "measure")
        return {**made, "control": "select", "options": [*optional, *choices], "redraw": redraw}
    if param.name == "value" and _is_money(kind, said):
        return {**made, "control": "text", "unit": _("元")}
    if param.type == "int" and said.get("op") != "between":
        # A number among choices says itself; one without a unit needs its name beside it.
        shown = param.name in ("within_hours", "silent_days", "days", "lo", "hi")
        return {**made, "control": "number", "least": param.minimum, "most": param.maximum, "shown": shown}
    return {**made, "control": "text", "hint": _("不限") if not param.required and param.name != "value" else ""}


def _ops(param: Param, kind: str, said: Mapping[str, str]) -> list[tuple[Any, Any]]:
    """The choices; of the general event's operators those that fit what is compared."""
    if kind == "event" and param.name == "op":
        numeric = ("gte", "gt", "eq", "ne", "lte", "lt", "between")
        aged = said.get("agg") in ("first", "last")
        fits: tuple[str, ...] = ("gt", "gte", "lt", "lte", "between") if aged and not said.get("prop") else numeric
        if aged and said.get("prop"):
            fits = tuple(event_filter.OP_LABELS)
        return [(key, label) for key, label in param.choices if key in fits]
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


def _filter_controls(event: str, said: Mapping[str, str], offered: Mapping[str, Any]) -> list[Control]:
    labels = {
        "category": (_("类目"), "", _("不限")),
        "product_id": (_("商品"), "", _("不限")),
        "dwell_seconds": (_("停留 ≥"), _("秒"), "—"),
        "amount_fen": (_("金额 ≥"), _("元"), "—"),
    }
    made = []
    for prop in FILTERS:
        if prop in offered["props"].get(event, ()):
            label, unit, hint = labels[prop]
            control = "number" if prop in ("dwell_seconds", "amount_fen") else "text"
            value = said.get(f"where.{prop}", "")
            field: Control = {"control": control, "name": f"where.{prop}", "label": label, "value": value}
            made.append({**field, "unit": unit, "hint": hint, "shown": True, "least": 0, "most": ""})
    return made


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


def catalogue() -> dict[str, Any]:
    """Tagging's catalogue, by kind, and the rows of the brand that a condition may name. Scoped."""
    described = segments.describe_catalogue()
    kinds = [kind for kind in described["kinds"] if kind["kind"] not in HIDDEN_KINDS]
    made = {
        "kinds": {kind["kind"]: kind for kind in kinds},
        "groups": [
            (group["label"], [kind for kind in kinds if kind["group"] == group["value"]])
            for group in described["groups"]
        ],
        "events": described["events"],
        "props": {event["value"]: {prop["value"] for prop in event["props"]} for event in described["events"]},
    }
    return made | {type_: references.choices(type_, limit=MOST_OFFERED)["items"] for type_ in REFERENCES}


def profile_field(name: str) -> dict[str, Any] | None:
    """What the profile condition says of one of its fields."""
    condition = conditions.of_kind("profile")
    fields: Sequence[dict[str, Any]] = condition.describe()["fields"] if condition else []
    return next((entry for entry in fields if entry["name"] == name), None)


def _has_window(condition: conditions.Condition) -> bool:
    return any(param.name == "calendar" for param in condition.params)
