"""One sentence of the segment builder: a leaf as a row of fields, and the fields as a leaf."""

from collections.abc import Iterator, Mapping
from datetime import datetime, time
from typing import Any

from django.utils import timezone

from console.builder_kinds import (
    CALENDARS,
    FILTERS,
    HIDDEN_KINDS,
    LONGEST_SEQUENCE,
    NO_WINDOW,
    NOT_SHOWN,
    has_window,
    is_money,
    profile_field,
)
from tagging.language import conditions, windows
from tagging.language.params import Param, is_whole, moment, values

# -- fields → leaf ----------------------------------------------------------------------------------------------------


def leaf_of(kind: str, said: Mapping[str, str]) -> dict[str, Any]:
    """The leaf that the fields say; what is no number stays text, and the check says what is wrong with it."""
    condition, leaf = conditions.of_kind(kind), dict[str, Any](kind=kind)
    if condition is None:
        return leaf
    for param in condition.params:
        text = said.get(param.name, "")
        elsewhere = param.name in (*windows.NAMES, "since_event") and has_window(condition)
        if text and not elsewhere and param.type not in ("where", "steps"):
            leaf[param.name] = _value(param, text)
    if kind == "profile":
        _profile_value(leaf, said)
    elif isinstance(leaf.get("value"), str):
        leaf["value"] = _number_or_pair(leaf["value"], leaf.get("op"))
    if is_money(kind, said):
        leaf["value"] = _times_100(leaf.get("value"))
    if has_window(condition) and (kind != "profile" or leaf.get("op") in ("within", "older_than", "anniversary")):
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
    _say_window(leaf, said, windowed=has_window(condition))
    if isinstance(leaf.get("where"), dict):
        for prop, key in FILTERS.items():
            if key in leaf["where"]:
                value = leaf["where"][key]
                said[f"where.{prop}"] = _text(value // 100 if prop == "amount_fen" and is_whole(value) else value)
    if is_money(kind, leaf) and "value" in leaf:
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
