"""The simulator's time: real time plus an offset that only grows, and the pace at which people act."""

from __future__ import annotations

import time


class Clock:
    """Virtual clock. `pace` divides human delays: at pace 600 a ten-minute delay takes one second."""

    def __init__(self, *, offset: float = 0.0, pace: float = 1.0) -> None:
        self.offset = offset
        self.pace = pace

    def now(self) -> float:
        """Unix seconds of the simulated world."""
        return time.time() + self.offset

    def advance(self, seconds: float) -> None:
        """Move the world forward by `seconds` (>= 0). Raises ValueError for a step back."""
        if seconds < 0:
            raise ValueError("the clock only goes forward")
        self.offset += seconds

    def human(self, seconds: float) -> float:
        """How long a human delay of `seconds` lasts at the present pace."""
        return seconds / self.pace
