"""How long after something happens the product knows: tags, dynamic segments, and what time alone changes.

Workers and beat run as `make up` starts them. Events are written as the API's door writes them (reactors are woken on
commit), a steady number a second; beside them a look ten times a second at who has the tag, who is in, who is out. A
delay is from before the write to the look that sees its effect, commits and all."""

import os
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.db import connection
from django.utils import timezone

from bench import big
from bench.big import Big
from bench.measure import Measure, seconds
from bench.scratch import Admin
from events import log, reactors
from scrm.runtime import environment, programs
from scrm.runtime.programs import Program
from tagging.models import SegmentFill
from tagging.rules import reacting, rules
from tagging.segments import memberships, segments
from tenants.actors import SYSTEM
from tenants.scope import brand_scope

RATE, SECONDS = 100, 30
"""events a second, and for how long"""
LEAVING = (8, 25)
"""seconds from now in which windows end; at a small scale sooner, like everything"""
RULES, RULES_FLOOR = 20, 10_000.0
TAG_MS, ENTRY_MS, EXIT_MS = 2000.0, 5000.0, 10_000.0
LOOK_SECONDS = 0.1
PATIENCE_SECONDS = 120
HOUR = timedelta(hours=1)


@dataclass
class Watch:
    """One kind of effect: contact → when it was caused, and when it was seen."""

    query: str
    caused: dict[int, float] = field(default_factory=dict)
    seen: dict[int, float] = field(default_factory=dict)

    def look(self, brand_id: int) -> None:
        """Note who is seen now and was not before."""
        waiting = [who for who in self.caused if who not in self.seen]
        if not waiting:
            return
        with brand_scope(brand_id), connection.cursor() as cursor:
            cursor.execute(self.query, [brand_id, waiting])
            found = [row[0] for row in cursor.fetchall()]
        now = time.time()
        for who in found:
            self.seen[who] = now

    def delays(self) -> list[float]:
        """Milliseconds, ascending. Raises RuntimeError if an effect never came."""
        missing = len(self.caused) - len(self.seen)
        if missing or not self.caused:
            raise RuntimeError(f"{missing} of {len(self.caused)} effects never came: {self.query[:60]}")
        return sorted((self.seen[who] - self.caused[who]) * 1000 for who in self.caused)


def measure(admin: Admin, scale: float, rounds: int) -> list[Measure]:
    """Rules a second in one process; then delays beside real workers."""
    made = big.make(admin, scale, others=False)
    measures = [_rules(admin, made)]
    # The workers must not read the bench's past again with every reactor.
    admin.run("DELETE FROM events_event")
    tag, entry, exit_ = _dynamic(made)
    watches = {
        "tag": Watch(
            "SELECT contact_id FROM tagging_contacttag WHERE brand_id = %s AND contact_id = ANY (%s)"
            f" AND tag_id = {tag}"
        ),
        "entry": Watch(
            "SELECT contact_id FROM tagging_membership WHERE brand_id = %s AND contact_id = ANY (%s)"
            f" AND segment_id = {entry} AND left_at IS NULL"
        ),
        "exit": Watch(
            "SELECT contact_id FROM tagging_membership WHERE brand_id = %s AND contact_id = ANY (%s)"
            f" AND segment_id = {exit_} AND left_at IS NOT NULL"
        ),
    }
    with _workers():
        _wait_for_fills(made.brand_id)
        lasts = min(SECONDS, max(3, round(SECONDS * scale * 10)))
        _happen(admin, made, watches, lasts=lasts)
    missed = _never_in(admin, made.brand_id, exit_, watches["exit"])
    note = f"{RATE} events a second for {lasts} s, {made.contacts:,} contacts, {RULES} rules, workers as `make up`"
    return [
        *measures,
        _delay("event → tag, 95th of 100", watches["tag"], 0.95, TAG_MS, note),
        _delay("event → dynamic segment, 95th of 100", watches["entry"], 0.95, ENTRY_MS, note),
        _delay("time-driven exit after its moment, the latest", watches["exit"], 1.0, EXIT_MS, note + missed),
    ]


def _never_in(admin: Admin, brand_id: int, segment_id: int, watch: Watch) -> str:
    """Forget those who were looked at only after their moment, and so never entered; words about them."""
    entered = {
        who
        for (who,) in admin.rows(
            "SELECT contact_id FROM tagging_membership WHERE brand_id = %s AND segment_id = %s", [brand_id, segment_id]
        )
    }
    late = [who for who in watch.caused if who not in entered]
    for who in late:
        del watch.caused[who]
    return f"; {len(late)} were seen too late to enter at all" if late else ""


