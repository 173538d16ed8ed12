"""Calls per corp and API, shared by all processes, a little below what WeCom allows (reference §3).

Two smooth limits (per minute, per hour) of the GCRA kind: the key holds the moment at which the bucket is empty again.
A call that would wait a moment waits; a longer wait is a Throttled, so that a worker can do other work."""

import time
from dataclasses import dataclass

from wecom.errors import Throttled
from wecom.policy import policy_of
from wecom.store import connection

PATIENCE_SECONDS = 2.0
FREQUENCY_LIMIT = 45009


@dataclass(frozen=True, slots=True)
class Rate:
    """`calls` in `seconds` on the long run, and up to `burst` of them at once."""

    calls: int
    seconds: int
    burst: int


# WeCom: 10,000 a minute and 150,000 an hour. Rate and burst together stay below in every window.
USUAL = (Rate(9_000, 60, 900), Rate(135_000, 3600, 12_000))
SPECIAL: dict[str, tuple[Rate, ...]] = {
    "externalcontact/add_moment_task": (Rate(5, 60, 5),),  # 10 a minute
    "message/send": (),  # not counted by WeCom
}

# KEYS: one per rate, then the block. ARGV: per rate the seconds between calls and the burst, as seconds.
# Returns -1 when taken, else the microseconds to wait; nothing is taken then.
_TAKE = """
local t = redis.call('time')
local now = t[1] * 1000000 + t[2]
local blocked = redis.call('pttl', KEYS[#KEYS])
if blocked > 0 then return blocked * 1000 end
local wait = 0
local ends = {}
for i = 1, #KEYS - 1 do
  local step, burst = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local full = math.max(tonumber(redis.call('get', KEYS[i]) or now), now) + step
  ends[i] = full
  wait = math.max(wait, full - burst - now)
end
if wait > 0 then return math.ceil(wait) end
for i = 1, #KEYS - 1 do
  redis.call('set', KEYS[i], string.format('%.0f', ends[i]), 'px', math.ceil((ends[i] - now) / 1000) + 1000)
end
return -1
"""


def take(*, scope: str, api: str) -> None:
    """Take one call of `api` for `scope` (API base and corpid), waiting up to two seconds for it. Raises Throttled."""
    rates = SPECIAL.get(api, USUAL)
    keys = [f"wecom:rate:{scope}:{api}:{rate.seconds}" for rate in rates] + [_block_key(scope, api)]
    arguments = [
        number
        for rate in rates
        for number in (rate.seconds * 1_000_000 / rate.calls, rate.burst * rate.seconds * 1_000_000 / rate.calls)
    ]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        wait = int(connection().eval(_TAKE, len(keys), *keys, *arguments)) / 1e6
        if wait < 0:
            return
        if time.monotonic() + wait > deadline:
            policy = policy_of(FREQUENCY_LIMIT)
            raise Throttled(policy.detail, retry_after=wait, remedy=policy.remedy, api=api)
        time.sleep(wait)


def block(*, scope: str, api: str, seconds: float) -> None:
    """WeCom refused by frequency: nobody calls this API for the corp for so long."""
    connection().set(_block_key(scope, api), 1, px=int(seconds * 1000))


def _block_key(scope: str, api: str) -> str:
    return f"wecom:blocked:{scope}:{api}"
