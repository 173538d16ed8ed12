"""What /readyz tells about the log."""

import threading
from datetime import timedelta

from events import health, log, reactors
from tenants.scope import brand_scope
from tests.cast import NOON
from tests.events.reading import Heard, event, in_thread, known_as, read_all


def lag(brand_id, at):
    return {each.brand_id: each.oldest_seconds for each in health.lags(at=at)}[brand_id]


def test_the_oldest_event_that_some_reactor_has_not_read(live_cast, heard):
    brand_id, later = live_cast.brand.id, NOON + timedelta(minutes=5)
    assert lag(brand_id, NOON) == 0
    with brand_scope(brand_id):
        log.write([event("sign_in", NOON - timedelta(days=2), 1)], at=NOON)

    assert lag(brand_id, later) == 300
    assert lag(live_cast.other.id, later) == 0

    read_all(brand_id)
    assert lag(brand_id, later) == 0

    reactors.register(Heard().reactor("new"))  # one that has read nothing yet
    assert lag(brand_id, later) == 300


def test_an_event_linked_today_has_not_waited_since_it_was_received(live_cast, heard):
    brand_id, today = live_cast.brand.id, NOON + timedelta(days=3)
    with brand_scope(brand_id):
        log.write([event("sign_in", NOON, identity=("unionid", "o-zhou"))], at=NOON)
    read_all(brand_id)

    known_as(brand_id, ("unionid", "o-zhou"), today)
    with brand_scope(brand_id):
        log.write([event("sign_in", today, 1)], at=today)

    assert lag(brand_id, today + timedelta(seconds=60)) == 60


def test_how_long_the_horizon_has_stood_still(live_cast):
    wrote, may_commit = threading.Event(), threading.Event()

    def slow_writer():
        with brand_scope(live_cast.brand.id):
            log.write([event("share", NOON, 1)], at=NOON)
            wrote.set()
            may_commit.wait(60)

    thread = in_thread(slow_writer)
    assert wrote.wait(60)
    with brand_scope(live_cast.other.id):
        log.write([event("share", NOON, 1)], at=NOON)  # somebody waits for the slow one
    try:
        # Others in this cluster may hold it too, but not for ever: then it stands where our writer is.
        for _ in range(1_500):
            with brand_scope(live_cast.brand.id):
                held = log.horizon()
            health.note_horizon(at=NOON)
            threading.Event().wait(0.01)
            if log.horizon() == held and health.horizon_age(at=NOON + timedelta(seconds=90)) == 90:
                break
        else:
            raise AssertionError("the horizon never stood still")
    finally:
        may_commit.set()
        thread.join()
