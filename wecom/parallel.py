"""How many calls of one API of a corp are under way at a time, over all processes: as many as WeCom bears.

WeCom refuses calls above a number that it does not publish (45033; reference §3.1), to be tried with fewer at a time.
A fixed number of ours would be a guess: one too low costs speed all day (five at a time of 150 ms each are 33 calls a
second, WeCom's minute allows 166), one too high helps nobody. So there is none until WeCom refuses for the first time.
From then on the calls of this API of this corp share a few places in Redis: each refusal takes places away, each quiet
minute adds one, but none above the number that was refused within the last half hour. An API that was not refused pays
nothing for it: whether there are places is told by the script that takes the call's turn (`limits.take`).

Who is killed holds a place until its lease ends. Without Redis everybody calls as they like, and tries again."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any
from uuid import uuid4

import redis

from wecom.errors import Throttled
from wecom.policy import policy_of
from wecom.store import connection, is_away, note_away

REFUSED = 45033
PATIENCE_SECONDS = 5.0
BEGIN = 8
"""places after the first refusal; four threads of a worker call at a time"""
MOST = 32
"""when so many are borne again there is no limit any more"""
QUIET_SECONDS = 60
MEMORY_SECONDS = 1800
KEPT_SECONDS = 6 * 3600

# KEYS: places, under way. ARGV: ticket, lease, quiet, kept in milliseconds, most.
# Returns 1: go, the place is taken; 0: go, there is no limit; -1: all places are taken.
_ENTER = """
local t = redis.call('time')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local cap, at, ceiling, till = unpack(redis.call('hmget', KEYS[1], 'cap', 'at', 'ceiling', 'till'))
if not cap then return 0 end
cap, at = tonumber(cap), math.min(tonumber(at), now)
local more = math.floor((now - at) / tonumber(ARGV[3]))
if more > 0 then
  cap, at = cap + more, at + more * tonumber(ARGV[3])
  if ceiling and now < tonumber(till) then cap = math.max(1, math.min(cap, tonumber(ceiling) - 1)) end
  if cap > tonumber(ARGV[5]) then
    redis.call('del', KEYS[1], KEYS[2])
    return 0
  end
  redis.call('hset', KEYS[1], 'cap', cap, 'at', string.format('%.0f', at))
end
redis.call('pexpire', KEYS[1], ARGV[4])
redis.call('zremrangebyscore', KEYS[2], '-inf', now)
redis.call('zremrangebyscore', KEYS[2], string.format('%.0f', now + 600000), '+inf')  -- by a clock that was wrong
if redis.call('zcard', KEYS[2]) >= cap then return -1 end
redis.call('zadd', KEYS[2], now + tonumber(ARGV[2]), ARGV[1])
if redis.call('pttl', KEYS[2]) < tonumber(ARGV[2]) then redis.call('pexpire', KEYS[2], ARGV[2]) end
return 1
"""

# KEYS: places. ARGV: for how many milliseconds the refused call was under way, begin, memory, kept in milliseconds.
# A call that began before places were taken away last says nothing about those that are left. Returns the places.
_NARROW = """
local t = redis.call('time')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local cap, at = unpack(redis.call('hmget', KEYS[1], 'cap', 'at'))
if cap and now - tonumber(ARGV[1]) <= tonumber(at) then return tonumber(cap) end
local now_text = string.format('%.0f', now)
if cap then
  redis.call('hset', KEYS[1], 'ceiling', cap, 'till', string.format('%.0f', now + tonumber(ARGV[3])))
  cap = math.max(1, math.floor(tonumber(cap) * 0.7))
else
  cap = tonumber(ARGV[2])
end
redis.call('hset', KEYS[1], 'cap', cap, 'at', now_text)
redis.call('pexpire', KEYS[1], ARGV[4])
return cap
"""


def places(*, scope: str, api: str) -> str:
    """The key that there is only while the calls of this API share places."""
    return f"wecom:places:{scope}:{api}"


@contextmanager
def place(*, scope: str, api: str, lease: float) -> Iterator[None]:
    """Call inside. Waits up to five seconds for one of the places; gives it back, or loses it after `lease` seconds.

    Raises Throttled; then nothing was taken."""
    keys = [places(scope=scope, api=api), f"wecom:flying:{scope}:{api}"]
    ticket = uuid4().hex
    is_ours = _enter(keys, ticket, api, lease)
    try:
        yield
    finally:
        if is_ours:
            _leave(keys[1], ticket)


def narrow(*, scope: str, api: str, flown: float) -> int:
    """WeCom refused a call that was under way for `flown` seconds: fewer at a time from now on. How many; 0 unknown."""
    store = connection()
    numbers = [round(flown * 1000), BEGIN, MEMORY_SECONDS * 1000, KEPT_SECONDS * 1000]
    try:
        return int(_script(store, _NARROW)(keys=[places(scope=scope, api=api)], args=numbers, client=store))
    except redis.RedisError as trouble:
        note_away(trouble)
        return 0


def _enter(keys: list[str], ticket: str, api: str, lease: float) -> bool:
    """Whether a place was taken; False: none is needed."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    arguments: list[Any] = [ticket, round(lease * 1000), QUIET_SECONDS * 1000, KEPT_SECONDS * 1000, MOST]
    while not is_away():
        store = connection()
        try:
            verdict = int(_script(store, _ENTER)(keys=keys, args=arguments, client=store))
        except redis.RedisError as trouble:
            note_away(trouble)
            return False
        if verdict >= 0:
            return bool(verdict)
        if time.monotonic() > deadline:
            policy = policy_of(REFUSED)
            raise Throttled(policy.detail, retry_after=policy.wait, remedy=policy.remedy, code=policy.code, api=api)
        time.sleep(random.uniform(0.01, 0.04))
    return False


def _leave(key: str, ticket: str) -> None:
    try:
        connection().zrem(key, ticket)
    except redis.RedisError as trouble:  # its lease ends
        note_away(trouble)


@lru_cache(maxsize=8)
def _script(store: "redis.Redis", text: str) -> Any:
    return store.register_script(text)
