"""OneID: which contact is meant by an identity, and which contact a new identity belongs to.

All identity types are strong: the same canonical value is the same person. Where two identities that are shown
together belong to two contacts, both contacts are kept and an IdentityConflict is written; nothing is guessed."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from contacts.models import Contact, Identity, IdentityConflict
from contacts.sets import as_array, as_json, execute
from events import log
from scrm.lib.errors import FieldError, Invalid, NotFound
from scrm.lib.ids import made_id
from tenants.scope import current_brand_id

Key = tuple[str, str]
"""(type, canonical value)"""
Clash = tuple[int, int, Key]
"""a claim's contact, the other contact, and the identity that belongs to that one"""

SCOPED_BY = {"external_userid": "corpid", "openid": "appid"}
"""Ids that are only unique within a corp or an app: the field that names it."""


@dataclass(slots=True)
class Draft:
    """What a contact starts with if the person turns out to be new."""

    name: str = ""
    avatar: str = ""
    gender: int = 0
    kind: int = 1
    phone: str = ""
    source_state: str = ""
    first_added_at: datetime | None = None

    def row(self) -> dict[str, Any]:
        """Field by field."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(slots=True)
class Claim:
    """Identities seen together: whoever showed them says they are one person. The first one decides in a conflict."""

    keys: tuple[Key, ...]
    draft: Draft = field(default_factory=Draft)


@dataclass(frozen=True, slots=True)
class Ready:
    """Claims with the text of the rows they may become. Making it needs no database, so another thread may."""

    claims: Sequence[Claim]
    ids: dict[Key, str]
    """of all identities of the claims"""
    drafts: str
    """JSON of one row per claim"""
    identities: str
    """JSON of one row per identity, in the order of `ids`"""

    @classmethod
    def of(cls, claims: Sequence[Claim], *, brand: int) -> "Ready":
        """Make the ids and the texts."""
        ids = _ids((key for claim in claims for key in claim.keys), brand=brand)
        identities = as_json({"id": id_, "type": type_, "value": value} for (type_, value), id_ in ids.items())
        return cls(claims, ids, as_json(claim.draft.row() for claim in claims), identities)


@dataclass(frozen=True, slots=True)
class Attached:
    """What became of the claims."""

    contact_ids: list[int]
    """one per claim, in their order"""
    created: set[int]
    """contacts that did not exist before"""
    shared: set[int]
    """contacts that more than one claim named"""
    fresh: dict[Key, int]
    """identities that were not known before, and their contacts"""
    conflicts: int


def attach(
    *,
    claims: Sequence[Claim] | Ready,
    at: datetime,
    guides: Sequence[int | None] = (),
    mostly_new: bool = False,
) -> Attached:
    """Find or make the contact of each claim, set-at-a-time. Scoped. A repeat changes nothing.

    New identities join the contact of those already known; events that waited for them are linked. While it has
    something new to write it holds the brand's identity lock, so that two workers never make one person twice;
    `mostly_new` takes the lock without looking first. `guides`: the main guide (staff id) of each claim's contact, for
    those that are new."""
    brand = current_brand_id()
    ready = claims if isinstance(claims, Ready) else Ready.of(claims, brand=brand)
    ids = ready.ids
    owners_of = {} if mostly_new else _known(ids, brand=brand)
    if len(owners_of) < len(ids):
        execute("SELECT pg_advisory_xact_lock(hashtextextended('contacts.identity', %(brand)s))", brand=brand)
        owners_of |= _known({key: id_ for key, id_ in ids.items() if key not in owners_of}, brand=brand)
    before = set(owners_of)
    new, owners, conflicts = _settle(ready.claims, owners_of)
    made = _insert_contacts(ready.drafts, new, guides, brand=brand, at=at)

    def real(owner: int) -> int:
        return made[-owner - 1] if owner < 0 else owner

    contact_ids = [real(owner) for owner in owners]
    fresh = {key: real(owner) for key, owner in owners_of.items() if key not in before}
    if fresh:
        _insert_identities(ready.identities, map(fresh.get, ids), brand=brand, at=at)
        log.link([(type_, value, contact_id) for (type_, value), contact_id in fresh.items()])
    clashes = [(real(mine), real(other), key) for mine, other, key in conflicts]
    return Attached(
        contact_ids=contact_ids,
        created=set(made),
        shared={each for each, times in Counter(contact_ids).items() if times > 1},
        fresh=fresh,
        conflicts=_note_conflicts(clashes, brand=brand, at=at) if clashes else 0,
    )


def resolve(identities: Iterable[Key]) -> dict[Key, int]:
    """The contacts of those identities that are known. Scoped; one query. Registered with `events.resolver`."""
    brand = current_brand_id()
    return _known(_ids(identities, brand=brand), brand=brand)


def known(contact_ids: Iterable[int]) -> set[int]:
    """Those of the numbers that are contacts. Scoped; one query. Registered with `events.resolver`."""
    return set(Contact.objects.filter(pk__in=list(contact_ids)).values_list("pk", flat=True))


def find(ref: Mapping[str, object]) -> Contact:
    """The contact that `ref` names: {"id"}, {"unionid"}, {"external_userid", "corpid"}, {"openid", "appid"}, {"phone"}
    or {"member_id"}. Scoped. Raises NotFound, or Invalid for a ref that names nobody by form."""
    if "id" in ref:
        number = str(ref["id"])
        contact = Contact.objects.filter(pk=int(number)).first() if _is_id(number) else None
    else:
        type_, value = key_of(ref)
        owner = resolve([(type_, value)]).get((type_, value))
        contact = Contact.objects.filter(pk=owner).first() if owner else None
    if contact is None:
        raise NotFound(_("没有这位客户。"), remedy=_("请检查客户的标识；未添加过导购的访客还不是客户。"))
    return contact


def key_of(ref: Mapping[str, object]) -> Key:
    """The canonical identity in a reference. Raises Invalid with the field that is missing or unknown."""
    named = [type_ for type_ in Identity.Type.values if ref.get(type_)]
    if len(named) != 1:
        raise _bad("identity", _("请给出一种身份标识：%s。") % "、".join(Identity.Type.values))
    type_ = named[0]
    scope = SCOPED_BY.get(type_)
    if scope and not ref.get(scope):
        raise _bad(scope, _("%(type)s 要与 %(scope)s 一起给出。") % {"type": type_, "scope": scope})
    return type_, canonical(type_, str(ref[type_]), scope=str(ref[scope]) if scope else "")


def canonical(type_: str, value: str, *, scope: str = "") -> str:
    """One spelling for one thing: `corpid:external_userid`, `appid:openid`, a phone's digits without +86, else itself.

    `scope` is the corpid or appid."""
    value = value.strip()
    if type_ in SCOPED_BY:
        return f"{scope}:{value}"
    if type_ == Identity.Type.PHONE:
        digits = re.sub(r"\D", "", value)
        return digits[2:] if len(digits) == 13 and digits.startswith("86") else digits
    return value


def _ids(keys: Iterable[Key], *, brand: int) -> dict[Key, str]:
    return {key: str(made_id(brand, "identity", *key)) for key in keys}


def _known(ids: Mapping[Key, str], *, brand: int) -> dict[Key, int]:
    """The contacts of these identities, looked up by the ids that are made of them."""
    if not ids:
        return {}
    found = execute(
        """SELECT wanted.n, i.contact_id FROM unnest(%(ids)s::uuid[]) WITH ORDINALITY AS wanted (id, n)
           JOIN contacts_identity i ON i.brand_id = %(brand)s AND i.id = wanted.id""",
        ids=as_array(ids.values()),
        brand=brand,
    )
    keys = list(ids)
    return {keys[place - 1]: contact_id for place, contact_id in found}


def _settle(claims: Sequence[Claim], known: dict[Key, int]) -> tuple[list[int], list[int], list[Clash]]:
    """Decide each claim's owner; unknown keys enter `known`. (the claims, counted from 1, that are new contacts; the
    owners, where those are numbered -1, -2, …; conflicts)"""
    new: list[int] = []
    owners: list[int] = []
    conflicts: list[Clash] = []
    for place, claim in enumerate(claims, 1):
        hits = [(known[key], key) for key in claim.keys if key in known]
        if hits:
            owner = hits[0][0]
        else:
            new.append(place)
            owner = -len(new)
        conflicts += [(owner, other, key) for other, key in hits if other != owner]
        for key in claim.keys:
            known.setdefault(key, owner)
        owners.append(owner)
    return new, owners, conflicts


def _insert_contacts(
    drafts: str, new: Sequence[int], guides: Sequence[int | None], *, brand: int, at: datetime
) -> list[int]:
    """The ids of new contacts: those of the drafts, counted from 1, that are in `new`, in their order."""
    if not new:
        return []
    inserted = execute(
        """INSERT INTO contacts_contact
             (brand_id, name, avatar, gender, kind, phone, source_state, first_added_at, main_guide_id, created_at)
           SELECT %(brand)s, name, avatar, gender, kind, phone, source_state, first_added_at, main_guide_id, %(at)s
           FROM ROWS FROM (
             json_to_recordset(%(drafts)s) AS (name text, avatar text, gender smallint, kind smallint, phone text,
                                               source_state text, first_added_at timestamptz),
             unnest(%(guides)s::bigint[])
           ) WITH ORDINALITY
             AS r (name, avatar, gender, kind, phone, source_state, first_added_at, main_guide_id, n)
           WHERE n = ANY (%(new)s::bigint[])
           ORDER BY n RETURNING id""",
        brand=brand,
        at=at,
        drafts=drafts,
        guides=as_array(guides),
        new=as_array(new),
    )
    return [row[0] for row in inserted]


def _insert_identities(identities: str, contact_ids: Iterable[int | None], *, brand: int, at: datetime) -> None:
    """Write those of the rows that have a contact id beside them."""
    execute(
        """INSERT INTO contacts_identity (brand_id, id, contact_id, type, value, first_seen_at)
           SELECT %(brand)s, id, contact_id, type, value, %(at)s
           FROM ROWS FROM (
             json_to_recordset(%(identities)s) AS (id uuid, type text, value text), unnest(%(contacts)s::bigint[])
           ) AS r (id, type, value, contact_id)
           WHERE contact_id IS NOT NULL
           ON CONFLICT DO NOTHING""",
        brand=brand,
        at=at,
        identities=identities,
        contacts=as_array(contact_ids),
    )


def _note_conflicts(found: Sequence[Clash], *, brand: int, at: datetime) -> int:
    """Write each pair of contacts once, whichever way round and however often it is met."""
    rows = {}
    for mine, other, (type_, value) in found:
        low, high = sorted((mine, other))
        row_id = made_id(brand, "identity_conflict", low, high)
        evidence = {"type": type_, "value": value, "seen_with": mine}
        rows[row_id] = IdentityConflict(
            id=row_id, brand_id=brand, contact_id=low, other_id=high, evidence=evidence, seen_at=at
        )
    IdentityConflict.objects.bulk_create(rows.values(), ignore_conflicts=True)
    return len(rows)


def _is_id(text: str) -> bool:
    return text.isdecimal() and len(text) < 19


def _bad(field_name: str, message: str) -> Invalid:
    return Invalid(_("客户标识不正确。"), errors=[FieldError(field_name, "identity.bad", message)])
