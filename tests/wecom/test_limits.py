"""The limiter against the clock of a script: below WeCom's limit in every minute, hardly anything wasted, fair."""

import heapq
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from uuid import uuid4

import pytest
import redis

from bench.crowd import Crowd
from wecom import errors, limits
from wecom.limits import GO, REFUSED, WAIT, Request, ask
from wecom.simulator.testing import running_simulator
from wecom.store import connection

BEGIN = 2_000_000_000.0
API = "externalcontact/get"


@dataclass
class World:
    """Callers that ask, wait, call and ask again, in virtual time; what WeCom would see of them."""

    until: float
    calls: list[tuple[float, str]] = field(default_factory=list)
    refused: Counter = field(default_factory=Counter)
    asked: int = 0

    def run(self, **callers: tuple[int, float]) -> None:
        """`scope=(callers, seconds between a call and the next)`."""
        order = count()
        tag = uuid4().hex[:8]
        agenda: list[tuple[float, int, str, str, bool, float]] = []
        for scope, (several, pause) in callers.items():
            for _caller in range(several):
                heapq.heappush(agenda, (BEGIN, next(order), f"{scope}-{tag}", uuid4().hex, False, pause))
        while agenda:
            now, _order, scope, ticket, booked, pause = heapq.heappop(agenda)
            if now >= BEGIN + self.until:
                continue
            verdict, wait = ask(Request(scope, API), ticket=ticket, patience=2.0, booked=booked, now=now)
            self.asked += 1
            if verdict == GO:
                self.calls.append((now, scope.split("-")[0]))
                again = (now + pause, next(order), scope, uuid4().hex, False, pause)
            elif verdict == WAIT:
                again = (now + wait, next(order), scope, ticket, True, pause)
            else:
                assert verdict == REFUSED
                self.refused[scope.split("-")[0]] += 1
                again = (now + min(wait, 2.0), next(order), scope, uuid4().hex, False, pause)
            heapq.heappush(agenda, again)

    def most_in(self, seconds: float, scope: str = "") -> int:
        """The most calls in any stretch of so many seconds, wherever it begins."""
        times = sorted(at for at, whose in self.calls if not scope or whose == scope)
        return max((bisect_left(times, at + seconds) - place for place, at in enumerate(times)), default=0)

    @property
    def shares(self) -> Counter:
        return Counter(whose for _at, whose in self.calls)


@pytest.fixture(autouse=True)
def own_address(settings):
    """No other test's calls count."""
    settings.WECOM_EGRESS = uuid4().hex
    settings.WECOM_CORP_LIMITS = "600/60"
    settings.WECOM_IP_LIMITS = ""
    store = connection()
    yield
    for key in store.scan_iter(f"wecom:*{settings.WECOM_EGRESS}*"):
        store.delete(key)


@pytest.mark.parametrize("callers", [1, 4, 40])
def test_a_corp_uses_its_limit_and_never_more(callers):
    world = World(until=180)
    world.run(corp=(callers, 0.01))

    assert world.most_in(60) <= 600
    assert len(world.calls) >= 0.9 * 1800
    # Who waits sleeps and asks once more; nobody asks in a loop.
    assert world.asked <= 2 * len(world.calls) + world.refused["corp"] + callers


def test_a_quiet_corp_may_come_with_a_handful_at_once(settings):
    settings.WECOM_CORP_LIMITS = "10000/60,150000/3600"
    world = World(until=0.001)
    world.run(corp=(150, 1.0))

    assert len(world.calls) == 150


def test_corps_that_share_an_address_share_it_max_min(settings):
    settings.WECOM_CORP_LIMITS = "6000/60"
    settings.WECOM_IP_LIMITS = "600/60"
    world = World(until=120)
    world.run(flood=(60, 0.0), busy=(3, 0.05), modest=(1, 1.0))

    assert world.most_in(60) <= 600
    assert len(world.calls) >= 0.9 * 1200
    assert world.shares["modest"] >= 0.85 * 120  # one a second, as if it were alone but for a short wait
    assert world.shares["busy"] >= 0.8 * world.shares["flood"]
    assert not world.refused["busy"]
    assert not world.refused["modest"]


