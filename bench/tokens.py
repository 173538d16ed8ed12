"""How often WeCom is asked for a token by eight processes: when it has expired, and when Redis forgets it.

The floors: one gettoken for all of them, and as many calls answered as were made."""

import time

import redis
from django.conf import settings

from bench.crowd import Crowd
from bench.measure import Measure
from bench.scratch import Admin
from wecom.simulator.testing import Simulator, running_simulator

PROCESSES = 8
SECONDS = 20
FLUSHES = 3


def measure(admin: Admin, scale: float, rounds: int) -> list[Measure]:
    """Calls a second of eight processes: together after expiry, and while Redis is emptied three times."""
    del admin, rounds
    lasts = max(3.0, SECONDS * scale)
    with running_simulator(guides=4, contacts=8) as simulator:
        simulator.post("/_sim/limits", {"enabled": False})
        return [_after_expiry(simulator), _emptied(simulator, lasts)]


def _after_expiry(simulator: Simulator) -> Measure:
    with _crowd(simulator, many=1) as crowd:  # Redis has a token then, that WeCom will refuse
        crowd.go()
        crowd.told()
    simulator.post("/_sim/clock", {"advance_seconds": 7300})
    before = _gettokens(simulator)
    with _crowd(simulator, many=PROCESSES) as crowd:
        crowd.go()
        told = crowd.told()
    served = sum(1 for each in told if each.done)
    asked = _gettokens(simulator) - before
    return Measure(
        "token, after expiry",
        served / asked,
        "processes per gettoken",
        PROCESSES,
        goal=1.0,
        note=f"{PROCESSES} processes that begin together with an expired token: {served} served by {asked} gettoken",
    )


def _emptied(simulator: Simulator, lasts: float) -> Measure:
    before = _gettokens(simulator)
    store = redis.Redis.from_url(settings.REDIS_URL)  # the bench's own numbered database
    with _crowd(simulator, many=PROCESSES, lasts=lasts) as crowd:
        crowd.go()
        for _time in range(FLUSHES):
            time.sleep(lasts / (FLUSHES + 1))
            store.flushdb()
        told = crowd.told()
    asked = _gettokens(simulator) - before
    answered, failed = sum(each.done for each in told), sum(len(each.failed) for each in told)
    return Measure(
        "token, Redis emptied",
        answered / lasts,
        "calls/s",
        (answered + failed) / lasts,
        goal=1.0,
        note=f"{PROCESSES} processes for {lasts:.0f} s, Redis emptied {FLUSHES} times: {asked} gettoken (may be "
        f"{FLUSHES * PROCESSES}), {failed} of {answered + failed:,} calls failed; floor: calls made",
    )


def _crowd(simulator: Simulator, *, many: int, lasts: float = 0.0) -> Crowd:
    shown = simulator.corps()[0]
    app = (shown["corpid"], shown["apps"][0]["secret"])
    environment = {"WECOM_API_BASE": simulator.api_base, "WECOM_CORP_LIMITS": "", "WECOM_IP_LIMITS": ""}
    return Crowd(corps=[app] * many, lasts=lasts, **environment)


def _gettokens(simulator: Simulator) -> int:
    return int(simulator.get("/_sim/counters")["calls"].get("gettoken", 0))
