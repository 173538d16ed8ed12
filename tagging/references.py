"""The rows of a brand that conditions name: tags, guides, stores. Looked up together, one query a type."""

from collections import defaultdict
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _

from contacts.models import Staff, Store
from scrm.lib.errors import FieldError
from tagging import compiler
from tagging.conditions import Reference
from tagging.models import Tag
from tagging.params import shown

Known = dict[tuple[str, int | str], str]


def names_of(tree: Any) -> Known:
    """(type, id or shown name) → name, of the rows that a valid tree names and that exist. Scoped."""
    wanted: dict[str, set[int | str]] = defaultdict(set)
    for _path, leaf in compiler.leaves_of(tree):
        for reference in compiler.kind_of(leaf).references(leaf):
            wanted[reference.type].add(reference.value)
    known: Known = {}
    if wanted["tag"]:
        known |= _tags(wanted["tag"])
    if wanted["staff"]:
        for staff in Staff.objects.filter(pk__in=wanted["staff"]):
            known["staff", staff.pk] = str(staff)
    if wanted["store"]:
        for store in Store.objects.filter(pk__in=wanted["store"]):
            known["store", store.pk] = store.name
    return known


def unknown(path: str, reference: Reference) -> FieldError:
    """The message for a row that is not there, or is another brand's."""
    words = {
        "tag": (_("没有标签 %(value)s。"), _("先建这个标签，或选一个已有的。")),
        "staff": (_("没有员工 %(value)s。"), _("选一位已同步的导购。")),
        "store": (_("没有门店 %(value)s。"), _("选一家已同步的门店。")),
    }
    message, remedy = words[reference.type]
    return FieldError(path, "tagging.unknown_reference", message % {"value": shown(reference.value)}, remedy)


def choices(type_: str, *, search: str = "", limit: int = 20) -> dict[str, Any]:
    """For a picker: {"total": how many match, "items": [{"value", "label"}, …]} of tag, staff or store. Scoped."""
    queries = {
        "tag": Tag.objects.filter(Q(name__contains=search) | Q(group__contains=search)).order_by("group", "name", "id"),
        "staff": Staff.objects.filter(is_guide=True, name__contains=search).order_by("name", "id"),
        "store": Store.objects.filter(name__contains=search).order_by("name", "id"),
    }
    rows = queries[type_]
    return {"total": rows.count(), "items": [{"value": row.pk, "label": str(row)} for row in rows[:limit]]}


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
