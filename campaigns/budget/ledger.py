"""The contact budget's ledger. A plan *reserves*, a delivery *posts*, everything else *voids*.

Two plans of one brand must not both find the same last place free. Each range of a plan holds the brand's advisory
lock for its transaction (`lock`). Row locks would not do: what must be kept still is the *absence* of a reservation,
and locking the contacts instead would write to a million rows and stand in the way of the sync."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from campaigns.budget.limits import Rules, zone_of
from tenants.scope import current_brand_id


def lock(brand_id: int) -> None:
    """Wait for every other plan of the brand to finish its range, until this transaction ends. Scoped.

    A statement of its own, before the one that reads the ledger: that one's snapshot must be younger than the lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('campaigns.budget:' || %s, 0))", [str(brand_id)])


RESERVE = """
INSERT INTO campaigns_reservation (brand_id, push_id, contact_id, corp_id, channel, day, status, priority, made_at)
SELECT d.brand_id, d.push_id, d.contact_id, %(corp)s, %(channel)s, %(day)s, 'reserved', %(priority)s, %(at)s
FROM campaigns_delivery d
WHERE d.brand_id = %(brand)s AND d.push_id = %(push)s AND d.status = 'planned'
  AND {these}
ON CONFLICT DO NOTHING"""


def reserve(*, push_id: int, priority: int, rules: Rules, after: int, last: int, at: datetime) -> None:
    """Reserve a touch for each planned delivery of the push with a contact in (after, last]. Scoped; under `lock`."""
    these = "d.contact_id > %(after)s AND d.contact_id <= %(last)s"
    _reserve(these, push_id, priority, rules, at, {"after": after, "last": last})


def reserve_these(*, push_id: int, priority: int, rules: Rules, contact_ids: Sequence[int], at: datetime) -> None:
    """The same for named contacts, some thousands at most. Those that are not planned are passed over."""
    _reserve("d.contact_id = ANY (%(ids)s)", push_id, priority, rules, at, {"ids": list(contact_ids)})


def _reserve(these: str, push_id: int, priority: int, rules: Rules, at: datetime, words: Mapping[str, Any]) -> None:
    fixed: dict[str, Any] = {
        "brand": current_brand_id(),
        "push": push_id,
        "corp": rules.corp_id,
        "channel": rules.channel,
        "day": rules.day,
        "priority": priority,
        "at": at,
    }
    with connection.cursor() as cursor:
        cursor.execute(RESERVE.format(these=these), {**fixed, **words})


# One array of contacts, then look-ups by key: a join of the two tables compares all with all where the planner has no
# statistics yet of a new push (see campaigns.planning.decide).
THESE = """r.brand_id = %(brand)s AND r.push_id = %(push)s AND r.contact_id = ANY (ARRAY(
  SELECT d.contact_id FROM campaigns_delivery d
  WHERE d.brand_id = %(brand)s AND d.push_id = %(push)s {batch} AND d.status IN {outcomes}))"""
POST = """
UPDATE campaigns_reservation r
SET status = 'posted', settled_at = %(at)s, day = (
  SELECT (coalesce(d.delivered_at, %(at)s) AT TIME ZONE %(zone)s)::date FROM campaigns_delivery d
  WHERE d.brand_id = r.brand_id AND d.push_id = r.push_id AND d.contact_id = r.contact_id)
WHERE {these} AND r.status <> 'posted'"""
VOID = """
UPDATE campaigns_reservation r SET status = 'voided', settled_at = %(at)s
WHERE {these} AND r.status = 'reserved'"""
DELIVERED, NOT_DELIVERED = "('delivered')", "('failed', 'unconfirmed', 'cancelled', 'suppressed')"


@dataclass(frozen=True, slots=True)
class Settled:
    """How many reservations changed."""

    posted: int
    voided: int


def settle(*, push_id: int, at: datetime, batch_id: UUID | None = None) -> Settled:
    """Bring the push's reservations into line with its deliveries. Scoped; a repeat changes nothing.

    Delivered → posted, on the brand's day it happened, also if it had been voided (a guide who confirmed after all).
    Failed, unconfirmed, cancelled → voided. Name the `batch_id` when one batch changed: whole pushes can be large."""
    brand_id = current_brand_id()
    words: dict[str, Any] = {
        "brand": brand_id,
        "push": push_id,
        "batch": batch_id,
        "at": at,
        "zone": str(zone_of(brand_id)),
    }
    batch = "AND d.batch_id = %(batch)s" if batch_id else ""
    with connection.cursor() as cursor:
        cursor.execute(POST.format(these=THESE.format(batch=batch, outcomes=DELIVERED)), words)
        posted = cursor.rowcount
        cursor.execute(VOID.format(these=THESE.format(batch=batch, outcomes=NOT_DELIVERED)), words)
        return Settled(posted, cursor.rowcount)
