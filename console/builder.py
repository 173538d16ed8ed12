"""The segment builder: sentences of a form on one side, a condition tree on the other.

A form holds rows, joined by 全部 or 任一, and rows that exclude. Which rows there are, and what their fields may be,
comes from tagging's catalogue. A tree that was made elsewhere and is nested deeper is shown in words, and kept."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from scrm.lib.errors import FieldError
from tagging import conditions, references, segments

MOST_ROWS = 30
WINDOWED = {"event_count", "event_recency", "event_sum", "tag", "lost"}
NO_WINDOW = "ever"
FILTERS = {
    # property of the event → key in `where`, as the builder offers it
    "category": "category",
    "product_id": "product_id",
    "dwell_seconds": "min_dwell_seconds",
    "amount_fen": "min_amount_fen",
}
HIDDEN_KINDS = {"sop_touch"}
SENTENCES = {
    # kinds whose sentence has a part for these fields only: with another field the form would lose it on saving
    "tag": {"kind", "op", "tag_id", "days", "calendar"},
    "follow": {"kind", "op", "guide", "store", "state"},
}
PICKED = {"tag_id": "tag", "guide": "staff", "store": "store"}
"""fields that are chosen from the rows of the brand, of which a list offers the first"""


@dataclass(slots=True)
class Row:
    """One sentence. `values` are the leaf's fields as the form shows them: text."""

    number: int
    kind: str
    excludes: bool = False
    values: dict[str, str] = field(default_factory=dict)
    error: str = ""

    def get(self, name: str) -> str:
        """A field's text."""
        return self.values.get(name, "")

    @property
    def number_text(self) -> str:
        """The number for names of fields."""
        return str(self.number)

    @property
    def filters(self) -> dict[str, str]:
        """The event's filters by property."""
        return {prop: self.get(f"where.{prop}") for prop in FILTERS}


@dataclass(slots=True)
class Form:
    """The whole builder."""

    rows: list[Row] = field(default_factory=list)
    joiner: str = "all"

    @property
    def wanted(self) -> list[Row]:
        """The rows that must hold."""
        return [row for row in self.rows if not row.excludes]

    @property
    def excluded(self) -> list[Row]:
        """The rows that must not hold."""
        return [row for row in self.rows if row.excludes]


# -- form → tree ------------------------------------------------------------------------------------------------------


def read(data: QueryDict) -> Form:
    """The rows out of a submitted form: fields are `c<number>.<name>`."""
    numbers = sorted({int(key[1:].split(".")[0]) for key in data if _is_row_key(key)})
    rows = []
    for number in numbers[:MOST_ROWS]:
        prefix = f"c{number}."
        values = {key[len(prefix) :]: data.get(key, "").strip() for key in data if key.startswith(prefix)}
        kind = values.pop("kind", "")
        excludes = values.pop("excludes", "") == "1"
        if kind:
            rows.append(Row(number, kind, excludes, values))
    return Form(rows, "any" if data.get("joiner") == "any" else "all")


def tree_of(form: Form) -> tuple[dict[str, Any], dict[str, Row]]:
    """The condition tree, and which row each path of it comes from, for errors."""
    places: dict[str, Row] = {}
    wanted = [_leaf(row) for row in form.wanted]
    if not form.excluded:
        places.update({f"tree.{form.joiner}[{index}]": row for index, row in enumerate(form.wanted)})
        return {form.joiner: wanted} if wanted else {"all": []}, places
    excluded = {"none": [_leaf(row) for row in form.excluded]}
    if form.joiner == "any" and wanted:
        places.update({f"tree.all[0].any[{index}]": row for index, row in enumerate(form.wanted)})
        nodes: list[Any] = [{"any": wanted}, excluded]
    else:
        places.update({f"tree.all[{index}]": row for index, row in enumerate(form.wanted)})
        nodes = [*wanted, excluded]
    last = len(nodes) - 1
    places.update({f"tree.all[{last}].none[{index}]": row for index, row in enumerate(form.excluded)})
    return {"all": nodes}, places


def show_errors(errors: Sequence[FieldError], places: Mapping[str, Row]) -> list[FieldError]:
    """Put each error on its row; what belongs to no row is returned."""
    rest = []
    for error in errors:
        row = next((places[path] for path in places if error.field == path or error.field.startswith(path + ".")), None)
        if row is None:
            rest.append(error)
        else:
            row.error = f"{row.error} {error.message} {error.remedy}".strip()
    return rest


