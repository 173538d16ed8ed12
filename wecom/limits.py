"""Calls per corp and API, and per outgoing address and API, shared by all processes (reference §3).

Two stages, one Lua script:

1. **The corp's own limits.** Smooth limits of the GCRA kind: a key holds the moment at which the bucket is empty again.
   A caller that must wait a moment books its turn and sleeps until then, so nobody asks twice and no turn is lost.
2. **The address's limits**, which all brands of an installation share. Turns go to the corps in max-min fair order
   (start-time fair queueing): who waits is in a queue, and the corp that had least goes first. A flood of one brand
   takes what the others leave, never more.

A call waits up to two seconds at each stage; a longer wait is a Throttled, so that a worker can do other work.

While Redis is away each process keeps to a tenth of the corp's limits on its own."""

import math
import threading
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import uuid4

import redis
from django.conf import settings

from wecom import parallel
from wecom.errors import Throttled
from wecom.policy import policy_of
from wecom.store import connection, is_away, note_away

PATIENCE_SECONDS = 2.0
FREQUENCY_LIMIT = 45009
BLOCKS = (60, 600, 3600)
"""seconds that an API of a corp rests after a 45009, after one soon after that rest, and after a third: WeCom blocks
for the window that was hit, a minute or an hour, and does not say which"""
ALONE_SHARE = 10
GO, WAIT, REFUSED = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Rate:
    """`calls` in `seconds` on the long run, and up to `burst` of them at once."""

    calls: float
    seconds: int
    burst: float

    @property
    def step(self) -> float:
        """Microseconds between two calls on the long run."""
        return self.seconds * 1e6 / self.calls


def within(limit: int, seconds: int, *, burst: float = 0.02, slack: float = 0.03) -> Rate:
    """The rate that stays below `limit` calls in every window of so many seconds, whenever the window begins.

    `burst` of the limit may come at once; `slack` of it stays unused, for calls that travel longer than others."""
    at_once = max(1.0, limit * burst)
    return Rate(max(limit * (1 - slack) - at_once, limit / 2), seconds, at_once)


SPECIAL: dict[str, tuple[Rate, ...]] = {
    "message/send": (),  # not counted by WeCom, nor is the log-in
    "auth/getuserinfo": (),
    "externalcontact/add_moment_task": (Rate(5, 60, 5),),  # 10 a minute
    "media/uploadimg": (within(1000, 86_400, burst=0.3), within(3000, 2_592_000, burst=0.3)),
    "media/upload": (within(5000, 60),),
    "get_jsapi_ticket": (within(400, 3600, burst=0.2),),
    "ticket/get": (within(100, 3600, burst=0.2),),
    "idconvert/unionid_to_external_userid": (within(10_000, 60), within(100_000, 3600), within(480_000, 86_400)),
}
"""limits of single APIs (reference §3.2) in place of a corp's usual ones"""

