"""What the segment builder knows of the kinds of conditions, beside what tagging's catalogue says of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tagging.language import conditions, event_types, references
from tagging.language.params import REFERENCES
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
UNASKED = {"order_no", "ref_page", "channel", "reason", "source", "state", "lost_by", "field", "from", "to"}
UNASKED |= {"direction", "metric", "version", "add_way", "chat_id"}
"""properties of the house's own types that hold codes: no sentence asks for them, nor for what ends in _id"""
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
    "stage": {"window": NO_WINDOW},
    "interest": {"op": "gte", "value": "3"},
}
NOT_SHOWN = {
    "tag": {"tag"},
    "follow": {"live"},
    "group_member": {"live"},
    "sequence": {"strict"},
    "profile": {"or_missing"},
}
"""fields that a kind's sentence has no part for: a leaf that says one is kept in words"""


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


def has_window(condition: conditions.Condition) -> bool:
    """Whether the kind takes a window of time."""
    return any(param.name == "calendar" for param in condition.params)


def is_money(kind: str, said: Mapping[str, Any]) -> bool:
    """Whether the value is an amount: fen in the leaf, yuan on the page."""
    if kind == "event":
        return said.get("prop") == "amount_fen" and said.get("agg") not in (None, "", "count", "distinct")
    return kind == "event_sum" or (kind == "order" and said.get("measure") in ("amount", "net", "average"))


def is_in_hundredths(kind: str, said: Mapping[str, Any]) -> bool:
    """Whether the leaf's value is a hundredth of what the page shows: fen, and hundredths of a point of interest."""
    return kind == "interest" or is_money(kind, said)


@dataclass(frozen=True, slots=True)
class Filter:
    """A property by which the builder filters events."""

    prop: str
    key: str
    """in `where`: the property, or `min_` and the property"""
    type: str
    """text, int or bool"""


def filters_of(event: str) -> list[Filter]:
    """What the builder offers to filter events of this type by: of a brand's own type all that it declared. Scoped."""
    props, is_own = event_types.props_of(event) or {}, event.startswith("x_")
    made = [Filter(prop, f"min_{prop}" if type_ == "int" else prop, type_) for prop, type_ in props.items()]
    return [
        each for each in made if (is_own or _is_asked(each.prop)) and (each.key == each.prop or each.key not in props)
    ]


def _is_asked(prop: str) -> bool:
    return prop == "product_id" or not (prop in UNASKED or prop.endswith("_id"))


def filtered(kind: str, said: Mapping[str, Any]) -> str:
    """The type of event that a sentence's filters are about; of orders, paid ones."""
    return "order_paid" if kind == "order" else str(said.get("event", ""))


def props_of(said: Mapping[str, Any]) -> dict[str, str]:
    """Property → type, of those that the aggregate of a sentence "event" can be over. Scoped."""
    agg, props = said.get("agg") or "count", event_types.props_of(str(said.get("event", ""))) or {}
    if agg == "count":
        return {}
    numbers = agg in ("sum", "avg", "min", "max")
    return {prop: type_ for prop, type_ in props.items() if type_ == "int" or not numbers}
