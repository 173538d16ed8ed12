"""Giving and taking a tag for a list of references to contacts, with what became of each."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Count, Q
from django.utils.translation import gettext as _

from contacts.models import Contact
from contacts.oneid import identity
from scrm.lib.errors import DomainError
from tagging import tags
from tagging.language.params import MAX_ID, is_whole
from tagging.models import ContactTag
from tenants.actors import Actor

MAX_ITEMS = 500
Report = dict[str, Any]


def give(
    *, tag_id: int, contacts: Sequence[Any], actor: Actor, at: datetime, expires_at: datetime | None = None
) -> Report:
    """Give a tag to up to 500 referenced contacts. Scoped. {done, unchanged, refused, items: per item}.

    Raises NotFound for the tag, Invalid for an expiry in the past; then nothing is given."""

    def act(contact_ids: Collection[int]) -> frozenset[int]:
        return tags.give(
            tag_id=tag_id,
            contact_ids=contact_ids,
            actor=actor,
            at=at,
            source=ContactTag.Source.API,
            expires_at=expires_at,
        )

    return _for_each(contacts, act)


def take(*, tag_id: int, contacts: Sequence[Any], actor: Actor, at: datetime) -> Report:
    """Take a tag from up to 500 referenced contacts. Scoped. The report is as of `give`."""

    def act(contact_ids: Collection[int]) -> frozenset[int]:
        return tags.take(tag_id=tag_id, contact_ids=contact_ids, actor=actor, at=at, source=ContactTag.Source.API)

    return _for_each(contacts, act)


def holders(tag_ids: Collection[int], *, at: datetime) -> dict[int, int]:
    """Tag id → how many contacts have it at `at`; tags that nobody has are missing. Scoped."""
    live = Q(expires_at=None) | Q(expires_at__gt=at)
    rows = ContactTag.objects.filter(live, tag_id__in=tag_ids).values_list("tag_id").annotate(n=Count("contact_id"))
    return dict(rows.order_by())


def _for_each(refs: Sequence[Any], act: Callable[[Collection[int]], frozenset[int]]) -> Report:
    found, wrong = _resolved(refs)
    changed = act(sorted(set(found.values())))
    counted: set[int] = set()
    items: list[Report] = []
    for index in range(len(refs)):
        if index in wrong:
            items.append({"index": index, "status": "refused", **wrong[index]})
            continue
        contact_id = found[index]
        # A contact named twice is changed once.
        is_done = contact_id in changed and contact_id not in counted
        counted.add(contact_id)
        items.append({"index": index, "contact_id": contact_id, "status": "done" if is_done else "unchanged"})
    totals = {status: sum(item["status"] == status for item in items) for status in ("done", "unchanged", "refused")}
    return {**totals, "items": items}


def _resolved(refs: Sequence[Any]) -> tuple[dict[int, int], dict[int, Report]]:
    """(index → contact id, index → refusal): two queries, whatever the number of items."""
    keys: dict[int, identity.Key] = {}
    ids: dict[int, int] = {}
    wrong: dict[int, Report] = {}
    for index, ref in enumerate(refs):
        try:
            if isinstance(ref, dict) and is_whole(ref.get("id")) and 0 < ref["id"] <= MAX_ID:
                ids[index] = ref["id"]
            elif isinstance(ref, dict) and "id" not in ref and _is_storable(ref):
                keys[index] = identity.key_of(ref)
            else:
                wrong[index] = {"code": "contact.bad_reference", "message": _('写成 {"id": 7} 或 {"unionid": "…"}。')}
        except DomainError as bad:
            said = bad.errors[0].message if bad.errors else bad.detail
            wrong[index] = {"code": bad.problem_code, "message": str(said)}
    known = set(Contact.objects.filter(pk__in=ids.values()).values_list("pk", flat=True))
    by_key = identity.resolve(keys.values())
    found = {index: contact_id for index, contact_id in ids.items() if contact_id in known}
    found |= {index: by_key[key] for index, key in keys.items() if key in by_key}
    for index in range(len(refs)):
        if index not in found and index not in wrong:
            wrong[index] = {"code": "not_found", "message": _("没有这位客户。")}
    return found, wrong


def _is_storable(ref: dict[str, Any]) -> bool:
    """Text that PostgreSQL can compare with: no NUL, no half of a surrogate pair."""
    texts = [str(value) for value in ref.values()]
    return all("\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text) for text in texts)
