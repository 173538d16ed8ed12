"""What people will do and when: a heap of due acts, so that an idle world costs nothing."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wecom.simulator.engine import Engine
    from wecom.simulator.world import Corp

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
    """Due acts, earliest first."""

    def __init__(self) -> None:
        self.heap: list[Act] = []
        self._order = 0
        self.changed = asyncio.Event()
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

    def run_due(self, engine: Engine, *, now: float, slice_seconds: float = SLICE_SECONDS) -> int:
        """Carry out acts that are due, each as of its own time, for about `slice_seconds` of real time. Returns how
        many."""
        done, until = 0, time.monotonic() + slice_seconds
        while self._is_due(now) and time.monotonic() < until:
            due, _, corpid, kind, arguments = heapq.heappop(self.heap)
            with engine.clock.as_of(due):
                _do(engine, corpid, kind, arguments)
            done += 1
        return done

    async def catch_up(self, engine: Engine) -> None:
        """Carry out everything that is due by now, letting calls in between."""
        until = engine.clock.present()
        async with self._one_at_a_time:  # two at it would leave calls half of the time
            while self.run_due(engine, now=until) and self._is_due(until):
                await asyncio.sleep(BREATH_SECONDS)

    def _is_due(self, now: float) -> bool:
        return bool(self.heap) and self.heap[0][0] <= now

    def settle(self, engine: Engine, corp: Corp) -> int:
        """Carry out every act of the corp now, and those that follow from them. Returns how many."""
        done = 0

        def settles(each: Act) -> bool:
            return each[2] == corp.corpid and each[3] not in RECURRING

        while mine := sorted(each for each in self.heap if settles(each)):
            self.heap = [each for each in self.heap if not settles(each)]
            heapq.heapify(self.heap)
            for _, _, corpid, kind, arguments in mine:
                _do(engine, corpid, kind, arguments)
                done += 1
        return done


def _do(engine: Engine, corpid: str, kind: str, arguments: list[str]) -> None:
    corp = engine.world.corp(corpid)
    if corp is not None:
        engine.dirty = True
        DOERS[kind](engine, corp, *arguments)
