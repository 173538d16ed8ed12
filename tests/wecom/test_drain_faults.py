"""What kills, poisons, floods or confuses the workers of the inbox, and that nothing is lost by it."""

import os
import random
import signal
import time
from datetime import timedelta

from django.db import connection, connections
from django.utils import timezone

from scrm.lib.errors import Conflict
from tenants.scope import brand_scope
from tests.wecom.conftest import connected
from tests.wecom.test_callbacks import drain
from wecom import draining, errors, inbox, limits, tasks
from wecom.models import InboxItem
from wecom.store import connection as store

EVENT = "change_contact"
Status = InboxItem.Status


class Killed(BaseException):
    """Nothing of ours catches it: what a SIGKILL leaves behind, without the process."""


def fill(link, numbers, at, *, event=EVENT):
    with brand_scope(link.brand_id):
        InboxItem.objects.bulk_create(
            InboxItem(
                brand_id=link.brand_id,
                corp_id=link.corp_id,
                dedupe_key=f"{event}{number}",
                event=event,
                payload={"UserID": f"m{number}"},
                received_at=at,
                due_at=at,
            )
            for number in numbers
        )


def statuses(link):
    with brand_scope(link.brand_id):
        return dict(InboxItem.objects.values_list("payload__UserID", "status"))


def test_who_kills_every_worker_is_given_up_and_costs_the_others_nothing(link, heard):
    done, at = [], timezone.now()

    def deadly(events):
        if any(event.text("UserID") == "m3" for event in events):
            raise Killed
        done.extend(event.text("UserID") for event in events)
        return {}

    inbox.register_many(EVENT, deadly)
    fill(link, range(8), at)
    killed = 0
    for _try in range(30):
        try:
            drain(link, at)
        except Killed:
            killed += 1
        at += draining.LEASE

    assert killed == draining.HOPELESS
    assert sorted(done) == [f"m{number}" for number in range(8) if number != 3]
    assert statuses(link) == {f"m{n}": Status.FAILED if n == 3 else Status.DONE for n in range(8)}


def test_a_poisoned_row_fails_alone(link, heard):
    calls, at = [], timezone.now()

    def many(events):
        calls.append(len(events))
        if any(event.text("UserID") == "m2" for event in events):
            raise ValueError("what is this")
        return {}

    inbox.register_many(EVENT, many)
    fill(link, range(5), at)
    drain(link, at)

    assert calls == [5, 1, 1, 1, 1, 1]
    assert statuses(link) == {f"m{n}": Status.PENDING if n == 2 else Status.DONE for n in range(5)}


def test_a_wecom_that_is_away_is_not_asked_for_each_neighbour(link, heard):
    calls, at = [], timezone.now()

    def away(events):
        calls.append(len(events))
        raise errors.Unreachable

    inbox.register_many(EVENT, away)
    fill(link, range(5), at)
    drain(link, at)

    assert calls == [5]


def test_drains_killed_at_any_moment_lose_nothing(live_cast, simulator, heard):
    link = connected(live_cast, simulator)
    at, rng = timezone.now(), random.Random(5)
    inbox.register(EVENT, lambda event: time.sleep(0.001))
    fill(link, range(150), at)
    connections.close_all()
    for _life in range(6):
        at += draining.LEASE
        if (child := os.fork()) == 0:
            try:
                draining.drain_some(brand_id=link.brand_id, clock=lambda: at, limit=40)  # noqa: B023
            finally:
                os._exit(0)
        time.sleep(rng.uniform(0.005, 0.08))  # any moment of its life
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    for _life in range(10):
        at += draining.LEASE
        drain(link, at)

    assert set(statuses(link).values()) == {Status.DONE}


def test_a_database_that_restarts_under_a_handler_costs_its_item_a_moment(live_cast, simulator, heard):
    link, at, restarts = connected(live_cast, simulator), timezone.now(), [1]

    def handle(event):
        if restarts:
            restarts.pop()
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    inbox.register(EVENT, handle)
    fill(link, range(3), at)
    drain(link, at)
    assert sorted(statuses(link).values()) == [Status.DONE, Status.DONE, Status.PENDING]

    drain(link, at + draining.BACKOFF[0])
    assert set(statuses(link).values()) == {Status.DONE}


def test_a_redis_that_is_away_keeps_no_drain_from_its_work(link, heard, settings):
    inbox.register(EVENT, lambda event: None)
    fill(link, range(3), timezone.now())
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    tasks.drain_inbox(brand_id=link.brand_id)
    tasks.greet_inbox(brand_id=link.brand_id)

    assert set(statuses(link).values()) == {Status.DONE}


def test_a_flood_gives_the_worker_back_after_its_turn(link, heard, monkeypatch):
    monkeypatch.setattr(tasks, "TURN_SECONDS", 0)
    inbox.register_many(EVENT, lambda events: {})
    fill(link, range(draining.CLAIMED_AT_ONCE + 20), timezone.now())
    tasks.drain_inbox(brand_id=link.brand_id)

    assert list(statuses(link).values()).count(Status.DONE) == draining.CLAIMED_AT_ONCE


def test_what_a_slow_drain_puts_back_keeps_its_place(link, heard):
    seen, now = [], [timezone.now()]

    def slow(event):
        if not seen:
            now[0] += draining.HURRY + timedelta(seconds=1)
            fill(link, [9], now[0] - timedelta(seconds=1))
        seen.append(event.text("UserID"))

    inbox.register(EVENT, slow)
    fill(link, range(3), now[0])
    for _portion in range(2):
        draining.drain_some(brand_id=link.brand_id, clock=lambda: now[0])

    assert seen == ["m0", "m1", "m2", "m9"]


def test_what_is_in_hand_is_not_replayed_beside_it(link, heard):
    at, refused = timezone.now(), []

    def handler(event):
        with brand_scope(link.brand_id):
            try:
                inbox.replay(event.item_id, at=at)
            except Conflict:
                refused.append(event.item_id)
        raise KeyError("Name")

    inbox.register(EVENT, handler)
    fill(link, [1], at)
    drain(link, at)
    drain(link, at + timedelta(minutes=1))  # its second try: the first has left an error

    assert len(refused) == 2
    with brand_scope(link.brand_id):
        inbox.replay(refused[0], at=at)


def test_two_beats_wake_one_drain(link, heard):
    fill(link, range(3), timezone.now())
    store().delete(*store().keys("wecom:woken:*drain_inbox*") or ["-"])
    before = store().llen("wecom")
    tasks.sweep_inbox()
    tasks.sweep_inbox()

    assert store().llen("wecom") <= before + 1


def test_what_a_wrong_clock_put_off_is_handled_when_it_is_right_again(link, heard):
    inbox.register(EVENT, lambda event: None)
    fill(link, range(2), timezone.now() + timedelta(days=1))
    drain(link)
    assert set(statuses(link).values()) == {Status.PENDING}

    tasks.sweep_inbox()
    drain(link, timezone.now())
    assert set(statuses(link).values()) == {Status.DONE}


def test_a_limit_counted_by_a_wrong_clock_stops_nobody():
    request = limits.Request("https://clock.example/ww1", f"api{random.random()}")
    tomorrow = 2_000_086_400.0
    for number in range(3):
        limits.ask(request, ticket=f"t{number}", patience=2.0, now=tomorrow)

    assert limits.ask(request, ticket="today", patience=2.0, now=2_000_000_000.0)[0] == limits.GO