def test_what_one_corp_leaves_another_may_use(settings):
    settings.WECOM_CORP_LIMITS = "6000/60"
    settings.WECOM_IP_LIMITS = "600/60"
    world = World(until=60)
    world.run(flood=(30, 0.0), modest=(1, 10.0))

    assert world.shares["flood"] >= 0.85 * 600


def test_an_address_does_not_give_a_corp_more_than_its_own(settings):
    settings.WECOM_IP_LIMITS = "6000/60"
    world = World(until=60)
    world.run(one=(10, 0.0), other=(10, 0.0))

    assert world.most_in(60, "one") <= 600
    assert world.most_in(60, "other") <= 600


def test_who_waits_and_dies_holds_nobody_up(settings):
    settings.WECOM_CORP_LIMITS = "6000/60"
    settings.WECOM_IP_LIMITS = "600/60"
    spent = World(until=0.001)
    spent.run(flood=(20, 1.0))
    dead = ask(Request("dead", API), ticket="x", patience=2.0, now=BEGIN + 0.002)
    world = World(until=20)
    world.run(living=(5, 0.0))

    assert dead[0] == WAIT
    assert len(world.calls) >= 0.85 * 200


def test_a_provider_has_its_own_and_larger_limit(settings):
    settings.WECOM_IP_LIMITS, settings.WECOM_PROVIDER_LIMITS = "50/60", "60000/60"
    settings.WECOM_CORP_LIMITS = "60000/60"
    answers = [ask(Request("corp", API, provider=True), ticket="t", patience=0, now=BEGIN)[0] for _time in range(100)]

    assert answers == [GO] * 100
    assert {ask(Request("corp", API), ticket="t", patience=0, now=BEGIN)[0] for _time in range(100)} == {GO, REFUSED}


def test_what_wecom_does_not_count_is_not_counted():
    answers = {ask(Request("corp", "message/send"), ticket="t", patience=0, now=BEGIN)[0] for _time in range(2000)}

    assert answers == {GO}


def test_a_frequency_refusal_rests_longer_each_time():
    scope = uuid4().hex
    first, at_once = limits.block(scope=scope, api=API), limits.block(scope=scope, api=API)
    with pytest.raises(errors.Throttled) as refusal:
        limits.take(scope=scope, api=API)
    connection().delete(f"wecom:blocked:{scope}:{API}")  # a minute later
    second = limits.block(scope=scope, api=API)
    connection().delete(f"wecom:blocked:{scope}:{API}")
    third = limits.block(scope=scope, api=API)

    assert (first, at_once, second, third) == (60, 0, 600, 3600)  # those under way at the first are no second strike
    assert 0 < refusal.value.retry_after <= 60


def taken(*, scope: str) -> bool:
    try:
        limits.take(scope=scope, api=API)
    except errors.Throttled:
        return False
    return True


def test_without_redis_a_process_keeps_to_a_tenth(settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    answers = [taken(scope=uuid4().hex)] + [taken(scope="alone") for _time in range(100)]

    assert answers[:2] == [True, True]
    assert sum(answers) <= 10
    with pytest.raises(redis.RedisError):
        connection().ping()


def test_four_processes_stay_below_a_small_limit():
    """The short one of `make bench ARGS="--only limiter"`. The simulator's minute is three seconds here."""
    with running_simulator(guides=4, contacts=8, pace=20.0) as quick:
        quick.post("/_sim/limits", {"per_minute": 60})
        told = quick.corps()[0]
        environment = {"WECOM_API_BASE": quick.api_base, "WECOM_CORP_LIMITS": "48/3", "WECOM_IP_LIMITS": ""}
        with Crowd(corps=[(told["corpid"], told["apps"][0]["secret"])] * 4, lasts=3.5, **environment) as crowd:
            crowd.go()
            seen = crowd.told()
        errcodes = quick.get("/_sim/counters")["errcodes"]["externalcontact/get_follow_user_list"]

    assert [each.failed for each in seen] == [[]] * 4
    assert "45009" not in errcodes
    assert sum(each.done for each in seen) == errcodes["0"]
    assert errcodes["0"] >= 0.5 * 48 * 3.5 / 3  # a slow machine may not use all of it
    assert sum(each.cpu_seconds for each in seen) < 3.0  # of 14: who waits sleeps
