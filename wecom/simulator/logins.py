"""Web log-in, JS-SDK tickets and mini-program sessions (reference §19): codes under way, who they stand for."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass, field

from wecom.simulator.errors import Refused
from wecom.simulator.world import Corp, opaque_id

CODE_LIVES, USER_TICKET_LIVES, TICKET_LIVES, WECHAT_TOKEN_LIVES = 300, 1800, 7200, 7200  # seconds
OVERLAP = 300  # seconds in which WeChat still takes the token before
PRIVATE = "snsapi_privateinfo"


@dataclass(frozen=True)
class Person:
    """Who sits at the browser or holds the phone: a member, a customer, or a stranger, perhaps with a unionid."""

    corpid: str
    userid: str = ""
    external_userid: str = ""
    unionid: str = ""


@dataclass
class LoginCode:
    """A code of a web log-in or a mini program, good once and for five minutes. `owner` is who may redeem it: a corpid,
    a suite_id or an appid."""

    owner: str
    person: Person
    expires_at: float
    scope: str = "snsapi_base"
    used: bool = False


@dataclass
class MiniProgram:
    """A mini program, of one corp and one of its apps, or of a suite's provider."""

    appid: str
    secret: str
    corpid: str
    name: str
    tokens: list[tuple[str, float]] = field(default_factory=list)  # (token, expires at), the last is the running one


class Logins:
    """All that is under way. None of it is part of a snapshot but the mini programs."""

    def __init__(self) -> None:
        self.at_browser: dict[str, Person] = {}  # corpid or suite_id → who logs in next
        self.codes: dict[str, LoginCode] = {}
        self.user_tickets: dict[str, tuple[Person, float]] = {}
        self.tickets: dict[tuple[str, str], tuple[str, float]] = {}  # (owner, kind) → JS-SDK ticket, expires at
        self.mini_programs: dict[str, MiniProgram] = {}
        self.openids: dict[str, str] = {}  # openid a mini program was told → unionid of that person
        self.sessions: dict[str, str] = {}  # session_key → userid

    def new_code(self, owner: str, person: Person, *, now: float, scope: str = "snsapi_base") -> str:
        """A code for the redirect or for wx.login."""
        code = secrets.token_urlsafe(32)
        self.codes[code] = LoginCode(owner, person, now + CODE_LIVES, scope)
        return code

    def redeem(self, code: str, *, owner: str, now: float) -> LoginCode:
        """What a code stands for, once. Raises Refused 40029 (unknown, of another owner), 42022 (used), 42003 (old)."""
        known = self.codes.get(code)
        if known is None or known.owner != owner:
            raise Refused(40029)
        if known.used:
            raise Refused(42022)
        if known.expires_at <= now:
            raise Refused(42003)
        known.used = True
        return known

    def user_ticket(self, person: Person, *, now: float) -> str:
        """A ticket for getuserdetail."""
        ticket = secrets.token_urlsafe(48)
        self.user_tickets[ticket] = (person, now + USER_TICKET_LIVES)
        return ticket

    def person_of(self, ticket: str, *, now: float) -> Person:
        """Whose ticket it is. Raises Refused 84090 (none given, unknown or old)."""
        person, expires_at = self.user_tickets.get(ticket, (None, 0.0))
        if person is None or expires_at <= now:
            raise Refused(84090)
        return person

    def js_ticket(self, owner: str, kind: str, *, now: float) -> tuple[str, int]:
        """(ticket, seconds left): the running one of that owner and kind, or a new one."""
        ticket, expires_at = self.tickets.get((owner, kind), ("", 0.0))
        if expires_at <= now:
            ticket, expires_at = secrets.token_urlsafe(64), now + TICKET_LIVES
            self.tickets[owner, kind] = (ticket, expires_at)
        return ticket, max(1, int(expires_at - now))

    def session_key(self, userid: str) -> str:
        """A new session key of a mini program: 16 bytes in base64."""
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        self.sessions[key] = userid
        return key

    def add_mini_program(self, corp: Corp, *, name: str, appid: str | None, secret: str | None) -> MiniProgram:
        """A mini program of the corp's subject, or the known one of that appid with another secret."""
        made = appid or "wx" + opaque_id("", f"{corp.seed}:mini:{len(self.mini_programs)}", 24).encode().hex()[:16]
        key = secret or opaque_id("", f"{corp.seed}:mini-secret:{made}", 32)
        self.mini_programs[made] = MiniProgram(made, key, corp.corpid, name)
        return self.mini_programs[made]

    def dump(self) -> list[list[str]]:
        """What a snapshot keeps: the mini programs."""
        return [[each.appid, each.secret, each.corpid, each.name] for each in self.mini_programs.values()]

    def restore(self, programs: list[list[str]]) -> None:
        """Take up what a snapshot kept."""
        self.mini_programs = {
            appid: MiniProgram(appid, secret, corpid, name) for appid, secret, corpid, name in programs
        }

    def wechat_token(self, program: MiniProgram, *, now: float, stable: bool) -> tuple[str, int]:
        """WeChat's token of a mini program. A new one ends the old about five minutes later; `stable` keeps it."""
        if stable and program.tokens and program.tokens[-1][1] > now:
            return program.tokens[-1][0], int(program.tokens[-1][1] - now)
        program.tokens = [(token, min(ends, now + OVERLAP)) for token, ends in program.tokens[-1:]]
        program.tokens.append((secrets.token_urlsafe(64), now + WECHAT_TOKEN_LIVES))
        return program.tokens[-1][0], WECHAT_TOKEN_LIVES


def openid_of(corp: Corp, external_userid: str, *, appid: str = "") -> str:
    """The openid of a person in one mini program, or (no appid) in WeCom's own dealings with WeChat: of a customer by
    external_userid, of anybody by unionid, which for one person come to the same."""
    customer = corp.customers.get(external_userid)
    who = customer.unionid if customer and customer.unionid else external_userid
    return opaque_id("o", f"{corp.seed}:openid:{appid}{who}", 28)


def mobile_of(userid: str) -> str:
    """The mobile number of a member."""
    return f"13{int(hashlib.sha256(userid.encode()).hexdigest(), 16) % 10**9:09d}"


def email_of(userid: str) -> str:
    """The mail address of a member."""
    return f"{userid}@example.com"
