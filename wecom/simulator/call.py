"""One call of WeCom's API as it came in: who calls, its parameters, and its place in a list (reference §1)."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from wecom.simulator.engine import Engine
from wecom.simulator.errors import Refused
from wecom.simulator.suite_records import Suite
from wecom.simulator.world import App, Corp, Follow, Member

Body = dict[str, Any]
Item = TypeVar("Item")

CORP, SUITE, PROVIDER = "access_token", "suite_access_token", "provider_access_token"  # families and query names
CURSOR_SECONDS = 1800
INTEGER = re.compile(r"-?[0-9]{1,19}")  # what fits into 64 bits


@dataclass(frozen=True)
class Upload:
    """The `media` part of a multipart call."""

    filename: str
    content: bytes


@dataclass(frozen=True)
class Binary:
    """An answer that is a file instead of JSON."""

    filename: str
    content: bytes
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True)
class Endpoint:
    """A path below /cgi-bin/. `empty` are its defaults in a failure; `kinds` the apps that may call it; `family` the
    kind of token it wants; `plain_ids`: it converts ids itself; `bare`: a success says no errcode (§1)."""

    path: str
    method: str
    handler: Callable[[Call], Body | Binary]
    empty: Body
    kinds: frozenset[str]
    needs_token: bool
    counted: bool
    exclusive: Callable[[Call], str] | None = None
    family: str = CORP
    plain_ids: bool = False
    bare: bool = False


@dataclass
class Call:
    """One request to one endpoint."""

    engine: Engine
    endpoint: Endpoint
    query: Mapping[str, str]
    body: Body
    ip: str
    base_url: str = ""
    upload: Upload | None = None
    broken_json: bool = False
    forbidden: bool = False  # characters in the body that WeCom does not take
    grant_corp: Corp | None = None
    grant_app: App | None = None
    grant_suite: Suite | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    provider: str = ""  # the provider whose provider_access_token came with the call
    now: int = field(init=False)

    def __post_init__(self) -> None:
        self.now = self.engine.now()

    @property
    def corp(self) -> Corp:
        """The corp whose token came with the call."""
        if self.grant_corp is None:
            raise Refused(41001)
        return self.grant_corp

    @property
    def app(self) -> App:
        """The app whose token came with the call."""
        if self.grant_app is None:
            raise Refused(41001)
        return self.grant_app

    @property
    def suite(self) -> Suite:
        """The suite whose token came with the call, or whose app made it."""
        if self.grant_suite is None:
            raise Refused(41022)
        return self.grant_suite

    def sees(self, member: Member) -> bool:
        """Whether a member is inside the calling app's visible range."""
        return self.corp.sees(self.app, member)

    def sees_follower(self, follow: Follow) -> bool:
        """Whether the member of a friendship is inside the calling app's visible range."""
        member = self.corp.member(follow.userid)
        return member is not None and self.sees(member)

    def seen_departments(self) -> set[int]:
        """The departments inside the calling app's visible range."""
        visible = self.app.visible
        if visible is None:
            return set(self.corp.departments)
        return {each for party in visible["parties"] for each in self.corp.below(party)}

    def seen_service_members(self) -> list[Member]:
        """The members with 客户联系 inside the visible range."""
        return [member for member in self.corp.service_members() if self.sees(member)]

    # -- parameters --------------------------------------------------------------------------------------------------

    def given(self, name: str) -> Any:
        """The raw parameter, None when absent."""
        return (self.query if self.endpoint.method == "GET" else self.body).get(name)

    def text(
        self, name: str, *, missing: int | None = None, chars: int | None = None, bytes_: int | None = None
    ) -> str:
        """A string parameter, "" when absent. Raises Refused `missing` when required, 40058 when too long."""
        value = self.given(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if value is None or value == "":
            if missing is not None:
                raise Refused(missing)
            return ""
        if not isinstance(value, str):
            raise Refused(40058, f"{name} must be a string")
        if (chars and len(value) > chars) or (bytes_ and len(value.encode()) > bytes_):
            raise Refused(40058, f"{name} too long")
        return value

    def strings(self, name: str, *, most: int | None = None, missing: int | None = None) -> list[str]:
        """A list of strings without repeats, [] when absent. Raises Refused 40058 when malformed or too long."""
        value = self.given(name)
        if value is None or value == []:
            if missing is not None:
                raise Refused(missing)
            return []
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise Refused(40058, f"{name} must be an array of strings")
        if most is not None and len(value) > most:
            raise Refused(40058, f"{name} has more than {most} items")
        return list(dict.fromkeys(value))

    def numbers(self, name: str) -> list[int]:
        """A list of integers, [] when absent."""
        value = self.given(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(type(each) is int for each in value):
            raise Refused(40058, f"{name} must be an array of integers")
        return list(value)

    def number(self, name: str, *, default: int | None = None, missing: int = 40058) -> int:
        """An integer parameter (digits in a string are taken). Raises Refused when required or malformed."""
        value = self.given(name)
        if value is None or value == "":
            if default is None:
                raise Refused(missing)
            return default
        if (isinstance(value, float) and value.is_integer()) or (isinstance(value, str) and INTEGER.fullmatch(value)):
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int) or value.bit_length() > 63:
            raise Refused(40058, f"{name} must be an integer")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """A boolean parameter; 0 and 1 are taken too."""
        value = self.given(name)
        if value is None:
            return default
        if value not in (True, False):
            raise Refused(40058, f"{name} must be a boolean")
        return bool(value)

    def record(self, name: str) -> Body:
        """An object parameter, {} when absent."""
        value = self.given(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise Refused(40058, f"{name} must be an object")
        return value

    def limit(self, *, most: int, default: int) -> int:
        """The page size: clamped to the maximum, the default when absent or 0."""
        value = self.number("limit", default=default)
        if value < 0:
            raise Refused(40058, "invalid limit")
        return min(value, most) or default

    # -- things named by parameters ----------------------------------------------------------------------------------

    def member(self, name: str = "userid", *, missing: int = 40003, unknown: int = 40003) -> Member:
        """The member a parameter names. Raises Refused, 60011 for one outside the app's visible range."""
        member = self.corp.member(self.text(name, missing=missing))
        if member is None:
            raise Refused(unknown)
        if not self.sees(member):
            raise Refused(60011)
        return member

    def follow(self) -> Follow:
        """The friendship that userid and external_userid name. Raises Refused 40003, 41035, 40096 or 84061."""
        member = self.member()
        external_userid = self.text("external_userid", missing=41035)
        if external_userid not in self.corp.customers:
            raise Refused(40096)
        follow = self.corp.follow(member.userid, external_userid)
        if follow is None:
            raise Refused(84061)
        return follow

    # -- paging ------------------------------------------------------------------------------------------------------

    def page(self, rows: Sequence[Item], *, most: int, default: int) -> tuple[Sequence[Item], str]:
        """(rows of this page, next_cursor) of a list that only grows at its end."""
        size = self.limit(most=most, default=default)
        position = self.position()
        start = int(position[0]) if position else 0
        end = start + size
        return rows[start:end], self.cursor([end]) if end < len(rows) else ""

    def position(self) -> list[Any] | None:
        """Where the cursor points, None at the beginning. Raises Refused 50100 for one that is not ours or too old."""
        cursor = self.text("cursor")
        if not cursor:
            return None
        try:
            raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            mark, payload = raw[:8], raw[8:]
            if mark != self._mark(payload):
                raise Refused(50100)
            expires_at, position = json.loads(payload)
        except (ValueError, TypeError):
            raise Refused(50100) from None
        if expires_at < self.now:
            raise Refused(50100)
        return list(position)

    def cursor(self, position: list[Any]) -> str:
        """An opaque cursor that is good for half an hour, for this call of this corp only."""
        payload = json.dumps([self.now + CURSOR_SECONDS, position]).encode()
        return base64.urlsafe_b64encode(self._mark(payload) + payload).decode().rstrip("=")

    def _mark(self, payload: bytes) -> bytes:
        scope = f"{self.corp.corpid}:{self.endpoint.path}:".encode()
        return hashlib.blake2b(scope + payload, key=self.engine.cursor_key, digest_size=8).digest()


def between(rows: Iterable[Item], key: Callable[[Item], int], start: int, end: int) -> list[Item]:
    """Rows whose time lies within [start, end]."""
    return [row for row in rows if start <= key(row) <= end]
