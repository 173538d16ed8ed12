"""How far behind an inbox is: for /readyz."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min, Q

from wecom.models import InboxItem


@dataclass(frozen=True, slots=True)
class InboxLag:
    """One brand's inbox. `oldest_seconds`: age of the oldest callback not yet handled, None when all are."""

    brand_id: int
    pending: int
    failed: int
    oldest_seconds: float | None


def inbox_lag(*, brand_id: int, at: datetime) -> InboxLag:
    """How far behind the brand's inbox is at `at`. Scoped."""
    pending, failed = Q(status=InboxItem.Status.PENDING), Q(status=InboxItem.Status.FAILED)
    row = InboxItem.objects.filter(pending | failed, brand=brand_id).aggregate(
        pending=Count("id", filter=pending),
        failed=Count("id", filter=failed),
        oldest=Min("received_at", filter=pending),
    )
    age = max((at - row["oldest"]).total_seconds(), 0.0) if row["oldest"] else None
    return InboxLag(brand_id, row["pending"], row["failed"], age)
