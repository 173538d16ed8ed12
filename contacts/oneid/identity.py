"""OneID: which contact is meant by an identity, and which contact a new identity belongs to.

Who shows identities together says that they are one person (a claim). Strong ones (strengths) decide: a new
identity joins the contact of a known one; where known ones belong to two contacts, these are merged, unless a type
that a person can have once has two values, or an operator has said that they are two people. Then both contacts stay
as they are and an IdentityConflict is written; nothing is guessed."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from contacts import gone
from contacts.merging.operations import Wanted, hold, merge
from contacts.models import Contact, Identity, IdentityConflict
from contacts.oneid import settling_claims
from contacts.sets import as_array, as_json, execute
from events import log, spelling
from events.spelling import IDENTITY_SPACE as SCOPED_BY
from scrm.lib.errors import FieldError, Invalid, NotFound
from scrm.lib.ids import made_id
from tenants.scope import current_brand_id

Key = tuple[str, str]
"""(type, canonical value)"""
Clash = tuple[int, int, Key]
"""a claim's contact, the other contact (0: the contact has another value already), and the identity that says so"""

LONGEST = 200
"""characters of a canonical value"""


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
    source: str = "wecom",
) -> Attached:
    """Find or make the contact of each claim, set-at-a-time. Scoped. A repeat changes nothing.

    New identities join the contact of those already known; events that waited for them are linked; contacts that turn
    out to be one are merged. While it has something new to write it holds the brand's identity lock, so that two
    workers never make one person twice; `mostly_new` takes the lock without looking first. `guides`: the main guide
    (staff id) of each claim's contact, for those that are new. `source`: who showed the identities."""
    brand = current_brand_id()
    ready = claims if isinstance(claims, Ready) else Ready.of(claims, brand=brand)
    ids = ready.ids
    owners_of = {} if mostly_new else _known(ids, brand=brand)
    if len(owners_of) < len(ids) or _names_several(ready.claims, owners_of):
        hold(brand)
        # All of them anew: while we waited, contacts may have been merged, split or erased.
        owners_of = _known(ids, brand=brand)
    before = set(owners_of)
    settled = settling_claims.settle(ready.claims, owners_of)
    made = _insert_contacts(ready.drafts, settled.new, guides, brand=brand, at=at)

    def real(owner: int) -> int:
        return made[-owner - 1] if owner < 0 else owner

    contact_ids = [real(owner) for owner in settled.owners]
    fresh = {key: real(owner) for key, owner in owners_of.items() if key not in before}
    if fresh:
        beside = (ids[settled.anchors[key]] if key in settled.anchors else None for key in ids)
        _insert_identities(ready.identities, map(fresh.get, ids), beside, source=source, brand=brand, at=at)
        log.link([(type_, value, contact_id) for (type_, value), contact_id in fresh.items()])
    shared = {each for each, times in Counter(contact_ids).items() if times > 1}
    created = set(made)
    unions = [(real(mine), real(other), key) for mine, other, key in settled.unions]
    conflicts = [(real(mine), real(other), key) for mine, other, key in settled.conflicts]
    if unions:
        now = _unite(unions, at=at)
        contact_ids = [now.get(each, each) for each in contact_ids]
        fresh = {key: now.get(each, each) for key, each in fresh.items()}
        created = {each for each in created if now.get(each, each) == each}
        shared |= set(now.values())
    return Attached(
        contact_ids=contact_ids,
        created=created,
        shared=shared,
        fresh=fresh,
        conflicts=_note_conflicts(conflicts, brand=brand, at=at) if conflicts else 0,
    )


def resolve(identities: Iterable[Key]) -> dict[Key, int]:
    """The contacts of those identities that are known. Scoped; one query. Registered with `events.resolver`."""
    brand = current_brand_id()
    return _known(_ids(identities, brand=brand), brand=brand)


