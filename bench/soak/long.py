"""The long telling: many stories, each in its own trouble."""

import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from bench.measure import Measure
from bench.scratch import Admin
from bench.soak.ending import Ending, differences, table
from bench.soak.story import tell
from bench.soak.telling import Telling
from scrm.runtime import environment, programs
from scrm.runtime.state import free_port
from wecom.simulator.testing import running_simulator

STORIES, RATES = 12, (0.1, 0.3, 0.5)
FIRST_PORT, PATIENCE_SECONDS = 18_800, 60


def measure(_admin: Admin, scale: float, _rounds: int) -> list[Measure]:
    """The long telling: many stories, each in its own trouble. Raises RuntimeError when one ends differently."""
    settings.WECOM_TIMEOUT_SECONDS = 1
    stories, injected, survived = max(1, round(STORIES * scale)), Counter[str](), Counter[str]()
    with web_process() as url:
        for number in range(stories):
            endings = [_told(url, seed=100 + number, rate=rate) for rate in (0.0, RATES[number % len(RATES)])]
            if found := [*differences(*endings), *endings[1].twice]:
                raise RuntimeError(f"Story {number} ended differently: {found}")
            injected += endings[1].injected
            survived += endings[1].survived
            print(table(endings[1]), flush=True)
    total = sum(injected.values())
    met = ", ".join(f"{what} {number}" for what, number in sorted(survived.items()))
    note = f"{stories} stories ended as in peace, nobody heard anything twice; met by our loops: {met}"
    return [Measure("faults survived", total, "faults", total, 1.0, note)]


def _told(url: str, *, seed: int, rate: float) -> Ending:
    with running_simulator(guides=6, contacts=200, seed=seed, confirm_rate=1.0) as simulator:
        settings.WECOM_API_BASE = simulator.api_base
        return tell(Telling(simulator, public_url=url), rate=rate)


@contextmanager
def web_process() -> Iterator[str]:
    """The address of a web process of the product, for callbacks."""
    port = free_port(FIRST_PORT, taken=set())
    program = programs.web(port=port)
    log = environment.state_directory() / "logs" / "bench-soak-web.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as out:
        process = subprocess.Popen(  # noqa: S603 - our own program
            program.command, env={**os.environ, **program.environ}, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
        try:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while trouble := programs.not_ready(program):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"The web process did not start: {trouble} (see {log})")
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()
