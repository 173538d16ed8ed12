"""Access tokens: one per corp and secret, shared by all processes, fetched by one of them at a time.

WeCom guards gettoken's frequency and bars an address that asks with wrong secrets too often, so (a) who finds no token
takes a lease before asking while the others wait for its result, and (b) a refusal is remembered for a minute.
A token that stopped working is dropped only if it is still the one that failed: a slow process must not throw away the
new token of a quick one. Losing Redis costs one gettoken."""

import hashlib
import time
from collections.abc import Callable
from uuid import uuid4

from wecom import errors
from wecom.policy import error_of
from wecom.store import connection

LEASE_SECONDS = 20
"""longer than a gettoken with its timeout; a fetcher that died is replaced after this"""
PATIENCE_SECONDS = 25
POLL_SECONDS = 0.05
REFUSAL_SECONDS = 60
MARGIN_SECONDS = 300
"""a token is renewed this long before WeCom says it ends"""

_DELETE_IF_SAME = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"

Fetch = Callable[[], tuple[str, int]]
"""asks WeCom: (token, seconds it is good for); raises WeComError"""


class Tokens:
    """The token of one app of one corp."""

    def __init__(self, *, api_base: str, corpid: str, secret: str) -> None:
        digest = hashlib.sha256(f"{api_base}\n{corpid}\n{secret}".encode()).hexdigest()[:32]
        self._token, self._lease, self._refusal = (f"wecom:{kind}:{digest}" for kind in ("token", "lease", "refusal"))

    def get(self, fetch: Fetch) -> str:
        """A token that was good when it was stored. Raises Misconfigured (bad secret…), Unreachable."""
        store = connection()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            token, refusal = store.mget(self._token, self._refusal)
            if token:
                return str(token)
            if refusal:
                raise error_of(int(refusal), api="gettoken")
            mine = uuid4().hex
            if store.set(self._lease, mine, nx=True, ex=LEASE_SECONDS):
                try:
                    return self._fetch(fetch)
                finally:
                    store.eval(_DELETE_IF_SAME, 1, self._lease, mine)
            time.sleep(POLL_SECONDS)
        raise errors.Unreachable(code="wecom.no_token", api="gettoken")

    def drop(self, token: str) -> None:
        """Forget this token if it is still the stored one."""
        connection().eval(_DELETE_IF_SAME, 1, self._token, token)

    def forget_refusal(self) -> None:
        """Let the next call ask WeCom again, although it refused a moment ago: an operator says it is mended."""
        connection().delete(self._refusal)

    def _fetch(self, fetch: Fetch) -> str:
        store = connection()
        token = store.get(self._token)  # stored between our look and our lease
        if token:
            return str(token)
        try:
            token, seconds = fetch()
        except errors.Misconfigured as refusal:
            if refusal.errcode is not None:
                store.set(self._refusal, refusal.errcode, ex=REFUSAL_SECONDS)
            raise
        store.set(self._token, token, ex=max(seconds - MARGIN_SECONDS, 30))
        return token
