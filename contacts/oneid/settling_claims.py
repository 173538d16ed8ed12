"""Whose each claim is, decided from the identities that are known; touches no database but for what people have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from contacts.models import Contact, Identity
from contacts.oneid.strengths import is_strong, slot

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


def settle(claims: Sequence[Shown], known: dict[Key, int]) -> Settled:
    """Decide each claim's owner; identities that are new enter `known`. Scoped; at most one query."""
    had, closed = _values_of(claims, known)
    done = Settled()
    for place, claim in enumerate(claims, 1):
        deciding = [key for key in claim.keys if is_strong(key[0])] or list(claim.keys)
        hits = [(known[key], key) for key in deciding if key in known]
        if hits:
            owner, anchor = hits[0]
        else:
            done.new.append(place)
            owner, anchor = -len(done.new), deciding[0]
        values = had.setdefault(owner, {})
        for other, key in hits:
            if other != owner and is_strong(key[0]) and not {owner, other} & closed:
                theirs = had.setdefault(other, {})
                told = done.conflicts if values.keys() & theirs.keys() else done.unions
                told.append((owner, other, key))
        if owner in closed:
            done.owners.append(owner)
            continue
        for key in claim.keys:
            if key not in known:
                place_of = slot(*key)
                if place_of and values.setdefault(place_of, key[1]) != key[1]:
                    done.conflicts.append((owner, 0, key))
                    continue
                known[key] = owner
                if key != anchor:
                    done.anchors[key] = anchor
        done.owners.append(owner)
    return done


def _values_of(claims: Sequence[Shown], known: Mapping[Key, int]) -> tuple[dict[int, dict[str, str]], set[int]]:
    """What is filled already (slot → value) of contacts that may gain an identity or be united with another, and
    which of them were erased: these learn nothing new."""
    asked: set[int] = set()
    for claim in claims:
        owners = {known[key] for key in claim.keys if key in known}
        if owners and (len(owners) > 1 or any(key not in known for key in claim.keys)):
            asked |= owners
    values: dict[int, dict[str, str]] = {each: {} for each in asked}
    if not asked:
        return values, set()
    rows = Identity.objects.filter(contact__in=asked).values_list("contact_id", "type", "value")
    for contact, type_, value in rows:
        if filled := slot(type_, value):
            values[contact][filled] = value
    # The row of somebody erased is hidden, that of everybody else who owns an identity is there.
    return values, asked - set(Contact.objects.filter(pk__in=asked).values_list("pk", flat=True))
