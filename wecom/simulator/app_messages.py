"""Messages of apps to members (reference §18), as members have them; not part of a snapshot."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from wecom.simulator.world import Corp


@dataclass
class AppMessage:
    """A message of an app as members have it. `updates` are what later calls changed, per member."""

    msgid: str
    corpid: str
    agentid: int
    kind: str
    part: dict[str, Any]
    sent_at: int
    receivers: list[str]
    dropped: list[str]
    response_code: str = ""
    recalled_at: int = 0
    updates: dict[str, dict[str, Any]] = field(default_factory=dict)


class AppMessages:
    """Messages, response codes (each good once, for 72 hours) and what was said lately (for the duplicate check)."""

    def __init__(self) -> None:
        self.messages: dict[str, AppMessage] = {}
        self.codes: dict[str, tuple[str, int]] = {}  # response_code → (msgid, made at)
        self.task_ids: set[tuple[str, int, str]] = set()
        self.said: dict[tuple[str, int, str, str], int] = {}  # (corp, app, member, fingerprint) → until when

    def new_code(self, corp: Corp, message: AppMessage, *, now: int) -> str:
        """A response_code for the card."""
        code = corp.new_id("", 43)
        self.codes[code] = (message.msgid, now)
        return code