def find(ref: Mapping[str, object]) -> Contact:
    """The contact that `ref` names: {"id"}, {"unionid"}, {"external_userid", "corpid"}, {"openid", "appid"}, {"phone"},
    {"member_id"} or another identity type. Scoped. Raises NotFound, or Invalid for a ref that names nobody by form."""
    if "id" in ref:
        number = str(ref["id"])
        # The number of a merged contact goes on meaning that person.
        now = gone.current([int(number)]).get(int(number)) if _is_id(number) else None
        contact = Contact.objects.filter(pk=now).first() if now else None
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
    value = canonical(type_, str(ref[type_]), scope=str(ref[scope]) if scope else "")
    if not value or len(value) > LONGEST or value.endswith(":"):
        raise _bad(type_, _("这个身份标识是空的或太长（最多 %d 个字符）。") % LONGEST)
    if type_ in ("phone", "order_phone") and not 5 <= len(value) <= 20:
        raise _bad(type_, _("手机号要有 5 到 20 位数字。"))
    return type_, value


canonical = spelling.canonical
"""One spelling for one thing; the log spells identities the same."""


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


def _insert_identities(
    identities: str,
    contact_ids: Iterable[int | None],
    beside: Iterable[str | None],
    *,
    source: str,
    brand: int,
    at: datetime,
) -> None:
    """Write those of the rows that have a contact id beside them."""
    execute(
        """INSERT INTO contacts_identity (brand_id, id, contact_id, type, value, first_seen_at, seen_with, source)
           SELECT %(brand)s, id, contact_id, type, value, %(at)s, seen_with, %(source)s
           FROM ROWS FROM (
             json_to_recordset(%(identities)s) AS (id uuid, type text, value text), unnest(%(contacts)s::bigint[]),
             unnest(%(beside)s::uuid[])
           ) AS r (id, type, value, contact_id, seen_with)
           WHERE contact_id IS NOT NULL
           ON CONFLICT DO NOTHING""",
        brand=brand,
        at=at,
        source=source,
        identities=identities,
        contacts=as_array(contact_ids),
        beside=as_array(beside),
    )


def _names_several(claims: Sequence[Claim], owners_of: Mapping[Key, int]) -> bool:
    """Whether one claim names two contacts, who may have to be united."""
    return any(len({owners_of[key] for key in claim.keys if key in owners_of}) > 1 for claim in claims)


def _unite(unions: Sequence[Clash], *, at: datetime) -> dict[int, int]:
    """Merge contacts that are one person; where each of them is now."""
    people = {each for mine, other, _key in unions for each in (mine, other)}
    added = dict(Contact.objects.filter(pk__in=people).values_list("pk", "first_added_at"))
    into: dict[int, int] = {}

    def group(contact: int) -> int:
        while contact in into:
            contact = into[contact]
        return contact

    def rank(contact: int) -> tuple[bool, int]:
        # A customer before a visitor, then the older: the number that other systems know stays a contact's own.
        return added.get(contact) is None, contact

    wanted = []
    for mine, other, (type_, value) in unions:
        survivor, loser = sorted((group(mine), group(other)), key=rank)
        into[loser] = survivor
        wanted.append(Wanted(survivor, loser, {"type": type_, "value": value, "seen_with": mine}))
    merge(wanted=wanted, at=at)
    return gone.current(people)


def _note_conflicts(found: Sequence[Clash], *, brand: int, at: datetime) -> int:
    """Write each pair of contacts once, whichever way round and however often it is met."""
    rows = {}
    for mine, other, (type_, value) in found:
        # Held back: the contact has another value of this type, so this one is nobody's until somebody decides.
        pair = sorted((mine, other)) if other else (mine, type_, value)
        row_id = made_id(brand, "identity_conflict", *pair)
        evidence = {"type": type_, "value": value, "seen_with": mine}
        first, second = sorted((mine, other)) if other else (mine, None)
        rows[row_id] = IdentityConflict(
            id=row_id, brand_id=brand, contact_id=first, other_id=second, evidence=evidence, seen_at=at
        )
    IdentityConflict.objects.bulk_create(rows.values(), ignore_conflicts=True)
    return len(rows)


def _is_id(text: str) -> bool:
    return text.isdecimal() and len(text) < 19


def _bad(field_name: str, message: str) -> Invalid:
    return Invalid(_("客户标识不正确。"), errors=[FieldError(field_name, "identity.bad", message)])