def _delay(name: str, watch: Watch, share: float, allowed: float, note: str) -> Measure:
    delays = watch.delays()
    value = delays[min(len(delays) - 1, int(len(delays) * share))]
    middle = delays[len(delays) // 2]
    return Measure(name, max(value, 0.1), "ms", allowed, 1.0, f"{note}; median {middle:.0f} ms of {len(delays)}", True)


def _rules(admin: Admin, made: Big) -> Measure:
    """Twenty rules over the brand's log, read by one process."""
    at = timezone.now()
    types = big.TYPES[:4]
    with brand_scope(made.brand_id):
        for number in range(RULES):
            rules.save(
                name=f"规则{number}",
                tag_id=made.first_tag + number,
                event_type=types[number % len(types)],
                where={} if number % 2 else {"category": "婴童"},  # of every second type: views and carts
                min_count=2 + number // 4,
                window_days=30,
                keep_days=45,
                actor=SYSTEM,
                at=at,
            )
    ((horizon, events),) = admin.rows("SELECT max(txid) + 1, least(count(*), 100000) FROM events_event")
    read = 0

    def react() -> None:
        nonlocal read
        while read < events:
            progress = reactors.react(
                brand_id=made.brand_id, reactor=reacting.REACTOR.name, at=timezone.now(), horizon=horizon
            )
            read += progress.read
            if not progress.more:
                return

    took = seconds(react)
    note = f"{read:,} events of {made.contacts:,} contacts, one process; every rule asks the log"
    return Measure(f"{RULES} rules over arriving events", read / took, "events/s", RULES_FLOOR, 1.0, note)


def _dynamic(made: Big) -> tuple[int, int, int]:
    """(tag of a rule, segment that events enter, segment that time leaves)."""
    at = timezone.now()
    trees: list[tuple[str, dict[str, Any]]] = [
        ("有过 x_entry", {"kind": "event_recency", "event": "x_entry", "op": "within", "days": 7}),
        ("一小时内 x_exit", {"kind": "event_recency", "event": "x_exit", "op": "within", "hours": 1}),
    ]
    with brand_scope(made.brand_id):
        rules.save(
            name="x_tag",
            tag_id=made.first_tag + RULES,
            event_type="x_tag",
            min_count=1,
            window_days=7,
            actor=SYSTEM,
            at=at,
        )
        ids = []
        for name, tree in trees:
            segment = segments.save(name=name, tree=tree, actor=SYSTEM, at=at)
            memberships.set_mode(segment_id=segment.pk, mode="dynamic", actor=SYSTEM, at=at)
            ids.append(segment.pk)
    return made.first_tag + RULES, ids[0], ids[1]


def _wait_for_fills(brand_id: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        with brand_scope(brand_id):
            if not SegmentFill.objects.filter(is_current=True, ended_at=None).exists():
                return
        if time.monotonic() > deadline:
            raise RuntimeError("The first fill did not end")
        time.sleep(0.2)


def _happen(admin: Admin, made: Big, watches: dict[str, Watch], *, lasts: int) -> None:
    """Events at a steady rate, each of a contact of its own; then looks until every effect has been seen."""
    people = [
        row[0]
        for row in admin.rows(
            "SELECT c.id FROM contacts_contact c WHERE c.brand_id = %s AND NOT EXISTS (SELECT FROM tagging_contacttag t"
            " WHERE t.brand_id = c.brand_id AND t.contact_id = c.id AND t.tag_id = %s) ORDER BY c.id",
            [made.brand_id, made.first_tag + RULES],
        )
    ]
    chance = random.Random(7)
    chance.shuffle(people)
    _warm_up(made.brand_id, people.pop(), watches)
    waiting = people[: RATE * lasts]
    began, number = time.time(), 0
    deadline = began + lasts + PATIENCE_SECONDS
    while time.time() < deadline:
        wanted = min(len(waiting), int((time.time() - began) * RATE) + 1)
        if wanted > number:
            leaving = LEAVING if lasts == SECONDS else (2, 4)
            _write(made.brand_id, waiting[number:wanted], number, chance, watches, leaving=leaving)
            number = wanted
        for watch in watches.values():
            watch.look(made.brand_id)
        if number == len(waiting) and all(len(watch.seen) == len(watch.caused) for watch in watches.values()):
            return
        time.sleep(LOOK_SECONDS)


def _warm_up(brand_id: int, who: int, watches: dict[str, Watch]) -> None:
    """Wait until the workers have started: one event of each kind has had its effect. Raises RuntimeError."""
    now = timezone.now()
    probes = [Watch(watches[kind].query, {who: time.time()}) for kind in ("tag", "entry")]
    with brand_scope(brand_id):
        log.write([log.NewEvent(f"x_{kind}", now, contact_id=who, source="api") for kind in ("tag", "entry")], at=now)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not all(probe.seen for probe in probes):
        if time.monotonic() > deadline:
            raise RuntimeError("The workers did not start to work")
        time.sleep(LOOK_SECONDS)
        for probe in probes:
            probe.look(brand_id)


def _write(
    brand_id: int,
    who: list[int],
    first: int,
    chance: random.Random,
    watches: dict[str, Watch],
    *,
    leaving: tuple[int, int],
) -> None:
    events = []
    moment, now = time.time(), timezone.now()
    for place, contact_id in enumerate(who, start=first):
        kind = ("tag", "entry", "exit")[place % 3]
        at: datetime = now
        watches[kind].caused[contact_id] = moment
        if kind == "exit":
            # It leaves the window of an hour some seconds from now; the delay counts from that moment.
            left = chance.uniform(*leaving)
            at = now - HOUR + timedelta(seconds=left)
            watches[kind].caused[contact_id] = moment + left
        events.append(log.NewEvent(f"x_{kind}", at, contact_id=contact_id, source="api"))
    with brand_scope(brand_id):
        log.write(events, at=now)


@contextmanager
def _workers() -> Iterator[None]:
    with ExitStack() as stack:
        place = stack.enter_context(TemporaryDirectory())
        for program in [*programs.workers(), programs.beat(Path(place) / "beat")]:
            stack.enter_context(_running(program))
        yield


@contextmanager
def _running(program: Program) -> Iterator[None]:
    path = environment.state_directory() / "logs" / f"bench-lag-{program.name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as out:
        process = subprocess.Popen(  # noqa: S603 - our own program
            program.command,
            cwd=environment.ROOT,
            env={**os.environ, **program.environ},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
