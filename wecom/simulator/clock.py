"""The simulator's time: real time plus an offset that only grows, or a time that stands still until it is moved; and
the pace at which people act."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

FARTHEST = 100 * 365 * 86_400  # seconds; calendars end somewhere


class Clock:
    """Virtual clock. `pace` divides human delays: at pace 600 a ten-minute delay takes one second. `stopped_at`: the
    clock stands at this time and goes on by `advance` alone, so that the same calls always have the same times."""

    def __init__(self, *, offset: float = 0.0, pace: float = 1.0, stopped_at: float | None = None) -> None:
        self.offset = offset
        self.pace = pace
        self.stopped_at = stopped_at
        self._acting_at: float | None = None

    def now(self) -> float:
        """Unix seconds of the simulated world; for whoever acts belatedly, because the clock leapt, when they did."""
        return self.present() if self._acting_at is None else self._acting_at

    def present(self) -> float:
        """Unix seconds of the simulated world as a caller of the API knows them."""
        return (time.time() if self.stopped_at is None else self.stopped_at) + self.offset

    @contextmanager
    def as_of(self, due: float) -> Iterator[None]:
        """Inside, it is `due` (at most the present): what falls due while the clock leaps happens at its own time."""
        self._acting_at = min(due, self.present())
        try:
            yield
        finally:
            self._acting_at = None

    def advance(self, seconds: float) -> None:
        """Move the world forward by `seconds`. Raises ValueError for a step back, or beyond a hundred years in all."""
        if not 0 <= seconds <= FARTHEST - self.offset:
            raise ValueError("the clock only goes forward, a hundred years at most")
        self.offset += seconds

    def human(self, seconds: float) -> float:
        """How long a human delay of `seconds` lasts at the present pace."""
        return seconds / self.pace
