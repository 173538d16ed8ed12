"""Access tokens (reference §2.1): one per corp and secret, the same until it expires or is withdrawn."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from wecom.simulator.errors import Refused
from wecom.simulator.suite_records import Suite
from wecom.simulator.world import App, Corp

LIFETIME = 7200  # seconds


@dataclass(frozen=True)
class Grant:
    """What a token stands for."""

    corp: Corp
    app: App
    expires_at: float


class Tokens:
    """Tokens are not part of a snapshot: after a restart every old one is unknown (40014), as may happen any time."""

    def __init__(self) -> None:
        self._grants: dict[str, Grant] = {}
        self._current: dict[tuple[str, str], str] = {}
        self._suites: dict[str, tuple[Suite, float]] = {}
        self._providers: dict[str, tuple[str, float]] = {}

    def issue(self, *, corp: Corp, app: App, now: float) -> tuple[str, int]:
        """(token, seconds left): the running token of this corp and secret, or a new one."""
        key = (corp.corpid, app.secret)
        current = self._current.get(key)
        if current is None or self._grants[current].expires_at <= now:
            current = secrets.token_urlsafe(160)[:214]
            self._current[key] = current
            self._grants[current] = Grant(corp, app, now + LIFETIME)
        return current, max(1, int(self._grants[current].expires_at - now))

    def check(self, token: str, *, now: float) -> Grant:
        """What the token stands for. Raises Refused 41001 (none given), 40014 (unknown), 42001 (expired)."""
        if not token:
            raise Refused(41001)
        grant = self._grants.get(token)
        if grant is None:
            raise Refused(40014)
        if grant.expires_at <= now:
            raise Refused(42001)
        return grant

    def issue_suite(self, suite: Suite, *, now: float) -> tuple[str, int]:
        """(suite_access_token, seconds left): the running one, or a new one."""
        for token, (owner, expires_at) in self._suites.items():
            if owner is suite and expires_at > now:
                return token, max(1, int(expires_at - now))
        token = secrets.token_urlsafe(160)[:214]
        self._suites[token] = (suite, now + LIFETIME)
        return token, LIFETIME

    def check_suite(self, token: str, *, now: float) -> Suite:
        """The suite. Raises Refused 41022 (none given), 40082 (unknown, or of another family), 42009 (expired)."""
        if not token:
            raise Refused(41022)
        suite, expires_at = self._suites.get(token, (None, 0.0))
        if suite is None:
            raise Refused(40082)
        if expires_at <= now:
            raise Refused(42009)
        return suite

    def revoke_suite(self, suite: Suite, *, expire: bool, now: float) -> int:
        """Withdraw the suite's tokens early (40082), or let them expire (42009). Returns how many."""
        mine = [token for token, (owner, _) in self._suites.items() if owner is suite]
        for token in mine:
            del self._suites[token]
            if expire:
                self._suites[token] = (suite, now)
        return len(mine)

    def issue_provider(self, provider: str, *, now: float) -> tuple[str, int]:
        """(provider_access_token, seconds left) of a provider's corpid."""
        token = secrets.token_urlsafe(160)[:214]
        self._providers[token] = (provider, now + LIFETIME)
        return token, LIFETIME

    def check_provider(self, token: str, *, now: float) -> str:
        """The provider's corpid. Raises Refused 41001 (none given), 40014 (unknown), 42001 (expired)."""
        if not token:
            raise Refused(41001)
        provider, expires_at = self._providers.get(token, ("", 0.0))
        if not provider:
            raise Refused(40014)
        if expires_at <= now:
            raise Refused(42001)
        return provider

    def revoke(self, *, corpid: str, expire: bool, now: float, secret: str | None = None) -> int:
        """Withdraw the corp's tokens early (40014 from now on), or let them expire (42001). Returns how many.

        `secret`: only those of that app."""
        mine = [
            token
            for token, grant in self._grants.items()
            if grant.corp.corpid == corpid and secret in (None, grant.app.secret)
        ]
        for token in mine:
            grant = self._grants.pop(token)
            if expire:
                self._grants[token] = Grant(grant.corp, grant.app, now)
        self._current = {key: token for key, token in self._current.items() if token not in mine}
        return len(mine)
