"""The log's tests keep their messages to themselves: a broker in memory and a corner of the cache of their own."""

from collections.abc import Iterator

import pytest
from celery import current_app
from kombu import pools

from events import reactors
from tests.events.reading import Heard

BROKER = ("broker_url", "broker_read_url", "broker_write_url")


class Queue:
    """What waits in the queue `react`."""

    def __init__(self) -> None:
        self._channel = current_app.connection_for_write().default_channel

    def __len__(self) -> int:
        return int(self._channel._size("react"))

    def lose(self) -> None:
        """Lose all messages."""
        self._channel._purge("react")


@pytest.fixture(autouse=True)
def queue(settings) -> Iterator[Queue]:
    settings.CACHES = {"default": {**settings.CACHES["default"], "KEY_PREFIX": "test-events"}}
    before = {name: current_app.conf[name] for name in BROKER}
    current_app.conf.update(dict.fromkeys(BROKER, "memory://localhost"))
    _forget_connections()
    from django.core.cache import cache

    cache.delete_pattern("*")  # never clear(): it flushes the whole database
    made = Queue()
    made.lose()
    yield made
    made.lose()
    current_app.conf.update(before)
    _forget_connections()


def _forget_connections() -> None:
    pools.reset()
    current_app._pool = None
    current_app.amqp._producer_pool = None


@pytest.fixture(autouse=True)
def reactors_of_the_test(monkeypatch) -> None:
    """No reactors but the test's own."""
    monkeypatch.setattr(reactors, "REGISTRY", {})


@pytest.fixture
def heard() -> Heard:
    """A reactor to all types that notes down what it was given."""
    heard = Heard()
    reactors.register(heard.reactor("heard"))
    return heard
