"""Frequency and concurrency limits (reference §3.1, §3.2): per corp × API and per IP × API, minute and hour windows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from wecom.simulator.errors import Refused

MINUTE, HOUR = 60, 3600


@dataclass
class Window:
    """Calls counted in the running window, and until when the key is blocked once it went over."""

    started_at: float = 0.0
    used: int = 0
    blocked_until: float = 0.0

    def take(self, *, cap: int, seconds: int, now: float) -> bool:
        """Count a call; False when the key is blocked, for the length of the window that was hit."""
        if now < self.blocked_until:
            return False
        if now - self.started_at >= seconds:
            self.started_at, self.used = now, 0
        if self.used >= cap:
            self.blocked_until = now + seconds
            return False
        self.used += 1
        return True


@dataclass
class Limits:
    """The documented numbers unless set otherwise; `concurrent` 0 means that there is no cap (none is published)."""

    enabled: bool = True
    per_minute: int = 10_000
    per_hour: int = 150_000
    ip_per_minute: int = 20_000
    ip_per_hour: int = 600_000
    concurrent: int = 0
    paths: dict[str, int] = field(default_factory=lambda: {"externalcontact/add_moment_task": 10})
    windows: dict[tuple[str, str, int], Window] = field(default_factory=dict)
    running: Counter[tuple[str, str]] = field(default_factory=Counter)

    def check(self, *, corpid: str, ip: str, path: str, now: float) -> None:
        """Count one call. Raises Refused 45009 over a frequency limit, 45033 over the concurrency cap."""
        if not self.enabled:
            return
        if self.concurrent and self.running[corpid, path] > self.concurrent:
            raise Refused(45033)
        per_minute = min(self.per_minute, self.paths.get(path, self.per_minute))
        for key, seconds, cap in (
            (corpid, MINUTE, per_minute),
            (corpid, HOUR, self.per_hour),
            (f"ip:{ip}", MINUTE, self.ip_per_minute),
            (f"ip:{ip}", HOUR, self.ip_per_hour),
        ):
            window = self.windows.setdefault((key, path, seconds), Window(started_at=now))
            if not window.take(cap=cap, seconds=seconds, now=now):
                raise Refused(45009)

    def configure(self, *, numbers: dict[str, int], paths: dict[str, int], enabled: bool | None) -> None:
        """Set limits by name and forget what was counted. Raises ValueError for an unknown name."""
        for name, value in numbers.items():
            if name not in {"per_minute", "per_hour", "ip_per_minute", "ip_per_hour", "concurrent"}:
                raise ValueError(f"unknown limit {name}")
            setattr(self, name, int(value))
        self.paths.update({path: int(value) for path, value in paths.items()})
        if enabled is not None:
            self.enabled = enabled
        self.windows.clear()

    def describe(self) -> dict[str, object]:
        """The limits in force."""
        return {
            "enabled": self.enabled,
            "per_minute": self.per_minute,
            "per_hour": self.per_hour,
            "ip_per_minute": self.ip_per_minute,
            "ip_per_hour": self.ip_per_hour,
            "concurrent": self.concurrent,
            "paths": dict(self.paths),
        }
