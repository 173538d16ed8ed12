"""What GET /contacts/{id} says of tags, stage and interests. More: its sub-paths tags, lifecycle and interests."""

from datetime import datetime
from typing import Any

from rest_framework import serializers

from contacts import parts
from contacts.models import Contact
from contacts.parts import Part
from tagging import of_contact, tags


class TagPart(serializers.Serializer):
    """A tag that the contact has now."""

    id = serializers.IntegerField()
    group = serializers.CharField()
    name = serializers.CharField()
    source = serializers.CharField(help_text="manual, rule, api, wecom or import")  # type: ignore[assignment]
    given_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)


class StagePart(serializers.Serializer):
    """Where the contact stands in the brand's lifecycle, or in the built-in one."""

    key = serializers.CharField(help_text="empty: no stage's condition holds")
    name = serializers.CharField()
    since = serializers.DateTimeField(allow_null=True, help_text="null for a built-in stage, which has no history")


class InterestPart(serializers.Serializer):
    """One of the three categories or products that the contact is drawn to most."""

    kind = serializers.CharField(help_text="category or product")
    key = serializers.CharField()
    score = serializers.FloatField(help_text="now; it halves with time")


def _tags(contact: Contact, at: datetime) -> list[dict[str, Any]]:
    return [
        {
            "id": line.tag_id,
            "group": line.tag.group,
            "name": line.tag.name,
            "source": line.source,
            "given_at": line.given_at,
            "expires_at": line.expires_at,
        }
        for line in tags.live_tags(contact.pk, at=at)
    ]


def _stage(contact: Contact, at: datetime) -> dict[str, Any]:
    now = of_contact.standing(contact, at=at)
    return {"key": now.stage, "name": str(now.label), "since": now.since}


def _interests(contact: Contact, at: datetime) -> list[dict[str, Any]]:
    drawn = of_contact.drawn_to(contact.pk, at=at, limit=3)
    return [
        {"kind": each.kind, "key": each.key, "score": round(each.score, 4)} for some in drawn.values() for each in some
    ]


def register_own() -> None:
    """Called when the app starts."""
    parts.register(Part("tags", "tags:read", lambda: TagPart(many=True, allow_null=True), _tags))
    parts.register(Part("stage", "contacts:read", lambda: StagePart(allow_null=True), _stage))
    parts.register(Part("interests", "contacts:read", lambda: InterestPart(many=True, allow_null=True), _interests))
