"""One question of five nested leaves, as a segment and as somebody asks it by hand who knows the tables."""

from datetime import datetime, timedelta
from typing import Any

from django.db import connection

BY_HAND = """
SELECT count(*)
FROM contacts_contact c
JOIN tagging_contacttag t ON t.brand_id = c.brand_id AND t.contact_id = c.id AND t.tag_id = %(tag)s
  AND (t.expires_at IS NULL OR t.expires_at > %(at)s)
WHERE c.brand_id = %(brand)s AND c.gender = 2
  AND (c.id IN (SELECT contact_id FROM events_event
                WHERE brand_id = %(brand)s AND type = 'product_view' AND category = '婴童'
                  AND occurred_at >= %(month)s AND occurred_at < %(at)s
                GROUP BY contact_id HAVING count(*) >= 2)
    OR c.id IN (SELECT contact_id FROM events_event
                WHERE brand_id = %(brand)s AND type = 'order_paid'
                  AND occurred_at >= %(quarter)s AND occurred_at < %(at)s
                GROUP BY contact_id HAVING sum(amount_fen) >= 60000))
  AND NOT EXISTS (SELECT FROM events_event s WHERE s.brand_id = %(brand)s AND s.contact_id = c.id
                  AND s.type = 'sign_in' AND s.occurred_at >= %(week)s AND s.occurred_at < %(at)s)
"""


def five_leaves(tag_id: int) -> dict[str, Any]:
    """Women with a tag who looked twice or paid much, and have not signed in this week."""
    viewed = {"kind": "event_count", "event": "product_view", "where": {"category": "婴童"}, "days": 30}
    paid = {"kind": "event_sum", "event": "order_paid", "days": 90, "op": "gte", "value": 60_000}
    return {
        "all": [
            {"kind": "tag", "tag_id": tag_id},
            {"kind": "profile", "field": "gender", "op": "eq", "value": 2},
            {"any": [{**viewed, "op": "gte", "value": 2}, paid]},
            {"none": [{"kind": "event_recency", "event": "sign_in", "op": "within", "days": 7}]},
        ]
    }


def by_hand(brand_id: int, tag_id: int, at: datetime, *, setting: str = "") -> int:
    """The same five leaves as somebody writes them who knows the tables, under settings of the planner. Scoped."""
    words: dict[str, Any] = {"brand": brand_id, "tag": tag_id, "at": at}
    words |= {"week": at - timedelta(days=7), "month": at - timedelta(days=30), "quarter": at - timedelta(days=90)}
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL work_mem = '64MB'")
        cursor.execute(f"{setting}; {BY_HAND}", words)
        return int(cursor.fetchone()[0])
