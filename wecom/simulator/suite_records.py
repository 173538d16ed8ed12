"""Records of a provider: its suites, who authorised them, the codes under way (reference §5.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from wecom.simulator.world import Callback


@dataclass
class Suite:
    """A suite of a provider. `tickets` are [text, made at]; `migrated` false: corps' own external_userids are still
    in use until finish_external_userid_migration (§5.3)."""

    suite_id: str
    secret: str
    name: str
    kind: str
    provider: str
    token: str
    aes_key: str
    command_url: str = ""
    data_url: str = ""
    migrated: bool = True
    trusted_ips: list[str] | None = None  # the provider's IP whitelist; None: any address
    tickets: list[list[Any]] = field(default_factory=list)

    @property
    def command(self) -> Callback | None:
        """Where its commands go."""
        return Callback(self.command_url, self.token, self.aes_key) if self.command_url else None


@dataclass
class Authorisation:
    """A corp's consent to a suite. `callback` is the 代开发 app's own receiver, when it has one."""

    suite_id: str
    corpid: str
    agentid: int
    admin: str
    state: str
    callback: dict[str, str] | None = None


@dataclass
class PreAuth:
    """A pre-authorisation code and what set_session_info said about it."""

    code: str
    suite_id: str
    expires_at: float
    session: dict[str, Any] = field(default_factory=dict)


@dataclass
class AuthCode:
    """A code that buys the permanent code, once."""

    code: str
    suite_id: str
    corpid: str
    expires_at: float
    used: bool = False
