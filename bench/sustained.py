"""Events arriving for a minute: batches of 100 over HTTP, several senders, each sending as soon as it is answered.

Twice: while nobody reads the log, and while the product's own workers do, with rules. The second is told also until
every reactor has read the last event: what is accepted faster than it is reacted to waits."""

import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

from django.db import connections
from django.utils import timezone

from bench import ingest, people, reading
from bench.measure import Measure
from bench.people import People
from bench.scratch import Admin
from events import partitions, reactors
from scrm.runtime import environment, programs
from scrm.runtime.state import free_port

SECONDS = 60
SIZE = 100
SENDERS = 4
CONTACTS = 20_000
OFF, ON = 5_000, 2_000
"""events per second that the goal asks for, without and with reactors"""
P95_MS = 250
FASTEST = 20_000
"""events per second that are prepared; who accepts them faster is done sooner"""
SHARE_OF_COPY = 0.10
DRAIN_SECONDS = 600
FIRST_PORT = 18_650


@dataclass
class Sent:
    """What the senders saw."""

    events: int = 0
    took: float = 0.0
    latencies: list[float] = field(default_factory=list)
    """seconds from a request's first byte to its answer's last"""

    def percentile(self, share: float) -> float:
        """Milliseconds within which so large a share of the requests was answered."""
        ordered = sorted(self.latencies)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    @property
    def per_second(self) -> float:
        """Events accepted per second."""
        return self.events / self.took


def measure(admin: Admin, scale: float, _rounds: int) -> list[Measure]:
    """Once each, for a minute at full scale: it is the length that matters."""
    admin.empty(*people.EVERYTHING)
    crowd = people.make(admin, slug="bench-minute", contacts=max(200, round(CONTACTS * scale)), guides=10)
    partitions.ensure_ahead(at=timezone.now())
    lasts = max(3.0, SECONDS * scale)
    key = ingest.key_of(crowd)
    with ingest.web(key, port=free_port(FIRST_PORT, taken=set())) as web:
        _send(web.port, key, crowd, lasts=1.0, seed="warm up")
        admin.empty("events_event")
        alone = _send(web.port, key, crowd, lasts=lasts, seed="alone")
        floor = _copy_floor(admin)
        admin.empty("events_event", "events_reactorcursor")
        reading.rules_of(crowd)
        with _workers():
            _send(web.port, key, crowd, lasts=1.0, seed="warm up workers")
            _until_read(crowd)
            began = time.perf_counter()
            busy = _send(web.port, key, crowd, lasts=lasts, seed="busy")
            _until_read(crowd)
            whole = time.perf_counter() - began
    return _lines(alone, busy, floor, whole, lasts)


def _lines(alone: Sent, busy: Sent, floor: float, whole: float, lasts: float) -> list[Measure]:
    asked = f"batches of {SIZE} for {lasts:.0f} s from {SENDERS} senders, 2 web processes"
    alone_p95, busy_p95 = alone.percentile(0.95), busy.percentile(0.95)
    told = f"p50 {alone.percentile(0.5):.0f} ms, p95 {alone_p95:.0f} ms, p99 {alone.percentile(0.99):.0f} ms"
    rules = f"workers as `make up` starts them, all reactors, {len(people.CATEGORIES)} tag rules and one of points"
    return [
        Measure("ingest for a minute", alone.per_second, "events/s", OFF, 1.0, f"{asked}, nobody reads; {told}"),
        Measure("ingest for a minute, p95", alone_p95, "ms", P95_MS, 1.0, "the same", is_time=True),
        Measure(
            "ingest for a minute, beside COPY",
            alone.per_second,
            "events/s",
            floor,
            SHARE_OF_COPY,
            "floor: superuser's COPY of the rows that came into an indexed, unpartitioned twin without policy",
        ),
        Measure(
            "ingest for a minute, reactors on",
            busy.per_second,
            "events/s",
            ON,
            1.0,
            f"{asked}, {rules}; p95 {busy_p95:.0f} ms",
        ),
        Measure(
            "ingest for a minute, reactors on, to the last effect",
            busy.events / whole,
            "events/s",
            ON,
            note=f"the same, until every reactor has read the last event, {whole - busy.took:.1f} s after it came",
        ),
    ]


def _send(port: int, key: str, crowd: People, *, lasts: float, seed: str) -> Sent:
    """Post batches for so many seconds. Raises RuntimeError unless every event was accepted."""
    sent, lock, trouble = Sent(), threading.Lock(), list[str]()
    # Made before the clock starts: the senders share the machine with what they measure.
    made = ingest.batches(crowd, SIZE, round(lasts * FASTEST / SIZE) * SIZE, seed=seed)
    bodies = iter([json.dumps({"events": batch}).encode() for batch in made])
    del made
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    began = time.perf_counter()

    def sender() -> None:
        web = HTTPConnection("127.0.0.1", port, timeout=60)
        while time.perf_counter() - began < lasts and not trouble:
            with lock:
                body = next(bodies, None)
            if body is None:
                break
            start = time.perf_counter()
            web.request("POST", "/api/v1/events", body, headers)
            answer = web.getresponse()
            said = answer.read()
            took = time.perf_counter() - start
            if answer.status != 200 or json.loads(said)["accepted"] != SIZE:
                trouble.append(f"{answer.status} {said[:300]!r}")
            with lock:
                sent.latencies.append(took)
                sent.events += SIZE
        web.close()

    _together([sender] * SENDERS)
    if trouble:
        raise RuntimeError(f"Events were not accepted: {trouble[0]}")
    sent.took = time.perf_counter() - began
    return sent


def _together(acts: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=act) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _copy_floor(admin: Admin) -> float:
    """Rows a second that COPY puts into the twin, of those the log holds now."""
    ((count,),) = admin.rows("SELECT count(*) FROM events_event")
    return float(count / ingest.copied(admin, count))


def _until_read(crowd: People) -> None:
    """Until no reactor has anything left. Raises RuntimeError if that takes too long."""
    deadline = time.monotonic() + DRAIN_SECONDS
    while crowd.brand_id in reactors.brands_with_unread():
        if time.monotonic() > deadline:
            raise RuntimeError("The reactors did not come to the end of the log.")
        connections.close_all()
        time.sleep(0.2)


@contextmanager
def _workers() -> Iterator[None]:
    """The workers that react, and beat, as `make up` starts them."""
    with tempfile.TemporaryDirectory() as place:
        started = []
        try:
            for program in [*programs.workers()[:1], programs.beat(Path(place) / "beat")]:
                out = (environment.state_directory() / "logs" / f"bench-{program.name}.log").open("w")
                environ = {**os.environ, **program.environ}
                started.append(
                    subprocess.Popen(program.command, env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=out)  # noqa: S603
                )
            yield
        finally:
            for process in started:
                process.terminate()
            for process in started:
                process.wait(timeout=60)
