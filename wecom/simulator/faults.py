"""Faults on demand: what a network and a busy server can do to a call."""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass, field

MODES = {"timeout_before", "timeout_after", "reset", "reset_after", "http_500", "http_500_after", "errcode", "slow"}
MODES |= {"garbage", "garbage_after"}  # HTTP 200 with an answer that was cut
# The effect takes place, the answer is lost.
HAPPENS_AFTER = {"timeout_after", "reset_after", "http_500_after", "garbage_after"}


@dataclass
class Fault:
    """One rule. `path` is below /cgi-bin/, or "*"; `count` None means for ever; `delay` in real seconds (None: a hung
    call stays open until the client gives up)."""

    path: str
    mode: str
    errcode: int = -1
    count: int | None = None
    rate: float = 1.0
    delay: float | None = None
    corpid: str | None = None
    hits: int = 0

    @property
    def after(self) -> bool:
        """Whether the call takes effect before it goes wrong."""
        return self.mode in HAPPENS_AFTER


@dataclass
class Faults:
    """The rules in force; the first that matches a call applies to it."""

    seed: int
    rules: list[Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rng = random.Random(f"faults:{self.seed}")
        self._ended = asyncio.Event()

    def add(self, fault: Fault) -> None:
        """Put a rule in force. Raises ValueError for one that makes no sense."""
        if fault.mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(sorted(MODES))}")
        if not _is_number(fault.rate) or not 0 <= fault.rate <= 1:
            raise ValueError("rate must be between 0 and 1")
        if type(fault.errcode) is not int or (fault.count is not None and type(fault.count) is not int):
            raise ValueError("errcode and count must be whole numbers")
        if fault.delay is not None and (not _is_number(fault.delay) or fault.delay < 0):
            raise ValueError("delay must be a number of seconds")
        self.rules.append(fault)

    def clear(self) -> None:
        """End all faults, and the waiting of calls that one made slow."""
        self.rules.clear()
        self._ended.set()
        self._ended = asyncio.Event()

    async def wait(self, seconds: float) -> None:
        """Let time pass, less when faults are ended meanwhile."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), seconds)

    def draw(self, path: str, corpid: str | None = None) -> Fault | None:
        """The fault that befalls this call, if any; uses up one of its `count`."""
        for rule in self.rules:
            if rule.path not in ("*", path) or (rule.count is not None and rule.hits >= rule.count):
                continue
            if rule.corpid and rule.corpid != corpid:
                continue
            if rule.rate < 1 and self._rng.random() >= rule.rate:
                continue
            rule.hits += 1
            return rule
        return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