# KEYS: block, the corp's buckets, the address's buckets, places (wecom.parallel), waiters, shares.
# ARGV: now in microseconds ("": the server's clock), flow, ticket, patience in microseconds, whether the corp's turn is
# booked already, how many buckets each of the two has, then step and burst of every bucket in microseconds.
# Returns {verdict, microseconds}. REFUSED: nothing was taken. After GO the number is 1 if calls need a place, else 0.
_TAKE = """
local now = tonumber(ARGV[1])
if not now then
  local t = redis.call('time')
  now = t[1] * 1000000 + t[2]
end
local flow, me, patience, booked = ARGV[2], ARGV[2] .. '|' .. ARGV[3], tonumber(ARGV[4]), ARGV[5] == '1'
local corps, shared = tonumber(ARGV[6]), tonumber(ARGV[7])
local waiters, shares = KEYS[#KEYS - 1], KEYS[#KEYS]

-- A moment further ahead than any turn can be booked was written by a clock that was wrong: the bucket is empty.
local function full_after(i, calls)
  local step, burst = tonumber(ARGV[6 + 2 * i]), tonumber(ARGV[7 + 2 * i])
  local full = math.max(tonumber(redis.call('get', KEYS[1 + i]) or now), now)
  if full - now > burst + 2 * step + 60000000 then full = now end
  return full + calls * step
end
local function wait_for(i, calls)
  return full_after(i, calls) - tonumber(ARGV[7 + 2 * i]) - now
end
local function take(first, last)
  for i = first, last do
    local full = full_after(i, 1)
    redis.call('set', KEYS[1 + i], string.format('%.0f', full), 'px', math.ceil((full - now) / 1000) + 1000)
  end
end

local blocked = redis.call('pttl', KEYS[1])
if blocked > 0 then
  redis.call('zrem', waiters, me)
  return {2, blocked * 1000}
end

if not booked then
  local wait = 0
  for i = 1, corps do wait = math.max(wait, wait_for(i, 1)) end
  if wait > patience then return {2, math.ceil(wait)} end
  if wait > 0 then
    take(1, corps)
    return {1, math.ceil(wait)}
  end
end
if shared == 0 then
  if not booked then take(1, corps) end
  return {0, 0}
end

redis.call('zremrangebyscore', waiters, '-inf', now)
local queue = redis.call('zrange', waiters, 0, -1)
local tags, virtual, mine, ahead = {}, 0, nil, 0
if #queue > 0 then
  local flat = redis.call('hgetall', shares)
  for i = 1, #flat, 2 do tags[flat[i]] = tonumber(flat[i + 1]) end
  virtual = tags['|'] or 0
  local next_of, order = {}, {}
  for place, member in ipairs(queue) do
    local whose = string.match(member, '^(.*)|')
    local tag = next_of[whose] or math.max(virtual, tags[whose] or 0)
    next_of[whose] = tag + 1
    order[place] = tag
    if member == me then mine = place end
  end
  local tag = mine and order[mine] or next_of[flow] or math.max(virtual, tags[flow] or 0)
  for place, other in ipairs(order) do
    if place ~= mine and (other < tag or (other == tag and (not mine or place < mine))) then ahead = ahead + 1 end
  end
end

local wait = 0
for i = corps + 1, corps + shared do wait = math.max(wait, wait_for(i, ahead + 1)) end
if wait > patience then
  redis.call('zrem', waiters, me)
  return {2, math.ceil(wait)}
end
if not booked then take(1, corps) end
if wait > 0 then
  if not mine then redis.call('zadd', waiters, now + patience + 100000, me) end
  redis.call('pexpire', waiters, 60000)
  return {1, math.ceil(wait)}
end
take(corps + 1, corps + shared)
redis.call('zrem', waiters, me)
if #queue > (mine and 1 or 0) then
  local start = math.max(virtual, tags[flow] or 0)
  for whose, tag in pairs(tags) do
    if tag <= start and whose ~= flow then redis.call('hdel', shares, whose) end
  end
  redis.call('hset', shares, '|', start, flow, start + 1)
  redis.call('pexpire', shares, 60000)
end
return {0, redis.call('exists', KEYS[#KEYS - 2])}
"""

# KEYS: block, strikes. ARGV: the rests in milliseconds. A strike is forgotten when as long as the rest went well after.
_BLOCK = """
local strikes = tonumber(redis.call('get', KEYS[2]) or 0)
if redis.call('pttl', KEYS[1]) > 0 then return 0 end
strikes = math.min(strikes + 1, #ARGV)
local rest = tonumber(ARGV[strikes])
redis.call('set', KEYS[1], 1, 'px', rest)
redis.call('set', KEYS[2], strikes, 'px', 2 * rest)
return rest
"""


@dataclass(frozen=True, slots=True)
class Request:
    """Who wants to call what: `scope` is API base and corpid, `provider` whether the app is a provider's."""

    scope: str
    api: str
    provider: bool = False

    @property
    def own(self) -> tuple[Rate, ...]:
        """What WeCom allows the corp."""
        return SPECIAL.get(self.api, rates(settings.WECOM_CORP_LIMITS))

    @property
    def common(self) -> tuple[Rate, ...]:
        """What WeCom allows the address; nothing for calls that WeCom does not count."""
        if not self.own:
            return ()
        return rates(settings.WECOM_PROVIDER_LIMITS if self.provider else settings.WECOM_IP_LIMITS)

    @property
    def keys(self) -> list[str]:
        """As the script wants them."""
        address = f"{settings.WECOM_EGRESS}{':provider' if self.provider else ''}:{self.api}"
        return [
            f"wecom:blocked:{self.scope}:{self.api}",
            *(f"wecom:rate:{self.scope}:{self.api}:{rate.seconds}" for rate in self.own),
            *(f"wecom:address:{address}:{rate.seconds}" for rate in self.common),
            parallel.places(scope=self.scope, api=self.api),
            f"wecom:waiters:{address}",
            f"wecom:shares:{address}",
        ]