def _is_row_key(key: str) -> bool:
    head, dot, _rest = key.partition(".")
    return bool(dot) and head[:1] == "c" and head[1:].isdigit() and len(head) < 6


def _leaf(row: Row) -> dict[str, Any]:
    condition = conditions.of_kind(row.kind)
    leaf: dict[str, Any] = {"kind": row.kind}
    if condition is None:
        return leaf
    for param in condition.params:
        text = row.get(param.name)
        if text and param.name not in {"days", "hours", "calendar", "offset", "where"}:
            leaf[param.name] = _value(param.type, text, param.choices)
    if row.kind == "event_sum" and isinstance(leaf.get("value"), int):
        leaf["value"] *= 100
    if row.kind == "profile":
        _profile_value(row, leaf)
    leaf |= _window(row)
    where = dict(_where(row))
    if where:
        leaf["where"] = where
    return leaf


def _value(kind: str, text: str, choices: Sequence[tuple[Any, Any]] = ()) -> Any:
    """What the text means; text that is no number stays text, and the check says what is wrong with it."""
    known = {str(key).lower(): key for key, _label in choices}
    if text.lower() in known:
        return known[text.lower()]
    if kind in ("int", "tag", "staff", "store"):
        whole = text.replace(",", "")
        return int(whole) if whole.lstrip("-").isdigit() and len(whole) < 19 else text
    return text


def _profile_value(row: Row, leaf: dict[str, Any]) -> None:
    chosen = profile_field(row.get("field"))
    takes_value = leaf.get("op") not in ("exists", "is_missing", "within", "older_than")
    if not takes_value:
        leaf.pop("value", None)
        return
    if chosen and chosen["type"] == "choice" and row.get("value").lstrip("-").isdigit():
        leaf["value"] = int(row.get("value"))
    if leaf.get("op") in ("in", "not_in") and isinstance(leaf.get("value"), str):
        leaf["value"] = [part.strip() for part in leaf["value"].replace("、", ",").split(",") if part.strip()]


def _window(row: Row) -> dict[str, Any]:
    if row.kind == "profile" and row.get("op") not in ("within", "older_than"):
        return {}
    window = row.get("window")
    if window in ("day", "week", "month"):
        return {"calendar": window}
    if window == NO_WINDOW or (row.kind not in WINDOWED and row.kind != "profile"):
        return {}
    days = row.get("days")
    return {"days": _value("int", days)} if days else {}


def _where(row: Row) -> Iterator[tuple[str, Any]]:
    for prop, key in FILTERS.items():
        text = row.get(f"where.{prop}")
        if not text:
            continue
        if prop == "amount_fen":
            yuan = _value("int", text)
            yield key, yuan * 100 if isinstance(yuan, int) else yuan
        elif prop == "dwell_seconds":
            yield key, _value("int", text)
        else:
            many = [part.strip() for part in text.replace("、", ",").split(",") if part.strip()]
            yield key, many if len(many) > 1 else text


# -- tree → form ------------------------------------------------------------------------------------------------------


def form_of(tree: Any, offered: Mapping[str, Any]) -> Form | None:
    """The form that makes this tree; None for a tree that the builder has no sentences for.

    `offered` is the catalogue: a select box without the tree's tag in it would choose another one unasked."""
    form = Form()
    if not _fill(form, tree) or not all(_is_offered(row, offered) for row in form.rows):
        return None
    return form if tree_of(form)[0] == tree else None


def _is_offered(row: Row, offered: Mapping[str, Any]) -> bool:
    chosen = ((kind, row.get(name)) for name, kind in PICKED.items() if row.get(name))
    return all(value in {str(item["value"]) for item in offered[kind]} for kind, value in chosen)


def _fill(form: Form, tree: Any) -> bool:
    if not isinstance(tree, dict) or len(tree) != 1 or not isinstance(next(iter(tree.values())), list):
        return False
    (joiner, nodes), *_rest = tree.items()
    if joiner == "any":
        form.joiner = "any"
        return all(_add(form, node, excludes=False) for node in nodes)
    if joiner != "all":
        return False
    if nodes and "none" in nodes[-1]:
        *nodes, last = nodes
        if len(nodes) == 1 and "any" in nodes[0]:
            form.joiner, nodes = "any", nodes[0]["any"]
        return all(_add(form, node, excludes=False) for node in nodes) and all(
            _add(form, node, excludes=True) for node in last["none"]
        )
    return all(_add(form, node, excludes=False) for node in nodes)


