"""The figures of the cockpit and of the agency's overview: read set at a time, kept for a minute per brand.

Scoped. Days are the brand's. Every figure says on the page what it counts and as of when."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from django.core.cache import cache
from django.db import connection

from tenants.models import Brand

KEEP_SECONDS = 60
DAYS = 28
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BrandRow:
    """One brand in the agency's overview. Counts of 7 days unless said otherwise; never a contact's name."""

    friends: int
    added: int
    lost: int
    delivered: int
    asked: int
    """batches that waited for a guide's confirmation in the last 28 days"""
    confirmed: int
    unknown: int
    running: int
    corps: int
    troubled: int
    synced_at: datetime | None


@dataclass(frozen=True, slots=True)
class Days:
    """A series of days, oldest first, with one list of counts per name."""

    days: list[date]
    series: dict[str, list[int]]


@dataclass(frozen=True, slots=True)
class Cockpit:
    """What the cockpit shows, as of `at`."""

    at: datetime
    row: BrandRow
    contacts: int
    lost_after: int
    """friendships that ended within 24 hours after a delivery to that contact, of the last 28 days"""
    delivered_28: int
    people: Days
    outreach: Days
    touched: dict[str, int] = field(default_factory=dict)
    """contacts by touches this month: 0, 1, 2, 3+"""


def brand_row(*, brand: Brand, at: datetime) -> BrandRow:
    """The brand's line in the overview. Scoped."""
    return kept("row", brand, lambda: _brand_row(at))


def cockpit(*, brand: Brand, at: datetime) -> Cockpit:
    """The cockpit's figures. Scoped."""
    return kept("cockpit", brand, lambda: _cockpit(brand, at))


def _brand_row(at: datetime) -> BrandRow:
    week, month = at - timedelta(days=7), at - timedelta(days=DAYS)
    row = _one(
        """
        SELECT (SELECT count(*) FROM contacts_contact c
                WHERE c.lost_at IS NULL AND c.first_added_at IS NOT NULL),
               (SELECT count(*) FROM contacts_follow f WHERE f.added_at > %(week)s AND f.lost_at IS NULL),
               (SELECT count(*) FROM contacts_follow f WHERE f.lost_at > %(week)s),
               (SELECT count(*) FROM campaigns_delivery d
                WHERE d.status = 'delivered' AND d.delivered_at > %(week)s),
               (SELECT count(*) FROM campaigns_batch b WHERE b.created_at > %(month)s AND b.msgid <> ''),
               (SELECT count(*) FROM campaigns_batch b WHERE b.created_at > %(month)s AND b.confirmed_at IS NOT NULL),
               (SELECT count(*) FROM campaigns_batch b WHERE b.status = 'unknown'),
               (SELECT count(*) FROM campaigns_push p
                WHERE p.status IN ('scheduled', 'planning', 'sending') AND p.sop_version_id IS NULL),
               (SELECT count(*) FROM wecom_corp w WHERE w.connected_at IS NOT NULL),
               (SELECT count(*) FROM wecom_corp w WHERE w.trouble_code <> ''),
               (SELECT max(r.finished_at) FROM contacts_syncrun r WHERE r.status IN ('done', 'partial'))
        """,
        {"week": week, "month": month},
    )
    return BrandRow(*row)


def _cockpit(brand: Brand, at: datetime) -> Cockpit:
    zone = ZoneInfo(brand.timezone)
    today = at.astimezone(zone).date()
    days = [today - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
    start = datetime(days[0].year, days[0].month, days[0].day, tzinfo=zone)
    given = {"start": start, "zone": brand.timezone, "month": at - timedelta(days=DAYS), "first": today.replace(day=1)}
    contacts, lost_after, delivered = _one(
        """
        SELECT (SELECT count(*) FROM contacts_contact),
               (SELECT count(DISTINCT d.contact_id) FROM campaigns_delivery d
                JOIN contacts_follow f ON f.brand_id = d.brand_id AND f.contact_id = d.contact_id
                 AND f.staff_id = d.staff_id AND f.lost_at >= d.delivered_at
                 AND f.lost_at < d.delivered_at + interval '24 hours'
                WHERE d.status = 'delivered' AND d.delivered_at > %(month)s),
               (SELECT count(*) FROM campaigns_delivery d WHERE d.status = 'delivered' AND d.delivered_at > %(month)s)
        """,
        given,
    )
    row = _brand_row(at)
    return Cockpit(
        at=at,
        row=row,
        contacts=contacts,
        lost_after=lost_after,
        delivered_28=delivered,
        people=Days(days, _by_day(_PEOPLE, given, days)),
        outreach=Days(days, _by_day(_OUTREACH, given, days)),
        touched=_touched(given, row.friends),
    )


_PEOPLE = """
    SELECT 'added', (added_at AT TIME ZONE %(zone)s)::date, count(*) FROM contacts_follow
    WHERE added_at >= %(start)s GROUP BY 2
    UNION ALL
    SELECT 'lost', (lost_at AT TIME ZONE %(zone)s)::date, count(*) FROM contacts_follow
    WHERE lost_at >= %(start)s GROUP BY 2
"""
_OUTREACH = """
    SELECT 'delivered', (delivered_at AT TIME ZONE %(zone)s)::date, count(*) FROM campaigns_delivery
    WHERE status = 'delivered' AND delivered_at >= %(start)s GROUP BY 2
    UNION ALL
    SELECT type, (occurred_at AT TIME ZONE %(zone)s)::date, count(*) FROM events_event
    WHERE type = ANY (ARRAY['sign_in', 'order_paid']) AND occurred_at >= %(start)s GROUP BY 1, 2
"""


def _by_day(sql: str, given: dict[str, Any], days: Sequence[date]) -> dict[str, list[int]]:
    place = {day: index for index, day in enumerate(days)}
    series: dict[str, list[int]] = {}
    for name, day, count in _rows(sql, given):
        counts = series.setdefault(name, [0] * len(days))
        if day in place:
            counts[place[day]] = count
    return series


def _touched(given: dict[str, Any], friends: int) -> dict[str, int]:
    """Contacts by how often they were reached, or are about to be, in the brand's month."""
    rows = _rows(
        """
        SELECT least(n, 3), count(*) FROM
            (SELECT contact_id, sum(touches) AS n FROM campaigns_reservation
             WHERE day >= %(first)s AND status <> 'voided' GROUP BY contact_id) AS per_contact
        GROUP BY 1
        """,
        given,
    )
    counts = {int(n): int(count) for n, count in rows}
    reached = sum(counts.values())
    return {"0": max(0, friends - reached), "1": counts.get(1, 0), "2": counts.get(2, 0), "3+": counts.get(3, 0)}


def _rows(sql: str, given: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, given)
        return cursor.fetchall()


def _one(sql: str, given: dict[str, Any]) -> tuple[Any, ...]:
    return _rows(sql, given)[0]


def kept(what: str, brand: Brand, make: Callable[[], T]) -> T:
    """What `make` gives, asked once a minute per brand."""
    # The time of its making tells the brand from one of the same number in another database on the same Redis.
    key = f"figures:{what}:{brand.pk}:{brand.created_at.timestamp()}"
    found = cache.get(key)
    if found is None:
        found = make()
        cache.set(key, found, KEEP_SECONDS)
    return found