@lru_cache(maxsize=64)
def rates(limits: str) -> tuple[Rate, ...]:
    """Rates below limits written as "calls/seconds,…": "10000/60,150000/3600"; "" is no limit. Raises ValueError."""
    pairs = [tuple(map(int, each.split("/"))) for each in limits.split(",") if each.strip()]
    # An hour's limit leaves room for more at once: a quarter of an hour at full speed uses it up.
    return tuple(within(calls, seconds, burst=0.06 if seconds >= 3600 else 0.02) for calls, seconds in pairs)


def take(*, scope: str, api: str, provider: bool = False) -> bool:
    """Take one call of `api` for `scope`, waiting up to two seconds for the corp's turn and as long for the address's.

    Whether it needs one of the few places for calls under way, too (`wecom.parallel`). Raises Throttled; then nothing
    was taken."""
    request = Request(scope, api, provider)
    if not is_away():
        try:
            return _take_shared(request)
        except redis.RedisError as trouble:
            note_away(trouble)
    _alone.take(request)
    return False


def _take_shared(request: Request) -> bool:
    ticket, booked, deadline = uuid4().hex, False, time.monotonic() + PATIENCE_SECONDS
    while True:
        verdict, wait = ask(request, ticket=ticket, patience=deadline - time.monotonic(), booked=booked)
        if verdict == GO:
            return wait > 0
        if verdict == REFUSED:
            raise throttled(request.api, wait)
        if not booked:
            booked, deadline = True, time.monotonic() + wait + PATIENCE_SECONDS
        time.sleep(wait)


def ask(
    request: Request, *, ticket: str, patience: float, booked: bool = False, now: float | None = None
) -> tuple[int, float]:
    """One question to the script: (GO, WAIT or REFUSED, seconds). After WAIT ask again with `booked`, same ticket.
    After GO a number above zero says that the call needs a place (`wecom.parallel`).

    `patience` in seconds; `now` in seconds, the server's clock when None. Raises redis.RedisError."""
    own, common = request.own, request.common
    arguments: list[Any] = [
        "" if now is None else round(now * 1e6),
        request.scope,
        ticket,
        max(0, round(patience * 1e6)),
        int(booked),
        len(own),
        len(common),
        *(number for rate in (*own, *common) for number in (rate.step, rate.burst * rate.step)),
    ]
    store = connection()
    verdict, microseconds = _script(store, _TAKE)(keys=request.keys, args=arguments, client=store)
    return int(verdict), int(microseconds) / 1e6


def block(*, scope: str, api: str) -> float:
    """WeCom refused by frequency: nobody calls this API for the corp for a while. Returns the seconds, 0 when it rests
    already. Without Redis every process finds out for itself."""
    store = connection()
    keys = [f"wecom:blocked:{scope}:{api}", f"wecom:strikes:{scope}:{api}"]
    try:
        return int(_script(store, _BLOCK)(keys=keys, args=[rest * 1000 for rest in BLOCKS], client=store)) / 1000
    except redis.RedisError as trouble:
        note_away(trouble)
        _alone.block(scope, api, BLOCKS[0])
        return BLOCKS[0]


def throttled(api: str, wait: float) -> Throttled:
    """The refusal of our own limiter."""
    policy = policy_of(FREQUENCY_LIMIT)
    return Throttled(policy.detail, retry_after=wait, remedy=policy.remedy, api=api)


@lru_cache(maxsize=8)
def _script(store: "redis.Redis", text: str) -> Any:
    """The script by its hash: its text travels once, and again to a server that has lost it."""
    return store.register_script(text)


class _Alone:
    """What one process allows itself while nobody can count for all."""

    def __init__(self) -> None:
        self._full: dict[tuple[str, str, int], float] = {}
        self._rests: dict[tuple[str, str], float] = {}
        self._lock = threading.Lock()

    def take(self, request: Request) -> None:
        """Take a call of this process's share, without waiting. Raises Throttled."""
        now = time.monotonic()
        with self._lock:
            if (rest := self._rests.get((request.scope, request.api), 0.0) - now) > 0:
                raise throttled(request.api, rest)
            full = {}
            for rate in request.own:
                key = (request.scope, request.api, rate.seconds)
                step = rate.step * ALONE_SHARE / 1e6
                full[key] = max(self._full.get(key, now), now) + step
                burst = math.ceil(rate.burst / ALONE_SHARE) * step
                if (wait := full[key] - burst - now) > 0:
                    raise throttled(request.api, wait)
            self._full.update(full)

    def block(self, scope: str, api: str, seconds: float) -> None:
        """Let an API rest."""
        with self._lock:
            self._rests[scope, api] = time.monotonic() + seconds


_alone = _Alone()
