"""How far behind the inboxes are: for /readyz and the cockpit of the platform."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min, Q

from tenants.scope import brand_scope
from wecom.models import CallbackEndpoint, InboxItem


@dataclass(frozen=True, slots=True)
class InboxLag:
    """One brand's inbox. `oldest_seconds`: age of the oldest callback not yet handled, None when all are."""

    brand_id: int
    pending: int
    failed: int
    oldest_seconds: float | None


def inbox_lags_of_all_brands(*, at: datetime) -> list[InboxLag]:
    """The lag of every brand with a callback endpoint, one small query in each brand's own scope."""
    brand_ids = CallbackEndpoint.objects.order_by("brand_id").values_list("brand_id", flat=True).distinct()
    return [_lag(brand_id, at) for brand_id in brand_ids]


def _lag(brand_id: int, at: datetime) -> InboxLag:
    pending, failed = Q(status=InboxItem.Status.PENDING), Q(status=InboxItem.Status.FAILED)
    with brand_scope(brand_id):
        row = InboxItem.objects.filter(pending | failed).aggregate(
            pending=Count("id", filter=pending),
            failed=Count("id", filter=failed),
            oldest=Min("received_at", filter=pending),
        )
    age = (at - row["oldest"]).total_seconds() if row["oldest"] else None
    return InboxLag(brand_id, row["pending"], row["failed"], age)
