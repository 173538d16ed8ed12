"""The log's era: transaction ids begin anew in a new cluster, the log's order must not."""

import logging

from django.db import connections, transaction

logger = logging.getLogger(__name__)


def raise_era(using: str = "owner") -> int:
    """Put everything to be written above everything in the log; returns the era. Run once after restoring into a new
    cluster, while nothing else is connected. Running it again is harmless.

    Without it the restored rows lie in the future of the new cluster: the horizon never reaches them."""
    with transaction.atomic(using=using, durable=True), connections[using].cursor() as cursor:
        cursor.execute("SELECT id FROM tenants_brand ORDER BY id")
        highest = 0
        for (brand_id,) in cursor.fetchall():
            # The owner is bound by row-level security too: one brand after the other.
            cursor.execute("SET LOCAL orchard.brand_id = %s", [str(brand_id)])
            cursor.execute(
                "SELECT greatest((SELECT max(txid) FROM events_event WHERE brand_id = %s),"
                " (SELECT max(txid) FROM events_reactorcursor WHERE brand_id = %s))",
                [brand_id, brand_id],
            )
            highest = max(highest, cursor.fetchone()[0] or 0)
        cursor.execute("SET LOCAL orchard.brand_id = ''")
        cursor.execute(
            "INSERT INTO events_logera AS log (id, era) VALUES (1, %s)"
            " ON CONFLICT (id) DO UPDATE SET era = greatest(log.era, excluded.era) RETURNING era",
            [highest + 1],
        )
        era = int(cursor.fetchone()[0])
    logger.info("events.era.raised", extra={"era": era})
    return era
