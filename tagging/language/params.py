"""The fields of a condition as data: one declaration serves validation and the builder's catalogue."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from scrm.lib.errors import FieldError, Text

MAX_ID = 2**63 - 1
MAX_VALUES = 100
MAX_TEXT = 200


REFERENCES = ("tag", "staff", "store", "group", "segment", "push", "sop", "tier", "stage")
"""types whose value is the id of a row of the brand; apps to the right say how to look theirs up (references)"""
CODED = ("tier", "stage")
"""of these the value is not a number but a code, a text"""


@dataclass(frozen=True, slots=True)
class Param:
    """One field of a leaf: its name, what it takes, and between which bounds."""

    name: str
    label: Text
    type: str
    """int, text, bool, choice, datetime (ISO 8601 with offset), event, where, steps, any; or one of REFERENCES"""
    required: bool = False
    many: bool = False
    """a list of 1 to 100 of them is taken too, and means any of them"""
    choices: tuple[tuple[Any, Text], ...] = ()
    minimum: int = 0
    maximum: int = MAX_ID
    unit: Text = ""
    default: Any = None

    @property
    def is_reference(self) -> bool:
        """Whether the value is the id of another row of the brand."""
        return self.type in REFERENCES


def check(params: Sequence[Param], leaf: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    """What is wrong with the leaf's fields, one by one: unknown, missing, of the wrong type, out of range."""
    known = {param.name: param for param in params}
    for name in leaf:
        if name != "kind" and name not in known:
            yield FieldError(
                f"{path}.{shown(name)}",
                "tagging.unknown_field",
                _("这个条件没有字段 %(name)s。") % {"name": shown(name)},
                _("可用的字段：%(names)s。") % {"names": _("、").join(known)},
            )
    for param in params:
        if leaf.get(param.name) is None:
            if param.required:
                yield _missing(param, path)
        else:
            yield from check_value(param, leaf[param.name], f"{path}.{param.name}")


def check_value(param: Param, value: Any, path: str) -> Iterator[FieldError]:
    """What is wrong with one value, or with the items of a list where the field takes one."""
    if not (param.many and isinstance(value, list)):
        yield from _check_one(param, value, path)
        return
    if not 1 <= len(value) <= MAX_VALUES:
        yield FieldError(
            path,
            "tagging.out_of_range",
            _("列表要有 1 到 %(most)d 项，现在有 %(n)d 项。") % {"most": MAX_VALUES, "n": len(value)},
            _("减少选项，或改用标签来圈选。"),
        )
        return
    for index, item in enumerate(value):
        yield from _check_one(param, item, f"{path}[{index}]")


def is_clean_text(value: Any) -> bool:
    """Text that PostgreSQL can hold: 1 to 200 characters, no NUL, no half of a surrogate pair."""
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_TEXT:
        return False
    return "\0" not in value and not any("\ud800" <= char <= "\udfff" for char in value)


def is_whole(value: Any) -> bool:
    """A whole number; JSON's true and false are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def moment(value: Any) -> datetime | None:
    """An ISO 8601 moment with its offset, or None."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        parsed = parse_datetime(value)
    except ValueError:
        return None
    return parsed if parsed is not None and parsed.tzinfo is not None else None


def values(value: Any) -> list[Any]:
    """One or many, as a list."""
    return value if isinstance(value, list) else [value]


def shown(value: Any) -> str:
    """A value out of somebody's JSON, short and printable, for a message."""
    printable = str(value).encode("utf-8", "replace").decode().replace("\0", "�")
    return printable if len(printable) <= 40 else printable[:39] + "…"


def _missing(param: Param, path: str) -> FieldError:
    return FieldError(
        f"{path}.{param.name}",
        "tagging.missing_field",
        _("缺少字段 %(name)s（%(label)s）。") % {"name": param.name, "label": param.label},
        _wanted(param),
    )


def _check_one(param: Param, value: Any, path: str) -> Iterator[FieldError]:
    if param.type == "int" or (param.is_reference and param.type not in CODED):
        low = 1 if param.is_reference else param.minimum
        if not is_whole(value):
            yield _wrong_type(param, value, path)
        elif not low <= value <= param.maximum:
            yield FieldError(
                path,
                "tagging.out_of_range",
                _("%(label)s是 %(value)s，超出范围。") % {"label": param.label, "value": shown(value)},
                _("填 %(low)d 到 %(high)d 之间的整数。") % {"low": low, "high": param.maximum},
            )
    elif param.type == "choice":
        if not any(value == key and type(value) is type(key) for key, _label in param.choices):
            yield FieldError(
                path,
                "tagging.unknown_choice",
                _("%(label)s不能是 %(value)s。") % {"label": param.label, "value": shown(value)},
                _wanted(param),
            )
    elif not _is_of(param.type, value):
        yield _wrong_type(param, value, path)


def _is_of(kind: str, value: Any) -> bool:
    if kind == "text" or kind in CODED:
        return is_clean_text(value)
    if kind == "bool":
        return isinstance(value, bool)
    if kind == "datetime":
        return moment(value) is not None
    return True  # event, where, any: the condition itself checks them


def _wrong_type(param: Param, value: Any, path: str) -> FieldError:
    return FieldError(
        path,
        "tagging.wrong_type",
        _("%(label)s的类型不对：%(value)s。") % {"label": param.label, "value": shown(value)},
        _wanted(param),
    )


def _wanted(param: Param) -> str:
    if param.type == "choice":
        return _("可选：%(choices)s。") % {
            "choices": _("、").join(
                _("%(key)s（%(label)s）") % {"key": key, "label": label} for key, label in param.choices
            )
        }
    wanted = {
        "int": _("填整数。"),
        "text": _("填 1 到 200 个字符的文本。"),
        "bool": _("填 true 或 false。"),
        "datetime": _("填带时区的 ISO 8601 时间，例如 2026-11-01T00:00:00+08:00。"),
        "event": _("填行为目录中的类型，例如 product_view。"),
        "where": _('填对象，例如 {"category": "婴童"}。'),
        "tag": _("填标签的 id。"),
        "staff": _("填员工的 id。"),
        "store": _("填门店的 id。"),
        "group": _("填客户群的 id。"),
        "segment": _("填人群的 id。"),
        "push": _("填推送的 id。"),
        "sop": _("填流程的 id。"),
        "tier": _("填等级的代号。"),
        "stage": _("填阶段的代号。"),
    }
    return wanted.get(param.type, _("填一个值。"))
