"""Frequency and concurrency limits (reference §3.1, §3.2): per corp × API, per IP × API, and those of single calls."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from wecom.simulator.errors import Refused
from wecom.simulator.quota import SHANGHAI

MINUTE, HOUR, DAY, MONTH = 60, 3600, 86_400, 30 * 86_400
WINDOWS = {"minute": MINUTE, "hour": HOUR, "day": DAY, "month": MONTH}
DEBUG_PER_MINUTE = 5
SCOPES = ("corp", "app")


@dataclass
class Window:
    """Calls counted in the running window, and until when the key is blocked once it went over."""

    started_at: float = 0.0
    used: int = 0
    blocked_until: float = 0.0

    def take(self, *, cap: int, seconds: int, now: float) -> bool:
        """Count a call; False when the key is blocked, for the length of the window that was hit (a day's: for the rest
        of the natural day)."""
        if now < self.blocked_until:
            return False
        if now - self.started_at >= seconds or (seconds == DAY and _day(now) != _day(self.started_at)):
            self.started_at, self.used = now, 0
        if self.used >= cap:
            self.blocked_until = _midnight(now) if seconds == DAY else now + seconds
            return False
        self.used += 1
        return True


@dataclass(frozen=True)
class Rule:
    """A limit of one call: `cap` per `window` for each corp or each app."""

    path: str
    scope: str
    window: str
    cap: int


RULES = [
    Rule("externalcontact/add_moment_task", "corp", "minute", 10),
    Rule("externalcontact/add_moment_task", "corp", "month", 100_000),
    Rule("get_jsapi_ticket", "corp", "hour", 400),
    Rule("ticket/get", "app", "hour", 100),
    Rule("media/uploadimg", "corp", "day", 1000),
    Rule("media/uploadimg", "corp", "month", 3000),
    Rule("idconvert/unionid_to_external_userid", "corp", "hour", 100_000),
    Rule("idconvert/unionid_to_external_userid", "corp", "day", 480_000),
    Rule("idconvert/unionid_to_external_userid", "corp", "month", 7_500_000),
    Rule("service/externalcontact/unionid_to_external_userid_3rd", "app", "hour", 50_000),
    Rule("service/externalcontact/unionid_to_external_userid_3rd", "app", "day", 240_000),
]

NUMBERS = frozenset(
    {
        "per_minute",
        "per_hour",
        "ip_per_minute",
        "ip_per_hour",
        "provider_ip_per_minute",
        "provider_ip_per_hour",
        "concurrent",
        "gettoken_per_minute",
        "wrong_secrets",
        "member_per_minute",
        "member_per_hour",
        "account_cap",
    }
)


@dataclass
class Limits:
    """The documented numbers unless set otherwise; 0 means that there is none where no number is published:
    `concurrent`, `gettoken_per_minute`. `wrong_secrets` in an hour from one address ban it from gettoken for an hour;
    `member_per_*` are messages of one app to one member; `account_cap` × 200 messages per app and day."""

    enabled: bool = True
    per_minute: int = 10_000
    per_hour: int = 150_000
    ip_per_minute: int = 20_000
    ip_per_hour: int = 600_000
    provider_ip_per_minute: int = 40_000
    provider_ip_per_hour: int = 1_200_000
    concurrent: int = 0
    gettoken_per_minute: int = 0
    wrong_secrets: int = 100
    member_per_minute: int = 30
    member_per_hour: int = 1000
    account_cap: int = 10_000
    paths: dict[str, int] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=lambda: list(RULES))
    windows: dict[tuple[str, str, int], Window] = field(default_factory=dict)
    running: Counter[tuple[str, str]] = field(default_factory=Counter)

    def check(self, *, corpid: str, app: str, ip: str, path: str, now: float, provider: bool = False) -> None:
        """Count one call. Raises Refused 45009 over a frequency limit, 45033 over the concurrency cap."""
        if not self.enabled:
            return
        if self.concurrent and self.running[corpid, path] > self.concurrent:
            raise Refused(45033)
        ip_minute = self.provider_ip_per_minute if provider else self.ip_per_minute
        ip_hour = self.provider_ip_per_hour if provider else self.ip_per_hour
        caps = [
            (corpid, MINUTE, min(self.per_minute, self.paths.get(path, self.per_minute))),
            (corpid, HOUR, self.per_hour),
            (f"ip:{ip}", MINUTE, ip_minute),
            (f"ip:{ip}", HOUR, ip_hour),
        ]
        for rule in self.rules:
            if rule.path == path:
                owner = app if rule.scope == "app" else corpid
                caps.append((f"{rule.scope}:{owner}", WINDOWS[rule.window], rule.cap))
        for key, seconds, cap in caps:
            if not self._take(key, path, seconds, cap, now):
                raise Refused(45009)

    def check_debug(self, *, corpid: str, path: str, now: float) -> None:
        """Count a call with debug=1. Raises Refused 45009 above five a minute."""
        if self.enabled and not self._take(corpid, f"debug:{path}", MINUTE, DEBUG_PER_MINUTE, now):
            raise Refused(45009)

    def check_gettoken(self, *, corpid: str, ip: str, now: float) -> None:
        """Count a gettoken. Raises Refused 45009 when it comes too often, or from an address that guessed secrets."""
        if not self.enabled:
            return
        if self.windows.get((f"ip:{ip}", "wrong_secret", HOUR), Window()).blocked_until > now:
            raise Refused(45009)
        cap = self.gettoken_per_minute
        if cap and not self._take(corpid, "gettoken", MINUTE, cap, now):
            raise Refused(45009)

    def wrong_secret(self, *, ip: str, now: float) -> None:
        """Note a wrong secret; too many ban the address for an hour."""
        if self.enabled and not self._take(f"ip:{ip}", "wrong_secret", HOUR, max(0, self.wrong_secrets - 1), now):
            raise Refused(45009)

    def message(self, *, app: str, userid: str, now: float) -> bool:
        """Count an application message to a member; False: it is dropped silently."""
        if not self.enabled:
            return True
        key = f"{app}:{userid}"
        return self._take(key, "to_member", MINUTE, self.member_per_minute, now, block=False) and self._take(
            key, "to_member", HOUR, self.member_per_hour, now, block=False
        )

    def person_times(self, *, app: str, count: int, now: float) -> None:
        """Count messages of an app. Raises Refused 45009 above the account cap × 200 of the day."""
        if not self.enabled:
            return
        window = self.windows.setdefault((app, "message/send", DAY), Window(started_at=now))
        if _day(window.started_at) != _day(now):
            window.started_at, window.used = now, 0
        if window.used + count > self.account_cap * 200:
            raise Refused(45009)
        window.used += count

    def _take(self, key: str, path: str, seconds: int, cap: int, now: float, *, block: bool = True) -> bool:
        window = self.windows.setdefault((key, path, seconds), Window(started_at=now))
        taken = window.take(cap=cap, seconds=seconds, now=now)
        if not block:
            window.blocked_until = 0.0
        return taken

    def configure(
        self,
        *,
        numbers: dict[str, Any],
        paths: dict[str, int],
        enabled: bool | None,
        rules: list[dict[str, Any]] | None = None,
    ) -> None:
        """Set limits by name and forget what was counted. A rule replaces the one of its path, scope and window.

        Raises ValueError, TypeError or KeyError for what makes no sense."""
        if not isinstance(paths, dict) or enabled not in (None, True, False):
            raise ValueError("paths must be an object, enabled true or false")
        made = [Rule(**{**rule, "cap": int(rule["cap"])}) for rule in rules or []]
        for rule in made:
            if rule.scope not in SCOPES or rule.window not in WINDOWS:
                raise ValueError(f"scope must be of {', '.join(SCOPES)}, window of {', '.join(WINDOWS)}")
        for name in numbers:
            if name not in NUMBERS:
                raise ValueError(f"unknown limit {name}")
        for name, value in numbers.items():
            setattr(self, name, int(value))
        self.paths.update({path: int(value) for path, value in paths.items()})
        replaced = {(rule.path, rule.scope, rule.window) for rule in made}
        replaced |= {(path, "corp", "minute") for path in paths}
        self.rules = [rule for rule in self.rules if (rule.path, rule.scope, rule.window) not in replaced] + made
        if enabled is not None:
            self.enabled = enabled
        self.windows.clear()

    def describe(self) -> dict[str, object]:
        """The limits in force."""
        return {
            "enabled": self.enabled,
            **{name: getattr(self, name) for name in sorted(NUMBERS)},
            "paths": dict(self.paths),
            "rules": [asdict(rule) for rule in self.rules],
        }


def _day(at: float) -> dt.date:
    return dt.datetime.fromtimestamp(at, SHANGHAI).date()


def _midnight(now: float) -> float:
    """The end of the natural day in UTC+8."""
    following = dt.datetime.combine(_day(now) + dt.timedelta(days=1), dt.time(), SHANGHAI)
    return following.timestamp()
