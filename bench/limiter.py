"""How much of WeCom's limit four workers use without ever meeting it, and whether corps that share an address share it
fairly.

The floor is the limit itself, as the simulator enforces it: going over it once means a minute without calls."""

from bench.crowd import Crowd, Told
from bench.measure import Measure
from bench.scratch import Admin
from wecom.simulator.testing import Simulator, running_simulator

API = "externalcontact/get_follow_user_list"
PER_MINUTE = 600
WORKERS = 4
SECONDS, SHARED_SECONDS = 180, 60
LEAST_SECONDS = 3
"""so short, what may come at once counts for more than the limit: the ratio may be above 1"""


def measure(admin: Admin, scale: float, rounds: int) -> list[Measure]:
    """Calls a minute of one corp's four workers; of a corp beside another that floods. Once each: they take minutes."""
    del admin, rounds
    return [
        _alone(max(LEAST_SECONDS, SECONDS * scale)),
        _beside_a_flood(max(2 * LEAST_SECONDS, SHARED_SECONDS * scale)),
    ]


def _alone(lasts: float) -> Measure:
    with running_simulator(guides=4, contacts=8) as simulator:
        simulator.post("/_sim/limits", {"per_minute": PER_MINUTE})
        told = _run(
            simulator, [_app(simulator, 0)] * WORKERS, lasts, WECOM_CORP_LIMITS=f"{PER_MINUTE}/60", WECOM_IP_LIMITS=""
        )
        over = _frequency_refusals(simulator)
    calls = sum(each.done for each in told)
    return Measure(
        "limiter",
        calls * 60 / lasts,
        "calls/min",
        PER_MINUTE,
        goal=0.9,
        note=f"{WORKERS} processes, a limit of {PER_MINUTE} a minute, {lasts:.0f} s: {calls:,} calls, {over} times "
        f"45009, {_cost(told, lasts)}; floor: the limit",
    )


def _beside_a_flood(lasts: float) -> Measure:
    with running_simulator(guides=4, contacts=8, corps=2) as simulator:
        simulator.post("/_sim/limits", {"ip_per_minute": PER_MINUTE})
        corps = [_app(simulator, 0), *[_app(simulator, 1)] * (WORKERS * 2)]
        told = _run(simulator, corps, lasts, WECOM_IP_LIMITS=f"{PER_MINUTE}/60")
        over = _frequency_refusals(simulator)
    modest, flood = told[0].done, sum(each.done for each in told[1:])
    return Measure(
        "limiter, fair share",
        modest * 60 / lasts,
        "calls/min",
        PER_MINUTE / 2,
        goal=0.9,
        note=f"one process of one corp beside {WORKERS * 2} of another, one address with {PER_MINUTE} calls a minute, "
        f"{lasts:.0f} s: {modest:,} and {flood:,} calls, {over} times 45009; floor: half of the limit",
    )


def _run(simulator: Simulator, corps: list[tuple[str, str]], lasts: float, **limits: str) -> list[Told]:
    """Raises RuntimeError when a call failed."""
    with Crowd(corps=corps, lasts=lasts, WECOM_API_BASE=simulator.api_base, **limits) as crowd:
        crowd.go()
        told = crowd.told()
    failed = [error for each in told for error in each.failed]
    if failed:
        raise RuntimeError(f"{len(failed)} calls failed: {failed[0]}")
    return told


def _app(simulator: Simulator, corp: int) -> tuple[str, str]:
    shown = simulator.corps()[corp]
    return shown["corpid"], shown["apps"][0]["secret"]


def _frequency_refusals(simulator: Simulator) -> int:
    return int(simulator.get("/_sim/counters")["errcodes"].get(API, {}).get("45009", 0))


def _cost(told: list[Told], lasts: float) -> str:
    share = sum(each.cpu_seconds for each in told) / lasts / len(told)
    return f"each {share:.1%} of a processor and at most {max(each.peak_mib for each in told):.0f} MiB"
