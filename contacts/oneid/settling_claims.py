"""Whose each claim is, decided from the identities that are known; writes nothing.

The claims of one call are decided one after the other, each seeing what those before it decided: who is one person
through two claims is looked at as one person by the third."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Protocol

from contacts import gone
from contacts.models import Contact, Identity
from contacts.oneid.strengths import is_strong, slot
from contacts.sets import as_array, execute

Key = tuple[str, str]
Clash = tuple[int, int, Key]


class Shown(Protocol):
    """Identities shown together."""

    keys: tuple[Key, ...]


@dataclass(slots=True)
class Settled:
    """Owners are contact ids; -1, -2, … are the first, second, … of the contacts to be made."""

    new: list[int] = field(default_factory=list)
    """the claims, counted from 1, that are new contacts"""
    owners: list[int] = field(default_factory=list)
    """one per claim"""
    anchors: dict[Key, Key] = field(default_factory=dict)
    """fresh identity → the one it was shown with"""
    unions: list[Clash] = field(default_factory=list)
    """contacts that are one person"""
    conflicts: list[Clash] = field(default_factory=list)


@dataclass(slots=True)
class _People:
    """Contacts that may gain an identity or be united, in groups that the claims so far have united."""

    values: dict[int, dict[str, str]]
    """slot → value, of a group by its first contact"""
    closed: set[int]
    """erased: these learn nothing new"""
    apart: dict[int, set[int]]
    """whom an operator keeps apart from whom"""
    into: dict[int, int] = field(default_factory=dict)

    def group(self, contact: int) -> int:
        """The contact that stands for the group."""
        while contact in self.into:
            contact = self.into[contact]
        return contact

    def values_of(self, contact: int) -> dict[str, str]:
        """What is filled already."""
        return self.values.setdefault(self.group(contact), {})

    def are_apart(self, one: int, other: int) -> bool:
        """Whether an operator has said that they are two people."""
        return self.group(other) in self.apart.get(self.group(one), ())

    def agree(self, some: Sequence[int], also: Sequence[Key]) -> bool:
        """Whether these contacts, with these new identities, can be one person."""
        told = [slot_value for each in some for slot_value in self.values_of(each).items()]
        told += [(filled, key[1]) for key in also if (filled := slot(*key))]
        if len(set(told)) > len({filled for filled, _value in told}):
            return False
        return not any(self.are_apart(one, other) for one, other in combinations(some, 2))

    def unite(self, one: int, other: int) -> None:
        """They are one person from now on."""
        root, joined = self.group(one), self.group(other)
        self.values_of(root).update(self.values.pop(joined, {}))
        self.into[joined] = root
        enemies = self.apart.pop(joined, set())
        self.apart.setdefault(root, set()).update(enemies)
        for enemy in enemies:
            self.apart[enemy].add(root)


def settle(claims: Sequence[Shown], known: dict[Key, int]) -> Settled:
    """Decide each claim's owner; identities that are new enter `known`. Scoped; at most three queries."""
    people = _people(claims, known)
    done = Settled()
    for place, claim in enumerate(claims, 1):
        deciding = [key for key in claim.keys if is_strong(key[0])] or list(claim.keys)
        hits = [(known[key], key) for key in deciding if key in known]
        if hits:
            owner, anchor = hits[0]
        else:
            done.new.append(place)
            owner, anchor = -len(done.new), deciding[0]
        done.owners.append(owner)
        if owner in people.closed:
            continue
        _compare(owner, hits, [key for key in claim.keys if key not in known], people, done)
        values = people.values_of(owner)
        for key in claim.keys:
            if key not in known:
                filled = slot(*key)
                if filled and values.setdefault(filled, key[1]) != key[1]:
                    done.conflicts.append((owner, 0, key))
                    continue
                known[key] = owner
                if key != anchor:
                    done.anchors[key] = anchor
    return done


def _compare(owner: int, hits: Sequence[tuple[int, Key]], fresh: Sequence[Key], people: _People, done: Settled) -> None:
    """One claim names several contacts: all of them are one person, or it contradicts itself and none are united."""
    others: dict[int, Clash] = {}
    for other, key in hits:
        if other in people.closed or not is_strong(key[0]) or people.are_apart(owner, other):
            continue
        if people.group(other) != people.group(owner):
            others.setdefault(people.group(other), (owner, other, key))
    if not others:
        return
    if not people.agree([owner, *others], fresh):
        done.conflicts += others.values()
        return
    done.unions += others.values()
    for other in others:
        people.unite(owner, other)


def _people(claims: Sequence[Shown], known: Mapping[Key, int]) -> _People:
    """What is filled already of contacts that may gain an identity or be united with another."""
    asked: set[int] = set()
    for claim in claims:
        owners = {known[key] for key in claim.keys if key in known}
        if owners and (len(owners) > 1 or any(key not in known for key in claim.keys)):
            asked |= owners
    values: dict[int, dict[str, str]] = {each: {} for each in asked}
    if not asked:
        return _People(values, set(), {})
    rows = Identity.objects.filter(contact__in=asked).values_list("contact_id", "type", "value")
    for contact, type_, value in rows:
        if filled := slot(type_, value):
            values[contact][filled] = value
    # The row of somebody erased is hidden, that of everybody else who owns an identity is there.
    closed = asked - set(Contact.objects.filter(pk__in=asked).values_list("pk", flat=True))
    return _People(values, closed, _kept_apart(asked) if len(asked) > 1 else {})


def _kept_apart(asked: set[int]) -> dict[int, set[int]]:
    """Whom an operator keeps apart, also as somebody whom one of them was merged into since."""
    with gone.shown():
        pairs = execute(
            """WITH people AS (
                 SELECT id, id AS now FROM unnest(%(asked)s::bigint[]) AS asked (id)
                 UNION ALL
                 SELECT c.id, c.merged_into_id FROM contacts_contact c
                 WHERE c.brand_id = current_setting('orchard.brand_id')::bigint
                   AND c.merged_into_id = ANY (%(asked)s::bigint[])
               )
               SELECT one.now, other.now FROM people one
               CROSS JOIN LATERAL (
                 SELECT k.other_id FROM contacts_identityconflict k
                 WHERE k.brand_id = current_setting('orchard.brand_id')::bigint AND k.contact_id = one.id
                   AND k.other_id IS NOT NULL AND k.resolution = 'kept_apart'
               ) AS k
               JOIN people other ON other.id = k.other_id""",
            asked=as_array(asked),
        )
    apart: dict[int, set[int]] = {}
    for one, other in pairs:
        if one != other:
            apart.setdefault(one, set()).add(other)
            apart.setdefault(other, set()).add(one)
    return apart
