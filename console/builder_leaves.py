"""One sentence of the segment builder: a leaf as a row of fields, and the fields as a leaf."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, time, timedelta
from typing import Any

from django.utils import timezone

from console.builder_kinds import (
    CALENDARS,
    HIDDEN_KINDS,
    LONGEST_SEQUENCE,
    NO_WINDOW,
    NOT_SHOWN,
    filtered,
    filters_of,
    has_window,
    is_in_hundredths,
    profile_field,
    props_of,
)
from tagging.language import conditions, windows
from tagging.language.params import CODED, Param, is_whole, moment, values

_WHOLE = re.compile(r"-?[0-9]{1,18}")
_AMOUNT = re.compile(r"(-?)([0-9]{1,15})(?:\.([0-9]{1,2}))?")
_ENDS = re.compile(r"\s*[–—~～至到]\s*|(?<=[0-9])\s*-\s*")

# -- fields → leaf ----------------------------------------------------------------------------------------------------


def leaf_of(kind: str, said: Mapping[str, str]) -> dict[str, Any]:
    """The leaf that the fields say; what is no number stays text, and the check says what is wrong with it. Scoped."""
    condition, leaf = conditions.of_kind(kind), dict[str, Any](kind=kind)
    if condition is None:
        return leaf
    for param in condition.params:
        text = said.get(param.name, "")
        elsewhere = param.name == "value" or (param.name in (*windows.NAMES, "since_event") and has_window(condition))
        if text and not elsewhere and param.type not in ("where", "steps"):
            leaf[param.name] = _value(param, text)
    value = _profile_value(said) if kind == "profile" else _compared(kind, said)
    if value is not None:
        leaf["value"] = value
    if has_window(condition) and (kind != "profile" or leaf.get("op") in ("within", "older_than", "anniversary")):
        leaf |= _window_of(said)
    where = dict(_where_of(kind, said))
    if where:
        leaf["where"] = where
    if kind == "sequence":
        leaf |= _sequence_of(said)
    return leaf


def _value(param: Param, text: str) -> Any:
    known = {str(key).lower(): key for key, _label in param.choices}
    if text.lower() in known:
        return known[text.lower()]
    if param.type in CODED:
        return text
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
    return int(whole) if _WHOLE.fullmatch(whole) else text


def _hundredths(text: str) -> Any:
    """`199.5` is 19950."""
    found = _AMOUNT.fullmatch(text.replace(",", "").removeprefix("¥"))
    if found is None:
        return text
    sign, whole, rest = found.groups()
    return int(f"{sign}{whole}{(rest or '').ljust(2, '0')}")


def _listed(text: str) -> list[str]:
    return [part.strip() for part in re.split("[,，、]", text) if part.strip()]


def _compared(kind: str, said: Mapping[str, str]) -> Any:
    """What is compared with: one value, or several where the comparison takes them."""
    text, op = said.get("value", ""), said.get("op", "")
    type_ = "int"
    if kind == "event" and said.get("prop") and said.get("agg") in ("first", "last"):
        type_ = props_of(said).get(said["prop"], "int")
    if not text or op in ("exists", "is_missing"):
        return None
    if op in ("in", "not_in"):
        return [_one(part, type_, kind, said) for part in _listed(text)]
    if op == "between":
        parts = [_one(part, type_, kind, said) for part in _ENDS.split(text)]
        return parts if len(parts) > 1 else text
    return _one(text, type_, kind, said)


def _one(text: str, type_: str, kind: str, said: Mapping[str, str]) -> Any:
    if type_ == "text":
        return text
    if type_ == "bool":
        return text == "1"
    return _hundredths(text) if is_in_hundredths(kind, said) else _number(text)


def _profile_value(said: Mapping[str, str]) -> Any:
    chosen, op, text = profile_field(said.get("field", "")), said.get("op", ""), said.get("value", "")
    if not text or op in ("exists", "is_missing", "within", "older_than", "anniversary"):
        return None
    if chosen and chosen["type"] == "datetime":
        return _midnight(text)
    parts: list[Any] = _listed(text) if op in ("in", "not_in") else [text]
    if chosen and chosen["type"] == "choice":
        parts = [_number(part) for part in parts]
    return parts if op in ("in", "not_in") else parts[0]


def _midnight(text: str, *, after: int = 0) -> str:
    """A day as the form says it becomes the brand's midnight, or that of some days after it; anything else stays for
    the check."""
    try:
        day = datetime.strptime(text, "%Y-%m-%d").date() + timedelta(days=after)
    except (ValueError, OverflowError):
        return text
    return datetime.combine(day, time.min, tzinfo=timezone.get_current_timezone()).isoformat()


def _window_of(said: Mapping[str, str]) -> dict[str, Any]:
    chosen = said.get("window") or ("days" if said.get("days") else NO_WINDOW)
    if said.get("op") == "anniversary":
        return {"anniversary": _number(said.get("anniversary") or "0")}
    if said.get("op") == "older_than":
        chosen = "days"
    if chosen in CALENDARS:
        calendar, offset = CALENDARS[chosen]
        return {"calendar": calendar, **({"offset": offset} if offset else {})}
    if chosen == "range":
        # The page says the last day, the leaf the midnight after it.
        ends = {"from": _midnight(said.get("from", "")), "to": _midnight(said.get("to", ""), after=1)}
        return {name: text for name, text in ends.items() if text} or {"from": ""}
    if chosen == "since":
        return {"since_event": said.get("since_event", "")}
    # Nothing where a number belongs is a mistake, and not "ever".
    return {chosen: _number(said.get(chosen, ""))} if chosen in ("days", "hours") else {}


def _where_of(kind: str, said: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    for each in filters_of(filtered(kind, said)):
        text = said.get(f"where.{each.prop}", "")
        if not text:
            continue
        if each.type == "bool":
            yield each.key, text == "1"
        elif each.type == "int":
            yield each.key, _hundredths(text) if each.prop == "amount_fen" else _number(text)
        else:
            many = _listed(text)
            yield each.key, many if len(many) > 1 else text


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
        for each in filters_of(filtered(kind, leaf)):
            if each.key in leaf["where"]:
                said[f"where.{each.prop}"] = _said(leaf["where"][each.key], hundredths=each.prop == "amount_fen")
    if "value" in leaf and kind != "profile":
        told = [_said(item, hundredths=is_in_hundredths(kind, leaf)) for item in values(leaf["value"])]
        said["value"] = ("–" if leaf.get("op") == "between" else "、").join(told)
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
        said |= {"window": "range", "from": _day(leaf.get("from")), "to": _day(leaf.get("to"), before=1)}
    elif leaf.get("since_event"):
        said["window"] = "since"
    elif leaf.get("hours") is not None:
        said["window"] = "hours"
    else:
        said["window"] = NO_WINDOW if leaf.get("days") is None else "days"


def _day(value: Any, *, before: int = 0) -> str:
    """A midnight of the brand as its day, or as one some days before; another moment is none, and is kept in words."""
    at = moment(value)
    local = at.astimezone(timezone.get_current_timezone()) if at else None
    return (local - timedelta(days=before)).strftime("%Y-%m-%d") if local and local.time() == time.min else ""


def _is_offered(condition: conditions.Condition, said: Mapping[str, str], offered: Mapping[str, Any]) -> bool:
    named = [param for param in condition.params if param.is_reference and said.get(param.name)]
    if not all(said[param.name] in {str(item["value"]) for item in offered[param.type]} for param in named):
        return False
    if said.get("prop") and said["prop"] not in props_of(said):
        return False
    events = [value for name, value in said.items() if name == "event" or name.endswith(("_event", ".event"))]
    return all(value in offered["props"] for value in events if value)


def _said(value: Any, *, hundredths: bool) -> str:
    """A value as its field shows it."""
    if isinstance(value, bool):
        return "1" if value else "0"
    if not hundredths or not is_whole(value):
        return _text(value)
    whole, rest = divmod(abs(value), 100)
    return f"{'-' if value < 0 else ''}{whole}" + (f".{rest:02d}" if rest else "")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value)
    return "、".join(str(item) for item in value) if isinstance(value, list) else str(value)
