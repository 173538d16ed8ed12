"""The Redis that tokens, limits and drain locks share. Everything in it may be lost at any time without harm."""

import logging
import time
from functools import lru_cache

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

logger = logging.getLogger("wecom")

AWAY_SECONDS = 5.0
"""for so long after a failure calls to WeCom do without Redis at once: one that hangs must not slow down every call"""

_away_until: dict[str, float] = {}


def connection() -> "redis.Redis":
    """The process's connection pool. A Redis that is away is told at once instead of after seconds of back-off."""
    return _connection(settings.REDIS_URL)


def is_away() -> bool:
    """Whether Redis failed this process a moment ago."""
    return time.monotonic() < _away_until.get(settings.REDIS_URL, 0.0)


def note_away(trouble: redis.RedisError) -> None:
    """Redis has just failed; said once, not by every call."""
    if not is_away():
        logger.warning("wecom.no_store", extra={"reason": type(trouble).__name__})
    _away_until[settings.REDIS_URL] = time.monotonic() + AWAY_SECONDS


@lru_cache(maxsize=4)
def _connection(url: str) -> "redis.Redis":
    return redis.Redis.from_url(
        url, decode_responses=True, socket_timeout=2, socket_connect_timeout=0.5, retry=Retry(NoBackoff(), 1)
    )
