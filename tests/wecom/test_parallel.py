"""Calls under way at a time, against a WeCom that bears few: fewer refusals, none lost, nobody held up for ever."""

import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from wecom import errors, parallel
from wecom.store import connection

API = "externalcontact/get_follow_user_list"


@pytest.fixture
def whose():
    """A corp and API of this test's own."""
    return {"scope": f"https://parallel.example/{uuid4().hex}", "api": API}


@pytest.fixture
def five_at_a_time(simulator):
    simulator.post("/_sim/limits", {"concurrent": 5})
    simulator.post("/_sim/faults", {"path": API, "mode": "slow", "delay": 0.03})
    yield simulator
    simulator.post("/_sim/limits", {"concurrent": 0})


def refused(simulator):
    return simulator.get("/_sim/counters")["errcodes"].get(API, {}).get("45033", 0)


def test_calls_find_out_how_many_are_borne_and_keep_to_it(five_at_a_time, link):
    wecom = link.wecom
    with ThreadPoolExecutor(12) as callers:
        assert all(callers.map(lambda _number: wecom.follow_users(), range(80)))
        met = refused(five_at_a_time)
        assert 0 < met < 30
        assert all(callers.map(lambda _number: wecom.follow_users(), range(60)))

    assert refused(five_at_a_time) == met


def test_an_api_that_was_never_refused_shares_no_places(simulator, link):
    link.wecom.follow_users()

    assert not connection().keys(f"wecom:flying:{simulator.api_base}*")


def test_who_is_killed_holds_a_place_no_longer_than_its_lease(whose, monkeypatch):
    monkeypatch.setattr(parallel, "BEGIN", 1)
    parallel.narrow(**whose, flown=0.0)
    killed = parallel.place(**whose, lease=0.3)
    killed.__enter__()

    with parallel.place(**whose, lease=30):  # waits until the lease has ended
        monkeypatch.setattr(parallel, "PATIENCE_SECONDS", 0.05)
        with pytest.raises(errors.Throttled), parallel.place(**whose, lease=30):
            pass
    with parallel.place(**whose, lease=30):
        pass


def test_a_refusal_of_a_call_from_before_takes_no_second_place_away(whose):
    assert parallel.narrow(**whose, flown=0.5) == parallel.BEGIN
    assert parallel.narrow(**whose, flown=5.0) == parallel.BEGIN

    deadline = time.monotonic() + 60
    while (left := parallel.narrow(**whose, flown=0.0)) == parallel.BEGIN:  # the same millisecond, that is
        assert time.monotonic() < deadline
    assert left == 5


def test_in_quiet_there_is_room_for_more_until_there_is_no_limit(whose, monkeypatch):
    monkeypatch.setattr(parallel, "QUIET_SECONDS", 0.002)
    parallel.narrow(**whose, flown=0.0)
    deadline = time.monotonic() + 60
    while connection().exists(parallel.places(**whose)):
        assert time.monotonic() < deadline
        with parallel.place(**whose, lease=30):
            pass
