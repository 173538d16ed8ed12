"""What falls due: on a machine that gives the process no time, too, and after an act that fails."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from wecom.simulator.agenda import Agenda
from wecom.simulator.clock import Clock


def test_catching_up_ends_when_nothing_is_due_however_slow_the_machine():
    clock, done = Clock(stopped_at=1_000.0), []
    agenda = Agenda(clock, lambda corpid, kind, arguments: done.append((clock.now(), kind)))
    for due in (999.0, 998.0, 1_000.0, 1_001.0):
        agenda.schedule(due, "ww", f"at {due:g}")

    with ThreadPoolExecutor(1) as thread:  # in this one a browser's loop may run
        thread.submit(asyncio.run, agenda.catch_up(slice_seconds=0.0)).result()

    assert done == [(998.0, "at 998"), (999.0, "at 999"), (1_000.0, "at 1000")]
    assert agenda.next_due() == 1_001.0
