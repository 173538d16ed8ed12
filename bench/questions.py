"""Counting a segment, beside the SQL that somebody who knows the tables would write for the same question."""

from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from bench import people
from bench.measure import Measure, seconds
from bench.people import People
from bench.scratch import Admin
from tagging import tags
from tagging.segments import segments
from tenants.actors import SYSTEM
from tenants.scope import brand_scope

CONTACTS, EVENTS = 200_000, 1_000_000

BY_HAND = """
SELECT count(*)
FROM tagging_contacttag t
JOIN (SELECT contact_id FROM events_event
      WHERE brand_id = %(brand)s AND type = 'product_view' AND category = '婴童' AND occurred_at >= %(since)s
      GROUP BY contact_id HAVING count(*) >= 2) v ON v.contact_id = t.contact_id
WHERE t.brand_id = %(brand)s AND t.tag_id = %(tag)s AND (t.expires_at IS NULL OR t.expires_at > %(at)s)
  AND NOT EXISTS (SELECT FROM events_event o WHERE o.brand_id = %(brand)s AND o.contact_id = t.contact_id
                  AND o.type = 'order_paid' AND o.occurred_at >= %(since)s)
"""


def measure(admin: Admin, scale: float, rounds: int) -> list[Measure]:
    """Contacts looked at per second by the count of a tree of three leaves."""
    admin.empty(*people.EVERYTHING)
    contacts, events = max(500, round(CONTACTS * scale)), max(2000, round(EVENTS * scale))
    crowd = people.make(admin, slug="bench-questions", contacts=contacts, guides=10)
    people.visits(admin, crowd, events=events)
    tag_id, at = _tag(admin, crowd), timezone.now()
    counts: set[int] = set()
    took, floors = [], []
    for _ in range(rounds):
        took.append(seconds(lambda: counts.add(_counted(crowd, tag_id, at))))
        floors.append(seconds(lambda: counts.add(_by_hand(crowd, tag_id, at))))
    if len(counts) != 1:
        raise RuntimeError(f"The segment and the query by hand differ: {counts}")
    return [
        Measure(
            "segment count",
            contacts / min(took),
            "contacts/s",
            contacts / min(floors),
            note=f"has a tag, viewed a category twice in 30 days, has not paid in 30 days: {counts.pop():,} of "
            f"{contacts:,} contacts with {events:,} events in {min(took) * 1000:.0f} ms; floor: the same question "
            "in SQL by hand, runtime role",
        )
    ]


def _tag(admin: Admin, crowd: People) -> int:
    """A tag that a fifth of the contacts have."""
    at = timezone.now()
    with brand_scope(crowd.brand_id):
        tag = tags.create(group="兴趣", name="婴童", actor=SYSTEM, at=at)
    admin.run(
        """INSERT INTO tagging_contacttag (brand_id, contact_id, tag_id, source, evidence, given_at)
           SELECT brand_id, id, %s, 'manual', '{}', %s FROM contacts_contact WHERE brand_id = %s AND id %% 5 = 0""",
        [tag.pk, at, crowd.brand_id],
    )
    admin.run("VACUUM ANALYZE tagging_contacttag")
    return int(tag.pk)


def _counted(crowd: People, tag_id: int, at: datetime) -> int:
    baby = {"category": "婴童"}
    tree = {
        "all": [
            {"kind": "tag", "tag_id": tag_id, "op": "has"},
            {"kind": "event_count", "event": "product_view", "where": baby, "days": 30, "op": "gte", "value": 2},
            {"kind": "event_recency", "event": "order_paid", "op": "not_within", "days": 30},
        ]
    }
    with brand_scope(crowd.brand_id):
        return segments.count(tree, at)


def _by_hand(crowd: People, tag_id: int, at: datetime) -> int:
    words: dict[str, Any] = {"brand": crowd.brand_id, "tag": tag_id, "at": at, "since": at - timedelta(days=30)}
    with brand_scope(crowd.brand_id), connection.cursor() as cursor:
        cursor.execute("SET LOCAL work_mem = '64MB'")
        cursor.execute(BY_HAND, words)
        return int(cursor.fetchone()[0])
