"""The state of one simulator, and what every part of it may ask for: the time, a random draw, an event to the corp."""

from __future__ import annotations

import random
import secrets
from collections import Counter, defaultdict

from wecom.simulator.agenda import DOERS, Agenda
from wecom.simulator.app_messages import AppMessages
from wecom.simulator.clock import Clock
from wecom.simulator.faults import Faults
from wecom.simulator.files import FetchJob
from wecom.simulator.journal import Journal
from wecom.simulator.limits import Limits
from wecom.simulator.logins import Logins
from wecom.simulator.outbound import EventField, Letter, Outbound, address_of, event_xml
from wecom.simulator.suites import Suites
from wecom.simulator.switches import Switches
from wecom.simulator.tokens import Tokens
from wecom.simulator.world import App, Corp, Member, World


class Engine:
    """Everything one simulator process holds."""

    def __init__(self, *, world: World, clock: Clock) -> None:
        self.world = world
        self.clock = clock
        self.journal = Journal()
        self.agenda = Agenda(clock, self._carry_out)
        self.tokens = Tokens()
        self.limits = Limits()
        self.switches = Switches()
        self.faults = Faults(world.seed)
        self.rng = random.Random(f"engine:{world.seed}")
        self.suites = Suites(world.seed)
        self.logins = Logins()
        self.messages = AppMessages()
        self.fetch_jobs: dict[str, FetchJob] = {}
        self.outbound = Outbound(self.switches, random.Random(f"callbacks:{world.seed}"))
        self.busy: set[tuple[str, str]] = set()  # (path, object) of slow calls that still run
        self.cursor_key = secrets.token_bytes(16)
        self.calls: Counter[str] = Counter()
        self.errcodes: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self.dirty = True

    def now(self) -> int:
        """Whole Unix seconds of the simulated world."""
        return int(self.clock.now())

    def draw(self, *what: str) -> random.Random:
        """Random numbers that the seed and `what` alone decide, in whatever order things happen."""
        return random.Random(":".join((str(self.world.seed), *what)))

    def later(self, corp: Corp, human_seconds: float, kind: str, *arguments: str) -> None:
        """Plan a human act, `human_seconds` from now at the present pace."""
        self.agenda.schedule(self.clock.now() + self.clock.human(human_seconds), corp.corpid, kind, *arguments)

    def emit(
        self,
        corp: Corp,
        event: str,
        change: str,
        body: list[EventField],
        *,
        by_api: bool = False,
        about: Member | None = None,
    ) -> None:
        """Send an event to the corp's callback and to the providers it has authorised, as far as their visible range
        reaches the member it is `about`, else the one its UserID names. Changes made by the API raise none, unless the
        switch says so."""
        if by_api and not self.switches.api_events:
            return
        whom = about or corp.member(next((str(value) for name, value in body if name == "UserID"), ""))
        for app in (corp.apps[0], *self.suites.installed(corp)):
            if whom is None or corp.sees(app, whom):
                self._tell(corp, app, event, change, body)

    def emit_of_app(self, corp: Corp, app: App, event: str, body: list[EventField], *, sender: str = "sys") -> None:
        """Send what a member did with an app, or what became of its job, to that app alone."""
        self._tell(corp, app, event, "", body, sender=sender, of_app=True)

    def send(self, letter: Letter | None) -> None:
        """Queue what the callback side has made up, if anybody listens."""
        if letter is not None:
            self.outbound.enqueue(*letter)

    def _tell(
        self,
        corp: Corp,
        app: App,
        event: str,
        change: str,
        body: list[EventField],
        *,
        sender: str = "sys",
        of_app: bool = False,
    ) -> None:
        """To the app of a suite in the provider's way; the corp's own apps have one callback together."""
        at = self.now()
        if app.suite_id:
            self.send(
                self.suites.event(corp, app, at=at, event=event, change=change, body=body, sender=sender, of_app=of_app)
            )
        elif corp.callback is not None:
            xml = event_xml(corpid=corp.corpid, at=at, event=event, change=change, body=body, sender=sender)
            self.send((address_of(corp), xml))

    def _carry_out(self, corpid: str, kind: str, arguments: list[str]) -> None:
        """What an act on the agenda does."""
        corp = self.world.corp(corpid)
        if corp is not None:
            self.dirty = True
            DOERS[kind](self, corp, *arguments)
