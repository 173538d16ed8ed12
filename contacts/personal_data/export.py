"""All data of one person, for the person (PIPL article 45): readable JSON, by table, in the words of the database."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.apps import apps
from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext as _

from contacts import gone
from contacts.models import Contact, Identity, Merge, MergeMoved
from contacts.personal_data import traces
from events.imports import forgetting
from events.models import Event
from scrm.lib.errors import found
from tenants import audit
from tenants.actors import Actor
from tenants.models import AuditEntry
from tenants.scope import current_brand_id
from tenants.tables import TenantModel

Exporter = Callable[[list[int]], list[dict[str, Any]]]
OF_EVENTS = ("id", "occurred_at", "received_at", "type", "source", "identity_type", "identity_value", "props")
OF_ACTS = ("at", "actor", "actor_label", "action", "before", "after")
_exporters: dict[str, Exporter] = {}


def register(name: str, exporter: Exporter) -> None:
    """Further data of people that no foreign key to Contact finds: contact ids → rows. Called in `ready()`."""
    _exporters[name] = exporter


def everything(*, contact_id: int, actor: Actor, at: datetime) -> dict[str, Any]:
    """Whatever is kept of a contact, and of those merged into it. Scoped, audited. Raises NotFound.

    Every table with a column of contacts is in it, so new tables need no word here; so is what no key ties to the
    person: callbacks, rows of imported files, acts of operators on them."""
    contact = found(Contact.objects.filter(pk=contact_id))
    with gone.shown():
        ids = [contact.pk, *Contact.objects.filter(merged_into=contact).values_list("pk", flat=True)]
        tables = {model._meta.db_table: _rows(model, ids) for model in _models()}
        words = traces.words_of(ids)
        tables["events_event"] = _events(ids)
        # What merges set aside, so that it can be put back, is the person's too.
        journal = MergeMoved.objects.filter(Q(merge__survivor__in=ids) | Q(merge__loser__in=ids))
        tables["contacts_mergemoved"] = [dict(row) for row in journal.values("merge_id", "kind", "rows")]
        tables["wecom_inboxitem"] = traces.told_by_inbox(brand=current_brand_id(), words=words)
        tables["events_importpart"] = forgetting.rows_about(words=words, contact_ids=ids)
        acts = AuditEntry.objects.filter(object_type="contact", object_id__in=[str(number) for number in ids])
        tables["tenants_auditentry"] = [dict(row) for row in acts.order_by("at").values(*OF_ACTS)]
        for name, exporter in _exporters.items():
            tables[name] = exporter(ids)
    audit.record(actor=actor, action="contact.export", object_type="contact", object_id=contact_id, at=at)
    return {
        "contact_id": contact_id,
        "also_known_as": ids[1:],
        "exported_at": at,
        "about": _("这份文件包含本品牌保存的这位客户的全部数据，按数据表列出。时间为 UTC，金额为分。"),
        "tables": {name: rows for name, rows in sorted(tables.items()) if rows},
    }


def _events(ids: list[int]) -> list[dict[str, Any]]:
    """The log of these contacts, and what waits in it for one of their identities."""
    mine = Event.objects.filter(contact_id__in=ids).order_by("occurred_at", "id")
    waiting = Event.objects.filter(contact_id=None).filter(
        Exists(
            Identity.objects.filter(contact__in=ids, type=OuterRef("identity_type"), value=OuterRef("identity_value"))
        )
    )
    return [dict(row) for log in (mine, waiting) for row in log.values(*OF_EVENTS)]


def _models() -> list[type[TenantModel]]:
    models = [model for model in apps.get_models() if issubclass(model, TenantModel) and model is not Event]
    return [model for model in models if model is Contact or _columns(model)]


def _columns(model: type[TenantModel]) -> list[str]:
    if model in (Contact, Merge):
        return ["pk"] if model is Contact else ["survivor_id", "loser_id"]
    return [
        str(each.attname)
        for each in model._meta.local_fields
        if (each.is_relation and each.related_model is Contact) or each.attname == "contact_id"
    ]


def _rows(model: type[TenantModel], ids: list[int]) -> list[dict[str, Any]]:
    wanted = Q()
    for column in _columns(model):
        wanted |= Q(**{f"{column}__in": ids})
    names = [each.attname for each in model._meta.local_fields if each.column and each.attname != "brand_id"]
    return list(model._default_manager.filter(wanted).values(*names))
