"""A brand's own event types, `x_…`, declared with typed properties.

An undeclared own type is taken with whatever flat properties it carries. Once declared, its properties are checked for
each event that arrives: a wrong or missing one refuses that item alone. Events that are in the log already stay."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _

from events.catalogue import BUILT_IN, MAX_PROPS, OWN_TYPE, PROP_NAME, EventType
from events.models import DeclaredType
from scrm.lib.errors import FieldError, Invalid, found
from tenants import audit, scope
from tenants.actors import Actor

PROP_TYPES = ("text", "int", "bool")
MAX_TYPES = 200
MAX_LABEL = 40
UNSTORABLE = re.compile("[\0\ud800-\udfff]")
"""what PostgreSQL's text cannot hold: NUL, and halves of surrogate pairs"""
_KEY = "events.declared"


def of_brand() -> Mapping[str, EventType]:
    """The brand's declared types by name; read once per scope. Outside a scope there are none."""
    return scope.kept(_KEY, _read) if scope.is_open() else {}


def kind_of(name: str) -> EventType | None:
    """A built-in or declared type; None for an own type that nobody declared. Scoped, for own types."""
    return BUILT_IN.get(name) or (of_brand().get(name) if name.startswith("x_") else None)


def kinds() -> list[EventType]:
    """All types that can be named: built-in ones, then the brand's own. Scoped."""
    return [*BUILT_IN.values(), *of_brand().values()]


def label(name: str) -> str:
    """What people call a type; an own type that nobody declared is called by its name."""
    kind = kind_of(name)
    return str(kind.label) if kind else name


def save(*, name: str, label: str, props: Any, actor: Actor, at: datetime) -> DeclaredType:
    """Declare a type, or change what was declared under that name. Scoped, audited.

    `props` is {property: {"type", "label"?, "unit"?, "required"?}}. Raises Invalid, naming the fields."""
    label = label.strip() if isinstance(label, str) else ""
    wrong = [*_check_name(name), *_check_label(label, "label"), *_check_props(props)]
    before = DeclaredType.objects.filter(name=name).first() if not wrong else None
    if not wrong and before is None and DeclaredType.objects.count() >= MAX_TYPES:
        message = _("最多声明 %(most)d 种自有行为。") % {"most": MAX_TYPES}
        wrong = [FieldError("name", "event.types_too_many", message, _("删除不再使用的类型。"))]
    if wrong:
        raise Invalid(_("行为类型没有保存。"), errors=wrong)
    fields = {"label": label, "props": _clean(props), "changed_at": at}
    made, _new = DeclaredType.objects.update_or_create(
        name=name, defaults=fields, create_defaults={**fields, "created_at": at}
    )
    scope.forget(_KEY)
    audit.record(
        actor=actor,
        action="event_type.save",
        object_type="event_type",
        object_id=name,
        before={"label": before.label, "props": before.props} if before else None,
        after={"label": label, "props": made.props},
        at=at,
    )
    return made


def remove(*, name: str, actor: Actor, at: datetime) -> None:
    """Declare it no longer: its events stay and new ones are taken unchecked. Scoped, audited. Raises NotFound."""
    this = found(DeclaredType.objects.filter(name=name))
    before = {"label": this.label, "props": this.props}
    this.delete()
    scope.forget(_KEY)
    audit.record(
        actor=actor, action="event_type.remove", object_type="event_type", object_id=name, before=before, at=at
    )


def undeclared(*, most: int = 50) -> list[str]:
    """Own types that the log holds and nobody declared, by name. Scoped. One index probe per type, not per event."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH RECURSIVE seen AS (
                (SELECT type FROM events_event WHERE brand_id = %(brand)s AND type >= 'x_' AND type < 'x`'
                 ORDER BY type LIMIT 1)
                UNION ALL
                SELECT (SELECT e.type FROM events_event e WHERE e.brand_id = %(brand)s AND e.type > seen.type
                        AND e.type < 'x`' ORDER BY e.type LIMIT 1)
                FROM seen WHERE seen.type IS NOT NULL
            )
            SELECT type FROM seen WHERE type IS NOT NULL LIMIT %(most)s
            """,
            {"brand": scope.current_brand_id(), "most": most + MAX_TYPES},
        )
        seen = [name for (name,) in cursor.fetchall()]
    known = of_brand()
    return [name for name in seen if name not in known][:most]


def _read() -> Mapping[str, EventType]:
    return {row.name: _kind(row) for row in DeclaredType.objects.order_by("name")}


def _kind(row: DeclaredType) -> EventType:
    props: Mapping[str, Mapping[str, Any]] = row.props
    return EventType(
        name=row.name,
        label=row.label,
        sender="api",
        props={name: str(each["type"]) for name, each in props.items()},
        required=frozenset(name for name, each in props.items() if each.get("required")),
        prop_labels={name: str(each.get("label") or name) for name, each in props.items()},
        units={name: str(each.get("unit") or "") for name, each in props.items()},
    )


def _check_name(name: Any) -> list[FieldError]:
    if isinstance(name, str) and OWN_TYPE.fullmatch(name):
        return []
    message = _("自有类型以 x_ 开头，只用小写字母、数字和下划线，最长 60 个字符。")
    return [FieldError("name", "event.type_name", message, _("例如 x_shelf_scan。"))]


def _check_label(label: Any, field: str, *, least: int = 1) -> list[FieldError]:
    if isinstance(label, str) and least <= len(label) <= MAX_LABEL and not UNSTORABLE.search(label):
        return []
    message = _("名称最多 %(most)d 个字符，不能为空。") % {"most": MAX_LABEL}
    return [FieldError(field, "event.type_label", message, _("写一个运营看得懂的名称。"))]


def _check_props(props: Any) -> list[FieldError]:
    if not isinstance(props, dict):
        return [FieldError("props", "event.props_shape", _("props 应是一个对象。"), _("改为 {名: {type: …}}。"))]
    if len(props) > MAX_PROPS:
        message = _("一条行为最多 %(most)d 个属性。") % {"most": MAX_PROPS}
        return [FieldError("props", "event.props_too_many", message, _("只声明分群和规则会用到的属性。"))]
    wrong = []
    for name, each in props.items():
        field = f"props.{name[:60]}"
        if not PROP_NAME.fullmatch(name):
            message = _("属性名不合规：最长 60 个字符，以字母或下划线开头，只含字母、数字、下划线和点。")
            wrong.append(FieldError(field, "event.prop_name", message, _("改属性名。")))
        elif not isinstance(each, dict) or each.get("type") not in PROP_TYPES:
            message = _("属性的类型应是其中之一：%(known)s。") % {"known": "、".join(PROP_TYPES)}
            wrong.append(FieldError(f"{field}.type", "event.prop_kind", message, _("金额用整数，以分为单位。")))
        elif each.keys() - {"type", "label", "unit", "required"} or not isinstance(each.get("required", False), bool):
            message = _("属性只能有 type、label、unit 和 required（布尔值）。")
            wrong.append(FieldError(field, "event.prop_shape", message, _("去掉其他字段。")))
        else:
            wrong += _check_label(each.get("label") or "", f"{field}.label", least=0)
            wrong += _check_label(each.get("unit") or "", f"{field}.unit", least=0)
    return wrong


def _clean(props: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "type": each["type"],
            "label": (each.get("label") or "").strip(),
            "unit": (each.get("unit") or "").strip(),
            "required": bool(each.get("required")),
        }
        for name, each in props.items()
    }
