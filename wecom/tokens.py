"""Access tokens and JS-SDK tickets: one per app, shared by all processes, fetched by one of them at a time.

WeCom guards gettoken's frequency and bars an address that asks with wrong secrets too often, so (a) who finds no token
takes a lease before asking while the others wait for its result, and (b) a refusal is remembered: a wrong secret for
five seconds, then a minute, then ten; another refusal for a minute. A secret that was changed is another one, of which
nothing is remembered; one that was mended in WeCom is asked again at once when an operator checks the corp.
A token that stopped working is dropped only if it is still the one that failed: a slow process must not throw away the
new token of a quick one.

Redis may lose everything at any time: that costs one gettoken. While Redis is away each process goes on with the last
token that it saw, or fetches one for itself: one gettoken a process, and no failed call."""

import hashlib
import threading
import time
from collections.abc import Callable
from uuid import uuid4

import redis

from wecom import errors
from wecom.policy import error_of
from wecom.store import connection, is_away, note_away

LEASE_SECONDS = 20
"""longer than a gettoken with its timeout; a fetcher that died is replaced after this"""
PATIENCE_SECONDS = 25
POLL_SECONDS = 0.05
REFUSAL_SECONDS = 60
WRONG_SECRET_SECONDS = (5, 60, 600)
"""after the first refusal, one soon after that, and a third. WeCom's first word may be a slip; but an address that goes
on asking with wrong secrets is barred for an hour, and with it every corp of the installation (reference §2.1)"""
WRONG_SECRET = frozenset({40001, 40013, 40091})
MARGIN_SECONDS = 300
"""a token is renewed this long before WeCom says it ends"""
LEAST_SECONDS = 30

_DELETE_IF_SAME = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"

Fetch = Callable[[], tuple[str, int]]
"""asks WeCom: (token, seconds it is good for); raises WeComError"""


class Tokens:
    """The token of one app of one corp, or what is kept like one: `kind` "token", "jsapi", "agent_config"…"""

    def __init__(self, *, api_base: str, corpid: str, secret: str, kind: str = "token") -> None:
        digest = hashlib.sha256(f"{api_base}\n{corpid}\n{secret}".encode()).hexdigest()[:32]
        suffix = "" if kind == "token" else f":{kind}"
        self._token, self._lease, self._refusal, self._refusals = (
            f"wecom:{name}:{digest}{suffix}" for name in ("token", "lease", "refusal", "refusals")
        )
        self._api = "gettoken" if kind == "token" else kind

    def get(self, fetch: Fetch) -> str:
        """A token that was good when it was stored. Raises Misconfigured (bad secret…), Unreachable."""
        if not is_away():
            try:
                return self._shared(fetch)
            except redis.RedisError as trouble:
                note_away(trouble)
        return _own.get(self._token, self._api, lambda: self._fetched(fetch))

    def drop(self, token: str) -> None:
        """Forget this token if it is still the stored one."""
        _own.drop(self._token, token)
        try:
            connection().eval(_DELETE_IF_SAME, 1, self._token, token)
        except redis.RedisError as trouble:  # what comes back with it is dropped by the next call that it fails
            note_away(trouble)

    def forget(self) -> None:
        """Keep nothing of this secret: the app is not ours any more."""
        _own.forget(self._token)
        self._delete(self._token, self._refusal, self._refusals)

    def forget_refusal(self) -> None:
        """Let the next call ask WeCom again, although it refused a moment ago: an operator says it is mended."""
        _own.forget_refusal(self._token)
        self._delete(self._refusal)

    def _delete(self, *keys: str) -> None:
        """Without Redis what is done is done all the same: the keys end by themselves, within two hours at most."""
        try:
            connection().delete(*keys)
        except redis.RedisError as trouble:
            note_away(trouble)

    def _shared(self, fetch: Fetch) -> str:
        store = connection()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            token, refusal = store.mget(self._token, self._refusal)
            if token:
                return _own.seen(self._token, str(token))
            if refusal:
                raise error_of(int(refusal), api=self._api)
            mine = uuid4().hex
            if store.set(self._lease, mine, nx=True, ex=LEASE_SECONDS):
                try:
                    return self._found_or_fetched(store, fetch)
                finally:
                    store.eval(_DELETE_IF_SAME, 1, self._lease, mine)
            time.sleep(POLL_SECONDS)
        raise errors.Unreachable(code="wecom.no_token", api=self._api)

    def _found_or_fetched(self, store: "redis.Redis", fetch: Fetch) -> str:
        token = store.get(self._token)  # stored between our look and our lease
        if token:
            return _own.seen(self._token, str(token))
        try:
            token, life = self._fetched(fetch)
        except errors.Misconfigured as refusal:
            if refusal.errcode is not None:
                store.set(self._refusal, refusal.errcode, ex=self._remembered(store, refusal.errcode))
            raise
        store.set(self._token, token, ex=life)
        store.delete(self._refusals)
        return token

    def _remembered(self, store: "redis.Redis", errcode: int) -> int:
        """For how many seconds this refusal stands for WeCom's answer."""
        if errcode not in WRONG_SECRET:
            return REFUSAL_SECONDS
        times = int(store.incr(self._refusals))
        seconds = WRONG_SECRET_SECONDS[min(times, len(WRONG_SECRET_SECONDS)) - 1]
        store.expire(self._refusals, 2 * max(seconds, REFUSAL_SECONDS))
        return seconds

    def _fetched(self, fetch: Fetch) -> tuple[str, int]:
        """A new token and the seconds to keep it; this process remembers it at once, should Redis go away now."""
        token, seconds = fetch()
        life = max(seconds - MARGIN_SECONDS, LEAST_SECONDS)
        _own.seen(self._token, token, life)
        return token, life


class _Own:
    """The last token of each app that this process saw, for the time without Redis."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[str, float]] = {}
        self._refused: dict[str, tuple[int, float]] = {}
        self._lock = threading.Lock()
        self._fetching = threading.Lock()

    def seen(self, name: str, token: str, life: float = MARGIN_SECONDS) -> str:
        """Remember it; one that is in the store now is good for the margin at least."""
        until = time.monotonic() + life
        with self._lock:
            known, longest = self._kept.get(name, ("", 0.0))
            self._kept[name] = (token, max(until, longest) if known == token else until)
        return token

    def drop(self, name: str, token: str) -> None:
        """Forget it if it is this one."""
        with self._lock:
            if self._kept.get(name, ("", 0.0))[0] == token:
                del self._kept[name]

    def forget(self, name: str) -> None:
        """Forget whatever there is."""
        with self._lock:
            self._kept.pop(name, None)
            self._refused.pop(name, None)

    def forget_refusal(self, name: str) -> None:
        """Let the next call ask again."""
        with self._lock:
            self._refused.pop(name, None)

    def get(self, name: str, api: str, fetch: Callable[[], tuple[str, int]]) -> str:
        """The remembered token, or one more; a refusal is remembered too. Raises WeComError."""
        with self._fetching:
            token, until = self._kept.get(name, ("", 0.0))
            if token and time.monotonic() < until:
                return token
            errcode, until = self._refused.get(name, (0, 0.0))
            if errcode and time.monotonic() < until:
                raise error_of(errcode, api=api)
            try:
                return fetch()[0]
            except errors.Misconfigured as refusal:
                if refusal.errcode is not None:
                    self._refused[name] = (refusal.errcode, time.monotonic() + REFUSAL_SECONDS)
                raise


_own = _Own()