def _add(form: Form, leaf: Any, *, excludes: bool) -> bool:
    if not isinstance(leaf, dict) or not isinstance(leaf.get("kind"), str):
        return False
    if leaf.keys() - SENTENCES.get(leaf["kind"], leaf.keys()):
        return False
    row = Row(len(form.rows) + 1, leaf["kind"], excludes)
    for name, value in leaf.items():
        if name == "where":
            for prop, key in FILTERS.items():
                if key in value:
                    row.values[f"where.{prop}"] = _text(value[key] // 100 if prop == "amount_fen" else value[key])
        elif name == "calendar":
            row.values["window"] = str(value)
        elif name != "kind":
            row.values[name] = _text(value)
    if row.kind == "event_sum" and isinstance(leaf.get("value"), int):
        row.values["value"] = str(leaf["value"] // 100)
    if "days" not in leaf and "calendar" not in leaf and row.kind in WINDOWED:
        row.values["window"] = NO_WINDOW
    form.rows.append(row)
    return True


def _text(value: Any) -> str:
    return "、".join(str(item) for item in value) if isinstance(value, list) else str(value)


# -- what the page offers ---------------------------------------------------------------------------------------------


def catalogue() -> dict[str, Any]:
    """Tagging's catalogue, by kind, and the rows of the brand that a condition may name. Scoped."""
    described = segments.describe_catalogue()
    kinds = [kind for kind in described["kinds"] if kind["kind"] not in HIDDEN_KINDS]
    return {
        "kinds": {kind["kind"]: kind for kind in kinds},
        "groups": [
            (group["label"], [kind for kind in kinds if kind["group"] == group["value"]])
            for group in described["groups"]
        ],
        "events": described["events"],
        "props": {event["value"]: {prop["value"] for prop in event["props"]} for event in described["events"]},
        "tag": references.choices("tag", limit=500)["items"],
        "staff": references.choices("staff", limit=500)["items"],
        "store": references.choices("store", limit=500)["items"],
    }


def profile_field(name: str) -> dict[str, Any] | None:
    """What the profile condition says of one of its fields."""
    condition = conditions.of_kind("profile")
    fields = condition.describe()["fields"] if condition else []
    return next((entry for entry in fields if entry["name"] == name), None)


DEFAULTS: dict[str, dict[str, str]] = {
    "event_count": {"event": "product_view", "days": "30", "op": "gte", "value": "3"},
    "event_recency": {"event": "sign_in", "days": "30", "op": "not_within"},
    "event_sum": {"event": "order_paid", "days": "90", "op": "gte", "value": "199"},
    "lifecycle": {"stage": "silent", "silent_days": "30"},
    "points_balance": {"op": "gte", "value": "100"},
    "profile": {"field": "first_added_at", "op": "within", "days": "30"},
    "tag": {"op": "has", "window": NO_WINDOW},
    "lost": {"op": "is_not", "window": NO_WINDOW},
    "follow": {"op": "has"},
}


def new_row(kind: str, number: int, *, excludes: bool) -> Row:
    """A fresh sentence with values that make sense."""
    return Row(number, kind, excludes, dict(DEFAULTS.get(kind, {})))


def decorated(row: Row, offered: Mapping[str, Any]) -> dict[str, Any]:
    """The row with what its template needs: its kind, its event's filters, its field's operators."""
    chosen = profile_field(row.get("field")) if row.kind == "profile" else None
    ops = [op["value"] for op in chosen["ops"]] if chosen else []
    if chosen and row.get("op") not in ops:
        row.values["op"], row.values["value"] = ops[0], ""
    return {
        "row": row,
        "kind": offered["kinds"].get(row.kind) or {"kind": row.kind, "label": row.kind, "params": []},
        "filters": [prop for prop in FILTERS if prop in offered["props"].get(row.get("event"), set())],
        "field": chosen,
        "windows": _windows(required=row.kind == "event_recency" or row.kind == "profile"),
        "window": row.get("window") or "days",
    }


def _windows(*, required: bool) -> list[tuple[str, str]]:
    choices = [("days", pgettext("console", "近几天")), ("day", _("今天")), ("week", _("本周")), ("month", _("本月"))]
    return choices if required else [*choices, (NO_WINDOW, pgettext("console", "有记录以来"))]
