"""The months of the log. A row outside every partition fails its whole statement, so months are made ahead."""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime

from django.conf import settings
from django.db import connection, transaction

logger = logging.getLogger(__name__)

MONTHS_AHEAD = 3
LOCK_TIMEOUT = "2s"


def ensure_ahead(*, at: datetime) -> list[str]:
    """Make the partitions from last month to three months ahead; returns the names of those that were missing."""
    return ensure(_month(at, step) for step in range(-1, MONTHS_AHEAD + 1))


def ensure(moments: Iterable[datetime]) -> list[str]:
    """Make the partitions that hold these moments, for an import of old events say; returns those that were missing.

    Not in a scope: each is a short transaction of its own, because making one stops all use of the log for a moment.
    Raises OperationalError if the log is too busy to be stopped within two seconds."""
    made = []
    for first in sorted({_month(moment, 0) for moment in moments}):
        with transaction.atomic(durable=True), connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass(%s)", [f"events_event_{first:%Y%m}"])
            if cursor.fetchone()[0]:
                continue  # CREATE … IF NOT EXISTS would take the lock all the same
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [LOCK_TIMEOUT])
            cursor.execute("SELECT ensure_event_partition(%s)", [first])
            made.append(str(cursor.fetchone()[0]))
        logger.info("events.partition.made", extra={"month": f"{first:%Y-%m}"})
    return made


def oldest(*, at: datetime) -> datetime:
    """The first moment that the log keeps: the beginning of the month ORCHARD_LOG_MONTHS months before this one."""
    return _month(at, -settings.ORCHARD_LOG_MONTHS)


def drop_old() -> list[str]:
    """Drop the months that are older than ORCHARD_LOG_MONTHS; returns their names. Not in a scope.

    Each is a short transaction of its own, since dropping one stops all use of the log for a moment. Raises
    OperationalError if the log is too busy to be stopped within two seconds; the rest goes the next time."""
    dropped: list[str] = []
    while True:
        with transaction.atomic(durable=True), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [LOCK_TIMEOUT])
            cursor.execute("SELECT drop_oldest_event_partition(%s)", [settings.ORCHARD_LOG_MONTHS])
            name = cursor.fetchone()[0]
        if name is None:
            return dropped
        dropped.append(str(name))
        logger.info("events.partition.dropped", extra={"partition": name})


def _month(moment: datetime, step: int) -> datetime:
    """The first instant, in UTC, of the month `step` months after the moment's."""
    moment = moment.astimezone(UTC)
    months = moment.year * 12 + moment.month - 1 + step
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)
