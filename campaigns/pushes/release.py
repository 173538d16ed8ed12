"""After a cancel, or a plan that failed half-way: deliveries that never reached WeCom are cancelled, range by range,
and their reservations void."""

from datetime import datetime
from typing import Any

from django.db import connection

from campaigns.models import Push
from scrm.lib.errors import found
from tenants.scope import brand_scope

AT_ONCE = 20_000
STOPPED = (Push.Status.CANCELLED, Push.Status.FAILED)

KEYS = {
    "campaigns_delivery": "contact_id",
    "campaigns_groupdelivery": "chat_id",
}
CANCEL = """
UPDATE {table} d SET status = 'cancelled', reason = 'cancelled', updated_at = %(at)s
WHERE d.brand_id = %(brand)s AND d.push_id = %(push)s AND d.{key} = ANY (ARRAY(
  SELECT p.{key} FROM {table} p
  WHERE p.brand_id = %(brand)s AND p.push_id = %(push)s AND p.status = 'planned'
    AND (p.batch_id IS NULL OR p.batch_id = ANY (ARRAY(
      SELECT b.id FROM campaigns_batch b
      WHERE b.brand_id = %(brand)s AND b.push_id = %(push)s AND b.status = 'cancelled')))
  LIMIT %(most)s))
RETURNING d.{key}"""
VOID = """
UPDATE campaigns_reservation SET status = 'voided', settled_at = %(at)s
WHERE brand_id = %(brand)s AND push_id = %(push)s AND contact_id = ANY (%(ids)s) AND status = 'reserved'"""


def release(*, brand_id: int, push_id: int, at: datetime) -> int:
    """Take back what a stopped push has not handed to WeCom; returns how many deliveries. Opens its own scopes.

    A push that is not stopped is left alone, and a repeat finds nothing to do."""
    total = 0
    for table, key in KEYS.items():
        while count := _some(brand_id, push_id, at, table, key):
            total += count
    return total


def _some(brand_id: int, push_id: int, at: datetime, table: str, key: str) -> int:
    with brand_scope(brand_id):
        if found(Push.objects.filter(pk=push_id)).status not in STOPPED:
            return 0
        words: dict[str, Any] = {"brand": brand_id, "push": push_id, "at": at, "most": AT_ONCE}
        with connection.cursor() as cursor:
            cursor.execute(CANCEL.format(table=table, key=key), words)
            ids = [row[0] for row in cursor.fetchall()]
            if ids and key == "contact_id":
                cursor.execute(VOID, {**words, "ids": ids})
    return len(ids)
