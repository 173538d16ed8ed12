"""What a segment may ask, as data for the console's builder: kinds, their fields, operators, value types, choices."""

from typing import Any

from tagging.language import conditions, event_types
from tagging.language.params import Param


def describe() -> dict[str, Any]:
    """The whole catalogue in the active language. Scoped: the brand's own event types are part of it.

    {"groups": [{"value", "label"}], "kinds": [{"kind", "label", "group", "null_rule", "params": […]}],
    "events": [{"value", "label", "props": [{"value", "label", "type"}]}]}. A param has name, label, type, required,
    many, choices, default, min, max, unit; types tag, staff and store are picked through `references.choices`. The
    kind "profile" has besides `fields`, each with its own type, ops and choices."""
    return {
        "groups": [{"value": key, "label": str(label)} for key, label in conditions.GROUPS.items()],
        "kinds": [_kind(condition) for condition in conditions.kinds()],
        "events": [_event(name) for name in event_types.names()],
    }


def _kind(condition: conditions.Condition) -> dict[str, Any]:
    return {
        "kind": condition.kind,
        "label": str(condition.label),
        "group": condition.group,
        "null_rule": str(condition.null_rule),
        "params": [_param(param) for param in condition.params],
        **condition.describe(),
    }


def _param(param: Param) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": param.name,
        "label": str(param.label),
        "type": param.type,
        "required": param.required,
        "many": param.many,
        "default": param.default,
        "unit": str(param.unit),
        "choices": [{"value": key, "label": str(label)} for key, label in param.choices],
    }
    if param.type == "int":
        row |= {"min": param.minimum, "max": param.maximum}
    return row


def _event(name: str) -> dict[str, Any]:
    props = event_types.props_of(name) or {}
    return {
        "value": name,
        "label": event_types.label_of(name),
        "props": [
            {"value": prop, "label": event_types.prop_label(prop, name), "type": kind} for prop, kind in props.items()
        ],
    }
