"""The queue: one message per brand however much arrives, and nothing lost with it."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from events import log, tasks, wake
from tenants.scope import brand_scope
from tests.cast import NOON
from tests.events.reading import event, in_thread


def write(brand_id, *, fail=False):
    with brand_scope(brand_id):
        log.write([event("sign_in", NOON, 1)], at=NOON)
        if fail:
            raise InterruptedError


def react_until_read(brand_id, heard, count, queue):
    """Do the worker's part until `count` events were heard; the horizon may be held back by others."""
    for _ in range(6_000):
        tasks.react_brand(brand_id=brand_id)
        if len(heard.rows) >= count:
            return
        threading.Event().wait(0.01)
    raise AssertionError(f"heard {len(heard.rows)} of {count}")


def test_a_flood_of_batches_is_one_message(live_cast, queue, heard):
    for _ in range(20):
        write(live_cast.brand.id)

    assert len(queue) == 1

    react_until_read(live_cast.brand.id, heard, 20, queue)
    assert len(heard.rows) == 20


def test_each_brand_has_its_message(live_cast, queue):
    write(live_cast.brand.id)
    write(live_cast.other.id)

    assert len(queue) == 2


def test_a_commit_after_the_message_was_taken_queues_another(live_cast, queue, heard):
    write(live_cast.brand.id)
    queue.lose()
    react_until_read(live_cast.brand.id, heard, 1, queue)
    wake.taken(live_cast.brand.id)  # the last run may have queued a look at the horizon
    queue.lose()

    write(live_cast.brand.id)

    assert len(queue) == 1


def test_a_transaction_that_rolls_back_wakes_nobody(live_cast, queue):
    with pytest.raises(InterruptedError):
        write(live_cast.brand.id, fail=True)

    assert len(queue) == 0


def test_a_repeated_batch_wakes_nobody(live_cast, queue):
    sent = event("sign_in", NOON, 1)
    for _ in range(2):
        with brand_scope(live_cast.brand.id):
            log.write([sent], at=NOON)
        taken = len(queue)
        queue.lose()
        wake.taken(live_cast.brand.id)

    assert taken == 0


def test_looks_again_while_rows_lie_above_the_horizon(live_cast, queue, heard):
    brand_id = live_cast.brand.id
    wrote, may_commit = threading.Event(), threading.Event()

    def slow_writer():
        with brand_scope(brand_id):
            log.write([event("share", NOON, 1)], at=NOON)
            wrote.set()
            may_commit.wait(60)

    thread = in_thread(slow_writer)
    assert wrote.wait(60)
    write(brand_id)
    queue.lose()

    tasks.react_brand(brand_id=brand_id)
    again = len(queue)
    may_commit.set()
    thread.join()
    queue.lose()
    react_until_read(brand_id, heard, 2, queue)

    assert again == 1
    assert len(heard.rows) == 2


def test_goes_to_the_end_of_the_queue_when_there_is_much(live_cast, queue, monkeypatch):
    from events import reactors
    from tests.events.reading import Heard

    heard = Heard()
    reactors.register(heard.reactor("small", limit=1))
    monkeypatch.setattr(tasks, "BATCHES_PER_RUN", 2)
    for _ in range(5):
        write(live_cast.brand.id)
    for _ in range(6_000):  # until nobody holds back the horizon
        queue.lose()
        tasks.react_brand(brand_id=live_cast.brand.id)
        if heard.rows:
            break
        threading.Event().wait(0.01)

    assert 1 <= len(heard.rows) <= 2
    assert len(queue) == 1


def test_the_sweep_finds_what_a_lost_message_left_behind(live_cast, queue, heard):
    write(live_cast.brand.id)
    queue.lose()
    wake.taken(live_cast.brand.id)  # as after its time is over

    tasks.sweep()

    assert len(queue) == 1
    react_until_read(live_cast.brand.id, heard, 1, queue)
    wake.taken(live_cast.brand.id)
    queue.lose()
    tasks.sweep()
    assert len(queue) == 0


def test_events_are_kept_when_the_broker_is_gone(live_cast, settings, heard):
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}}

    write(live_cast.brand.id)

    from events.reactors import brands_with_unread

    assert brands_with_unread() == [live_cast.brand.id]


def test_partitions_are_there_for_the_coming_months(live_cast):
    ahead = datetime.now(UTC) + timedelta(days=85)

    tasks.ensure_partitions()
    tasks.ensure_partitions()

    with brand_scope(live_cast.brand.id):
        assert log.write([event("sign_in", ahead, 1)], at=NOON).written == 1
