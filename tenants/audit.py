"""The audit trail: one row per act of an operator or key, written by the operation, in its transaction."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tenants.actors import Actor
from tenants.models import AuditEntry


def record(
    *,
    actor: Actor,
    action: str,
    object_type: str,
    object_id: object = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    at: datetime,
) -> None:
    """Write one act, `action` as `segment.save`. Scoped. Never pass secrets; values must be JSON."""
    AuditEntry.objects.create(
        at=at,
        actor=actor.id,
        actor_label=actor.label,
        action=action,
        object_type=object_type,
        object_id=str(object_id),
        before=before,
        after=after,
    )
