"""Erasing one person's data (PIPL article 47): from every table, for good.

Each app says what it forgets and how (`register`); tables tied to contacts that nobody speaks for lose their rows.
What must stay, stays without the person: ledger entries, sent deliveries and the audit trail keep their numbers.

Somebody who is still a friend stays in WeCom, whose list we read every day. So the bare friendship is kept with the
hidden contact's number, and both are written to no more than that: the next sync does not profile the person again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.apps import apps
from django.db.models import Q
from django.utils.translation import gettext as _

from contacts import gone
from contacts.merging import hold, spoken_for
from contacts.models import Contact, Follow, Identity, IdentityConflict, Merge, MergeMoved
from contacts.personal_data import traces
from contacts.sets import as_array, execute, touched
from events.imports import forgetting
from scrm.lib.errors import FieldError, Invalid, found
from tenants import audit
from tenants.actors import Actor
from tenants.scope import current_brand_id
from tenants.tables import TenantModel

ERASED = "erased"


@dataclass(frozen=True, slots=True)
class Person:
    """Whom the erasers are asked to forget."""

    brand: int
    contact_id: int
    ids: list[int]
    """the contact and all that were merged into it"""
    words: list[str]
    """what texts may know the person by: values of identities, phone numbers, external_userids"""
    friend: bool
    """still a friend of a guide"""
    at: datetime


Eraser = Callable[[Person], int]
_erasers: dict[str, Eraser] = {}
_tables: set[str] = set()


def register(name: str, eraser: Eraser, *, tables: tuple[str, ...] = ()) -> None:
    """`eraser` forgets a person in its app and says how many rows that touched; it speaks for `tables`.

    Called in `AppConfig.ready()`, run in the person's brand scope, in order of registration."""
    _erasers[name] = eraser
    _tables.update(tables)


def erase(*, contact_id: int, typed_name: str, reason: str, actor: Actor, at: datetime) -> dict[str, int]:
    """Erase a person; rows touched per eraser. Scoped, audited without the person's data.

    `typed_name` confirms: the contact's name, or its number when it has none. Raises NotFound, or Invalid when the
    name does not match or there is no reason."""
    # Nothing new is learnt of the person between the look at what is known and its end.
    hold(current_brand_id())
    contact = found(Contact.objects.select_for_update(of=("self",)).filter(pk=contact_id))
    _confirm(contact, typed_name, reason)
    person = _person(contact, at)
    touched_rows: dict[str, int] = {}
    with gone.shown():
        for name, eraser in _erasers.items():
            touched_rows[name] = eraser(person)
        for table in sorted(_unspoken()):
            touched_rows[table] = _delete(table, person)
        touched_rows["contacts"] = _forget_contact(person)
    audit.record(
        actor=actor,
        action="contact.erase",
        object_type="contact",
        object_id=contact_id,
        after={"reason": reason, "rows": {name: rows for name, rows in touched_rows.items() if rows}},
        at=at,
    )
    return touched_rows


def name_to_type(contact: Contact) -> str:
    """What has to be typed to confirm."""
    return contact.name.strip() or str(contact.pk)


def keep_bare(contact_ids: list[int]) -> int:
    """Take out again what a list from WeCom wrote to friendships of erased people. Scoped; how many."""
    with gone.shown():
        return touched(
            """UPDATE contacts_follow f SET remark = '', description = '', state = '', corp_tag_ids = '{}'
               FROM contacts_contact c
               WHERE c.brand_id = current_setting('orchard.brand_id')::bigint AND c.erased_at IS NOT NULL
                 AND c.id = ANY (%(ids)s::bigint[]) AND f.brand_id = c.brand_id AND f.contact_id = c.id
                 AND (f.remark <> '' OR f.description <> '' OR f.state <> '' OR f.corp_tag_ids <> '{}')""",
            ids=as_array(contact_ids),
        )


def _confirm(contact: Contact, typed_name: str, reason: str) -> None:
    wrong = []
    if typed_name.strip() != name_to_type(contact):
        wrong.append(FieldError("typed_name", "erase.name", _("输入的名字与这位客户不一致。"), _("照原样输入昵称。")))
    if not 0 < len(reason.strip()) <= 200:
        wrong.append(FieldError("reason", "reason.missing", _("请写下理由，最多 %d 个字符。") % 200))
    if wrong:
        raise Invalid(_("没有删除。"), errors=wrong)


def _person(contact: Contact, at: datetime) -> Person:
    with gone.shown():
        aliases = Contact.objects.filter(merged_into=contact).order_by("pk")
        ids = [contact.pk, *aliases.values_list("pk", flat=True)]
        words = traces.words_of(ids)
    friend = Follow.objects.filter(contact__in=ids, lost_at=None).exists()
    return Person(brand=current_brand_id(), contact_id=contact.pk, ids=ids, words=words, friend=friend, at=at)


