"""What people will do and when: a heap of due acts, so that an idle world costs nothing."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from typing import Any

from wecom.simulator.clock import Clock

Act = tuple[float, int, str, str, list[str]]  # due (virtual time), order, corpid, kind, arguments
Doer = Callable[..., None]

SLICE_SECONDS = 0.005  # a call that comes while much is due waits for about one of these
BREATH_SECONDS = 0.001  # then there is time to read calls and answer them, which takes the loop several turns

DOERS: dict[str, Doer] = {}
RECURRING: set[str] = set()  # what goes on by the calendar and never settles


def act(kind: str, *, recurring: bool = False) -> Callable[[Doer], Doer]:
    """Register `doer(engine, corp, *arguments)` for acts of that kind. A doer that comes too late does nothing."""

    def register(doer: Doer) -> Doer:
        DOERS[kind] = doer
        if recurring:
            RECURRING.add(kind)
        return doer

    return register


class Agenda:
    """Due acts, earliest first. `carry_out(corpid, kind, arguments)` does one."""

    def __init__(self, clock: Clock, carry_out: Callable[[str, str, list[str]], None]) -> None:
        self.heap: list[Act] = []
        self.changed = asyncio.Event()
        self._clock = clock
        self._carry_out = carry_out
        self._order = 0
        self._one_at_a_time = asyncio.Lock()

    def schedule(self, due: float, corpid: str, kind: str, *arguments: str) -> None:
        """Plan an act for the virtual time `due`."""
        self._order += 1
        heapq.heappush(self.heap, (due, self._order, corpid, kind, list(arguments)))
        self.changed.set()

    def restore(self, acts: list[list[Any]]) -> None:
        """Take up the acts of a snapshot."""
        self.heap = [(due, order, corpid, kind, list(args)) for due, order, corpid, kind, args in acts]
        heapq.heapify(self.heap)
        self._order = max((order for _, order, *_ in self.heap), default=0)

    def next_due(self) -> float | None:
        """When the earliest act is due."""
        return self.heap[0][0] if self.heap else None

    async def catch_up(self, *, slice_seconds: float = SLICE_SECONDS) -> None:
        """Carry out everything that is due by now, each act as of its own time, letting calls in between slices."""
        until = self._clock.present()
        async with self._one_at_a_time:  # two at it would leave calls half of the time
            while self._is_due(until):
                self._run_due(until, slice_seconds)
                if self._is_due(until):
                    await asyncio.sleep(BREATH_SECONDS)

    def settle(self, corpid: str) -> int:
        """Carry out every act of the corp now, and those that follow from them. Returns how many."""
        done = 0

        def settles(each: Act) -> bool:
            return each[2] == corpid and each[3] not in RECURRING

        while mine := sorted(each for each in self.heap if settles(each)):
            self.heap = [each for each in self.heap if not settles(each)]
            heapq.heapify(self.heap)
            for _, _, _, kind, arguments in mine:
                self._carry_out(corpid, kind, arguments)
                done += 1
        return done

    def _run_due(self, until: float, seconds: float) -> None:
        """For about so many seconds of real time, but one act at least: whoever waits must not be told it is done
        because this process had to wait for its turn."""
        stop = time.monotonic() + seconds
        while self._is_due(until):
            due, _, corpid, kind, arguments = heapq.heappop(self.heap)
            with self._clock.as_of(due):
                self._carry_out(corpid, kind, arguments)
            if time.monotonic() >= stop:
                return

    def _is_due(self, now: float) -> bool:
        return bool(self.heap) and self.heap[0][0] <= now
