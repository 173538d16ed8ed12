"""How far behind the reactors are, for /readyz."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.cache import cache
from django.db import connection

from events import log, reactors
from events.models import ParkedEvent, ReactorCursor
from tenants.models import Brand
from tenants.scope import brand_scope


@dataclass(frozen=True, slots=True)
class Lag:
    """`oldest_seconds`: how long the oldest event that some reactor has not read has waited; 0 if there is none.
    `parked`: events that some reactor could not take. `stuck`: reactors that fail at every try."""

    brand_id: int
    oldest_seconds: float
    parked: int = 0
    stuck: tuple[str, ...] = ()


def lags(*, at: datetime) -> list[Lag]:
    """For each brand, the age of its oldest unprocessed event. Opens each brand's scope in turn."""
    found = []
    for brand_id in Brand.objects.order_by("id").values_list("id", flat=True):
        with brand_scope(brand_id):
            since = _unread_since(brand_id)
            parked = ParkedEvent.objects.count()
            failing = ReactorCursor.objects.filter(failing_since__isnull=False, reactor__in=list(reactors.REGISTRY))
            stuck = tuple(failing.order_by("reactor").values_list("reactor", flat=True))
        age = max((at - since).total_seconds(), 0.0) if since else 0.0
        found.append(Lag(brand_id, age, parked, stuck))
    return found


def horizon_age(*, at: datetime) -> float:
    """Seconds for which some transaction, in any database of the cluster, has held back all reactors; 0 if none does.

    Known to within the sweep's interval: the server shows us no other role's transactions, so we watch the number."""
    return note_horizon(at=at).total_seconds()


def note_horizon(*, at: datetime) -> timedelta:
    """Remember since when the horizon has stood where it is; returns for how long."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmin(s)::text = pg_snapshot_xmax(s)::text FROM pg_current_snapshot() AS s")
        idle = cursor.fetchone()[0]
    if idle:  # nobody is writing, so nobody waits for a writer
        cache.delete(_KEY)
        return timedelta(0)
    now = log.horizon()
    kept = cache.get(_KEY)
    if kept is None or kept[0] != now:
        cache.set(_KEY, (now, at), timeout=3600 * 24)
        return timedelta(0)
    return max(at - kept[1], timedelta(0))


_KEY = "events:horizon"
_LOOK_AT = 100


def _unread_since(brand_id: int) -> datetime | None:
    first = reactors.first_unread(brand_id)
    if first is None:
        return None
    with connection.cursor() as cursor:
        # The latest of the first few: an event linked today was received long ago, but waits only since then.
        cursor.execute(
            "SELECT max(received_at) FROM (SELECT received_at FROM events_event WHERE brand_id = %s"
            " AND (txid, id) >= (%s, %s) ORDER BY txid, id LIMIT %s) AS unread",
            [brand_id, *first, _LOOK_AT],
        )
        since: datetime | None = cursor.fetchone()[0]
    return since
