"""A Redis-protocol server of a test's own, that may be emptied, stopped and started again."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from scrm.runtime.state import State, free_port
from scrm.runtime.valkey import Valkey


class OwnValkey:
    """One server below `home`."""

    def __init__(self, home: Path) -> None:
        state = State(home)
        state.fill()
        state.data["ports"]["redis"] = free_port(31300, taken=set())
        self._server = Valkey(state=state, home=home, uid=os.geteuid())

    @property
    def url(self) -> str:
        return self._server.url

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def flush(self) -> None:
        self._server.flush()

    def keys(self) -> list[str]:
        return sorted(redis.Redis.from_url(self.url, decode_responses=True).scan_iter("*"))


@contextmanager
def own_valkey(home: Path) -> Iterator[OwnValkey]:
    """Running for the length of the block."""
    server = OwnValkey(home)
    server.start()
    try:
        yield server
    finally:
        server.stop()
