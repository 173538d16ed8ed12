"""`/healthz`: this process is alive. `/readyz`: it can work, and how far behind the work is."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from redis.backoff import NoBackoff
from redis.retry import Retry

from contacts.models import SyncRun
from events import health
from tenants.scope import brand_scope
from wecom.health import inbox_lag

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BrandLag:
    """How far behind the work of one brand is; seconds, 0 when nothing waits."""

    brand: int
    oldest_event_seconds: float
    oldest_callback_seconds: float
    parked_events: int
    """put aside because some reactor failed at them; the console's event catalogue shows them"""
    stuck_reactors: tuple[str, ...]
    """reactors that fail at everything they are given"""
    last_sync_at: datetime | None
    """end of the last full sync that completed, of any corp"""


@require_safe
@never_cache
def healthz(_request: HttpRequest) -> HttpResponse:
    """200 `ok`, whatever the servers behind us do: restarting this process would not help them."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
@never_cache
def readyz(_request: HttpRequest) -> JsonResponse:
    """200 when database, broker and migrations are as they must be, else 503; both with a JSON body.

    `checks` says per part "ok" or what is wrong; `horizon_seconds` and `brands` (seconds waited by the oldest
    unprocessed event and callback, last sync) are there when the database is. A lag is news, not unreadiness."""
    at = timezone.now()
    checks = {"database": _verdict(_database), "broker": _verdict(_broker)}
    if checks["database"] == "ok":
        checks["migrations"] = _verdict(_migrations)
    ready = all(verdict == "ok" for verdict in checks.values())
    body: dict[str, object] = {"ready": ready, "checks": checks}
    if ready:
        body["horizon_seconds"] = health.horizon_age(at=at)
        body["brands"] = [asdict(lag) for lag in _lags(at)]
    return JsonResponse(body, status=200 if ready else 503)


def _lags(at: datetime) -> list[BrandLag]:
    """Every brand's lags, each read in its own scope."""
    found = []
    for lag in health.lags(at=at):
        with brand_scope(lag.brand_id):
            callback = inbox_lag(brand_id=lag.brand_id, at=at).oldest_seconds or 0.0
            done = SyncRun.objects.filter(brand=lag.brand_id, status=SyncRun.Status.DONE).order_by("-finished_at")
            synced_at = done.values_list("finished_at", flat=True).first()
        found.append(BrandLag(lag.brand_id, lag.oldest_seconds, callback, lag.parked, lag.stuck, synced_at))
    return found


def _verdict(check: Callable[[], str]) -> str:
    """A check's own words, or that the server could not be asked; the reason goes to the log, not to the world."""
    try:
        return check()
    except (DatabaseError, redis.RedisError) as problem:
        logger.warning("scrm.readyz.failed", extra={"check": check.__name__, "problem": type(problem).__name__})
        return "does not answer"


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return "ok"


def _broker() -> str:
    # Asked once, shortly: by itself redis-py tries a refused connection for seconds.
    link = redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2, retry=Retry(NoBackoff(), 0)
    )
    try:
        link.ping()
    finally:
        link.close()
    return "ok"


def _migrations() -> str:
    missing = _missing_migrations()
    if missing:
        _missing_migrations.cache_clear()  # they may be applied while we run; that none is missing stays true
    return f"{missing} not applied" if missing else "ok"


@functools.cache
def _missing_migrations() -> int:
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
