"""The rows of a brand that conditions name: tags, guides, stores, groups, segments, stages. One query a type.

Apps to the right add theirs (pushes, SOPs) with `register`."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from django.db.models import Model, Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from contacts.models import GroupChat, Staff, Store
from scrm.lib.errors import FieldError, Text
from tagging.language import compiler
from tagging.language.conditions import Reference
from tagging.language.params import shown
from tagging.models import LifecycleStage, Segment, Tag

Known = dict[tuple[str, int | str], str]


@dataclass(frozen=True, slots=True)
class Rows:
    """How rows of one type are found."""

    all: Callable[[], "QuerySet[Any]"]
    """those that a tree may name; asked inside the brand's scope"""
    label: Text
    remedy: Text
    search: str = "name"
    key: str = "pk"
    """the column by which conditions name a row"""
    order: str = ""
    """the column by which a picker lists them, if not the one it searches"""
    label_of: Callable[[Any], str] = str


_ROWS: dict[str, Rows] = {
    "tag": Rows(Tag.objects.all, gettext_lazy("标签"), gettext_lazy("先建这个标签，或选一个已有的。")),
    "staff": Rows(Staff.objects.all, gettext_lazy("员工"), gettext_lazy("选一位已同步的导购。")),
    "store": Rows(Store.objects.all, gettext_lazy("门店"), gettext_lazy("选一家已同步的门店。")),
    "group": Rows(GroupChat.objects.all, gettext_lazy("客户群"), gettext_lazy("选一个已同步的客户群。")),
    "segment": Rows(
        lambda: Segment.objects.filter(archived_at=None),
        gettext_lazy("人群"),
        gettext_lazy("选一个没有归档的人群。"),
    ),
    "stage": Rows(
        LifecycleStage.objects.all,
        gettext_lazy("品牌阶段"),
        gettext_lazy("选一个现有的阶段，先在「生命周期」里建好。"),
        key="key",
        order="position",
        label_of=attrgetter("name"),
    ),
}


def register(type_: str, rows: Rows) -> None:
    """Say how rows of a type of an app to the right are found; called in AppConfig.ready()."""
    _ROWS[type_] = rows


def names_of(tree: Any) -> Known:
    """(type, id or shown name) → name, of the rows that a valid tree names and that exist. Scoped."""
    wanted: dict[str, set[int | str]] = defaultdict(set)
    for _path, leaf in compiler.leaves_of(tree):
        for reference in compiler.kind_of(leaf).references(leaf):
            wanted[reference.type].add(reference.value)
    known: Known = {}
    for type_, values in wanted.items():
        if type_ == "tag":
            known |= _tags(values)
        else:
            rows = _ROWS[type_]
            named = rows.all().filter(**{f"{rows.key}__in": values})
            known |= {(type_, getattr(row, rows.key)): rows.label_of(row) for row in named}
    return known


def unknown(path: str, reference: Reference) -> FieldError:
    """The message for a row that is not there, or is another brand's."""
    rows = _ROWS[reference.type]
    message = _("没有这个%(what)s：%(value)s。") % {"what": rows.label, "value": shown(reference.value)}
    return FieldError(path, "tagging.unknown_reference", message, rows.remedy)


def choices(type_: str, *, search: str = "", limit: int = 20) -> dict[str, Any]:
    """For a picker: {"total": how many match, "items": [{"value", "label"}, …]} of a reference's type. Scoped."""
    rows = _ROWS[type_]
    found: QuerySet[Model] = rows.all().filter(**{f"{rows.search}__contains": search})
    found = found.order_by(rows.order or rows.search, "pk")
    if type_ == "tag":
        found = Tag.objects.filter(Q(name__contains=search) | Q(group__contains=search)).order_by("group", "name", "id")
    elif type_ == "staff":
        found = found.filter(is_guide=True)
    return {
        "total": found.count(),
        "items": [{"value": getattr(row, rows.key), "label": rows.label_of(row)} for row in found[:limit]],
    }


def offered_types() -> list[str]:
    """The types that `choices` knows."""
    return list(_ROWS)


def _tags(wanted: set[int | str]) -> Known:
    ids = {value for value in wanted if isinstance(value, int)}
    texts = {value for value in wanted if isinstance(value, str)}
    by_name = Q(name__in=texts | {part for text in texts for part in _tails(text)})
    known: Known = {}
    for tag in Tag.objects.filter(Q(pk__in=ids) | by_name):
        known["tag", tag.pk] = known["tag", str(tag)] = str(tag)
    return known


def _tails(text: str) -> list[str]:
    """What of `分组·名称` may be the name: a group or a name may hold the dot itself."""
    parts = text.split("·")
    return ["·".join(parts[index:]) for index in range(1, len(parts))]
