"""Taking events: through HTTP against a web process of the product's own, and within a process, beside COPY.

The floor is a superuser's COPY of the same rows into a twin of the log: `LIKE events_event INCLUDING ALL`, so the same
columns, generated ones too, and the same indexes; one plain table without partitions, policy or grants. The product
also speaks HTTP and JSON, checks each item, finds its contact, and answers for each. Nothing reads the log meanwhile:
no worker runs."""

import json
import os
import random
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.client import HTTPConnection
from typing import Any

from django.utils import timezone

from bench import people
from bench.measure import Measure, seconds
from bench.people import CATEGORIES, People
from bench.scratch import Admin
from events import ingest
from scrm.runtime import environment, programs
from scrm.runtime.state import free_port
from tenants import keys
from tenants.actors import SYSTEM
from tenants.scope import brand_scope

CONTACTS, EVENTS = 20_000, 50_000
SENDERS = 4
FIRST_PORT = 18_600
PATIENCE_SECONDS = 60
TWIN = "bench_event_twin"

Batch = list[dict[str, Any]]


def measure(admin: Admin, scale: float, rounds: int) -> list[Measure]:
    """Events per second: in batches of 100 and 500 over HTTP, and of 500 in-process."""
    admin.empty(*people.EVERYTHING)
    crowd = people.make(admin, slug="bench-ingest", contacts=max(200, round(CONTACTS * scale)), guides=10)
    count = max(1000, round(EVENTS * scale / 500) * 500)
    took: dict[str, list[float]] = {"http 500": [], "copy": [], "http 100": [], "in-process 500": []}
    with web(key_of(crowd)) as server:
        server.send(batches(crowd, 100, 1000, seed="warm up"))  # imports, connections, plans
        for turn in range(rounds):
            for size in (500, 100):
                admin.empty("events_event")
                sent = batches(crowd, size, count, seed=f"http {size} {turn}")
                took[f"http {size}"].append(server.send(sent))
            took["copy"].append(copied(admin, count))
            admin.empty("events_event")
            took["in-process 500"].append(_taken(crowd, batches(crowd, 500, count, seed=f"within {turn}")))
    floor = count / min(took.pop("copy"))
    notes = {
        "http 500": f"{count:,} events of {crowd.contacts:,} contacts in batches of 500, {SENDERS} senders, 2 web "
        "processes; floor: superuser's COPY of the same rows into an unpartitioned twin without policy",
        "http 100": "the same in batches of 100",
        "in-process 500": "events.ingest.take in one process, bodies parsed already",
    }
    # A hundred per request is what a mini-program's server may do; the goal is set for full batches.
    goals = {"http 500": 0.10, "in-process 500": 0.10}
    return [
        Measure(f"event ingest, {name}", count / min(found), "events/s", floor, goals.get(name), notes[name])
        for name, found in took.items()
    ]


class Web:
    """The product's web process, and clients that send to it as fast as it answers."""

    def __init__(self, port: int, key: str) -> None:
        self.port = port
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def send(self, batches: list[Batch]) -> float:
        """Post the batches with several senders; seconds from the first byte to the last answer.

        Raises RuntimeError unless every event was accepted."""
        bodies = iter([json.dumps({"events": batch}).encode() for batch in batches])
        turn, answers = threading.Lock(), list[tuple[int, bytes]]()

        def sender() -> None:
            web = HTTPConnection("127.0.0.1", self.port, timeout=60)
            while True:
                with turn:
                    body = next(bodies, None)
                if body is None:
                    web.close()
                    return
                web.request("POST", "/api/v1/events", body, self._headers)
                answer = web.getresponse()
                answers.append((answer.status, answer.read()))

        senders = [threading.Thread(target=sender) for _ in range(SENDERS)]
        began = time.perf_counter()
        for each in senders:
            each.start()
        for each in senders:
            each.join()
        took = time.perf_counter() - began
        refused = next((body for status, body in answers if status != 200), None)
        accepted = 0 if refused else sum(json.loads(body)["accepted"] for _status, body in answers)
        if accepted != sum(map(len, batches)):
            raise RuntimeError(f"{accepted} events were accepted: {(refused or answers[0][1])[:300]!r}")
        return took


@contextmanager
def web(key: str, *, port: int = 0) -> Iterator[Web]:
    """The product's web process at `port` (0: one that is free), and a way to send to it with the key."""
    port = port or free_port(FIRST_PORT, taken=set())
    program = programs.web(port=port)
    log = environment.state_directory() / "logs" / "bench-web.log"
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
            yield Web(port, key)
        finally:
            process.terminate()
            process.wait()


def key_of(crowd: People) -> str:
    """A key of the brand's that may send as much as it can."""
    with brand_scope(crowd.brand_id):
        made = keys.make(
            brand_id=crowd.brand_id,
            name="bench",
            scopes=["events:write"],
            per_minute=60_000,
            actor=SYSTEM,
            at=timezone.now(),
        )
    return made.key


def batches(crowd: People, size: int, count: int, *, seed: str) -> list[Batch]:
    """`count` product views of the last six days in batches; the seed decides which, but for the time of day."""
    chance, at = random.Random(seed), timezone.now()
    events = [_view(crowd, chance, at) for _ in range(count)]
    return [events[first : first + size] for first in range(0, count, size)]


def _view(crowd: People, chance: random.Random, at: datetime) -> dict[str, Any]:
    return {
        "id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "type": "product_view",
        "occurred_at": (at - timedelta(seconds=chance.randrange(6 * 86_400))).isoformat(timespec="milliseconds"),
        "identity": {"type": "unionid", "value": f"ou{chance.randrange(crowd.contacts) + 1}"},
        "props": {
            "product_id": f"P{chance.randrange(200)}",
            "category": chance.choice(CATEGORIES),
            "dwell_seconds": chance.randrange(60),
        },
    }


def _taken(crowd: People, batches: list[Batch]) -> float:
    at = timezone.now()

    def take() -> None:
        for batch in batches:
            report = ingest.take(brand_id=crowd.brand_id, body={"events": batch}, at=at)
            if report.accepted != len(batch):
                raise RuntimeError(f"Events were not accepted: {report.items[:3]}")

    return seconds(take)


def copied(admin: Admin, count: int) -> float:
    """COPY what the log holds now into the twin, which is made when missing; seconds."""
    admin.run(f"CREATE TABLE IF NOT EXISTS {TWIN} (LIKE events_event INCLUDING ALL)")
    columns = admin.columns("events_event")
    rows = admin.copy_out(f"SELECT {', '.join(columns)} FROM events_event")
    admin.empty(TWIN)
    took = seconds(lambda: admin.copy_in(TWIN, columns, rows))
    ((copied,),) = admin.rows(f"SELECT count(*) FROM {TWIN}")
    if copied != count:
        raise RuntimeError(f"{copied} rows were copied of {count}")
    return took
