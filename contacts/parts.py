"""What higher apps know of one contact, for GET /contacts/{id}: each registers its part when it starts."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rest_framework import serializers

from contacts.models import Contact


@dataclass(frozen=True, slots=True)
class Part:
    """One field of the answer. `scope`: what a key must hold to see it; for others it is null."""

    name: str
    scope: str
    field: Callable[[], serializers.Field]
    """makes the field as the schema shows it"""
    read: Callable[[Contact, datetime], Any]
    """in the brand's scope, a few queries"""


_PARTS: dict[str, Part] = {}


def register(part: Part) -> None:
    """Called from AppConfig.ready()."""
    if part.name in _PARTS:
        raise ValueError(f"There is a part named {part.name} already.")
    _PARTS[part.name] = part


def fields() -> dict[str, serializers.Field]:
    """The parts' fields, in order of registration."""
    return {part.name: part.field() for part in _PARTS.values()}


def read(contact: Contact, *, scopes: Collection[str], at: datetime) -> dict[str, Any]:
    """What the caller may see of each part. Scoped."""
    return {part.name: part.read(contact, at) if part.scope in scopes else None for part in _PARTS.values()}