def _unspoken() -> set[str]:
    """Tables tied to contacts of which no app says how they forget: by a foreign key, or by a column of that name."""
    own = {"contacts_contact", "contacts_follow", "contacts_identity", "contacts_groupmember", "events_event"}
    named = {
        model._meta.db_table
        for model in apps.get_models()
        if issubclass(model, TenantModel)
        and not model.append_only
        and any(field.column == "contact_id" for field in model._meta.local_fields)
    }
    return (set(spoken_for()) | named) - own - _tables


def _delete(table: str, person: Person) -> int:
    return touched(
        f"DELETE FROM {table} WHERE brand_id = %(brand)s AND contact_id = ANY (%(ids)s)",  # noqa: S608 - our tables
        brand=person.brand,
        ids=person.ids,
    )


def _forget_contact(person: Person) -> int:
    """The log, identities, friendships, group memberships, journal and row of the person."""
    ids, brand = person.ids, person.brand
    rows = touched(
        "DELETE FROM events_event WHERE brand_id = %(brand)s AND contact_id = ANY (%(ids)s)", brand=brand, ids=ids
    )
    # What waits for one of the identities: by its own index, which one statement for both would not use.
    rows += touched(
        """DELETE FROM events_event e USING contacts_identity i
           WHERE i.brand_id = %(brand)s AND i.contact_id = ANY (%(ids)s) AND e.brand_id = %(brand)s
             AND e.contact_id IS NULL AND e.identity_type = i.type AND e.identity_value = i.value""",
        brand=brand,
        ids=ids,
    )
    follows = Follow.objects.filter(contact__in=ids)
    rows += follows.filter(lost_at__isnull=False).delete()[0]
    live = set(follows.values_list("external_userid", flat=True))
    execute(
        """UPDATE contacts_follow SET remark = '', description = '', state = '', corp_tag_ids = '{}',
             last_interacted_at = NULL WHERE brand_id = %(brand)s AND contact_id = ANY (%(ids)s)""",
        brand=brand,
        ids=ids,
    )
    # What WeCom lists the friend by stays, or the next list would make a new contact of them.
    kept = [
        row.pk
        for row in Identity.objects.filter(contact__in=ids, type=Identity.Type.EXTERNAL_USERID)
        if row.value.partition(":")[2] in live
    ]
    rows += Identity.objects.filter(contact__in=ids).exclude(pk__in=kept).delete()[0]
    Identity.objects.filter(pk__in=kept).update(seen_with=None)
    rows += touched(
        "DELETE FROM contacts_groupmember WHERE brand_id = %(brand)s AND contact_id = ANY (%(ids)s)",
        brand=brand,
        ids=ids,
    )
    merges = Merge.objects.filter(Q(survivor__in=ids) | Q(loser__in=ids))
    MergeMoved.objects.filter(merge__in=merges).delete()
    # What was merged can't be split any more: there is nothing left to give back.
    merges.filter(split_at=None).update(split_at=person.at, split_reason=ERASED)
    merges.exclude(split_reason=ERASED).update(split_reason="")
    merges.update(before=None, after=None, evidence={}, reason="")
    IdentityConflict.objects.filter(Q(contact__in=ids) | Q(other__in=ids)).delete()
    return rows + touched(
        """UPDATE contacts_contact SET name = '', avatar = '', gender = 0, phone = '', main_guide_id = NULL,
             source_state = '', first_added_at = NULL, last_active_at = NULL, lost_at = NULL,
             gone_at = coalesce(gone_at, %(at)s), erased_at = %(at)s
           WHERE brand_id = %(brand)s AND id = ANY (%(ids)s)""",
        brand=brand,
        ids=ids,
        at=person.at,
    )


def forget_inbox(person: Person) -> int:
    """Callbacks about the person keep their kind and time, and lose what they say."""
    return traces.in_inbox(brand=person.brand, words=person.words)


def forget_audit(person: Person) -> int:
    """The trail keeps who did what and when; values that name the person go. And the answers kept for repeats."""
    objects = [f"contact:{number}" for number in person.ids]
    answers = traces.in_answers(brand=person.brand, words=person.words, ids=person.ids)
    return answers + traces.in_audit(words=person.words, ids=person.ids, objects=objects)


def forget_imports(person: Person) -> int:
    """Files that were imported, or wait to be: their rows about the person go."""
    return forgetting.forget(words=person.words, contact_ids=person.ids)


def register_own() -> None:
    """Called when the app starts."""
    register("events.imports", forget_imports)
    register("wecom.inbox", forget_inbox)
    register("tenants.audit", forget_audit)
