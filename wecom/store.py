"""The Redis that tokens, limits and drain locks share. Everything in it may be lost at any time without harm."""

from functools import lru_cache

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry


def connection() -> "redis.Redis":
    """The process's connection pool. A Redis that is away is told at once instead of after seconds of back-off."""
    return _connection(settings.REDIS_URL)


@lru_cache(maxsize=4)
def _connection(url: str) -> "redis.Redis":
    return redis.Redis.from_url(
        url, decode_responses=True, socket_timeout=2, socket_connect_timeout=0.5, retry=Retry(NoBackoff(), 1)
    )
