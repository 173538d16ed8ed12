"""Service providers (服务商): their suites, whom they serve, and what they are told (reference §5.1, §5.2).

A suite is a 代开发 template (`customized`: the corp's app has a secret of its own, the permanent code, for gettoken) or
a third-party app (`third_party`: get_corp_token, events in the provider's envelope on the command URL). `consents` has
what corps and tickets do with them.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from wecom.simulator.identities import Identities
from wecom.simulator.outbound import Address, EventField, Letter, command_xml, event_xml
from wecom.simulator.suite_records import AuthCode, Authorisation, PreAuth, Suite
from wecom.simulator.world import CUSTOMIZED_APP, THIRD_PARTY_APP, App, Callback, Corp, World, opaque_id

KINDS = (CUSTOMIZED_APP, THIRD_PARTY_APP)
TICKET_LIVES = 1800  # seconds
PRE_AUTH_LIVES = AUTH_CODE_LIVES = 1200


class Suites:
    """All suites, whom they serve, and the codes under way."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.suites: dict[str, Suite] = {}
        self.providers: dict[str, str] = {}  # corpid of the provider → its provider_secret
        self.authorisations: dict[tuple[str, str], Authorisation] = {}  # (suite_id, corpid)
        self.pre_auths: dict[str, PreAuth] = {}
        self.auth_codes: dict[str, AuthCode] = {}
        self.templates: dict[str, tuple[str, str]] = {}  # code of a 代开发 link → (suite_id, state)
        self.migrated: set[tuple[str, str]] = set()  # (provider, corpid)
        self.identities = Identities()
        self.next_ticket_at = 0.0
        self._serial = 0

    # -- suites ------------------------------------------------------------------------------------------------------

    def new_code(self, prefix: str = "", length: int = 64) -> str:
        """A code nobody can guess."""
        return prefix + secrets.token_urlsafe(96)[: length - len(prefix)]

    def provider(self) -> str:
        """The provider that suites belong to unless said otherwise."""
        corpid = "ww" + opaque_id("", f"{self.seed}:provider", 24).encode().hex()[:16]
        self.providers.setdefault(corpid, opaque_id("", f"{self.seed}:provider-secret", 64))
        return corpid

    def make(self, *, kind: str, name: str, provider: str | None = None, suite_id: str | None = None) -> Suite:
        """A suite with a secret, a token and a key of its own. Raises ValueError for an unknown kind."""
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}")
        self._serial += 1
        key = f"{self.seed}:suite:{self._serial}"
        owner = provider or self.provider()
        self.providers.setdefault(owner, opaque_id("", f"{self.seed}:provider-secret:{owner}", 64))
        prefix = "dk" if kind == CUSTOMIZED_APP else "ww"
        suite = Suite(
            suite_id=suite_id or prefix + opaque_id("", key, 24).encode().hex()[:16],
            secret=opaque_id("", f"{key}:secret", 43),
            name=name,
            kind=kind,
            provider=owner,
            token=opaque_id("", f"{key}:token", 40).replace("-", "").replace("_", "")[:24],
            aes_key=_letters(f"{key}:aes", 42) + "A",  # 43 characters that are canonical base64 of 32 bytes
        )
        self.suites[suite.suite_id] = suite
        return suite

    def new_ticket(self, suite: Suite, *, now: float) -> str:
        """A ticket, good for half an hour; those that are too old are forgotten."""
        ticket = self.new_code()
        suite.tickets = [[text, at] for text, at in suite.tickets if now - at <= TICKET_LIVES] + [[ticket, now]]
        return ticket

    def good_ticket(self, suite: Suite, ticket: str, *, now: float) -> bool:
        """Whether the ticket is one of the suite's that is not older than thirty minutes."""
        return any(text == ticket and now - at <= TICKET_LIVES for text, at in suite.tickets)

    def next_due(self) -> float | None:
        """When the next tickets are due, None without suites."""
        return self.next_ticket_at if self.suites else None

    # -- whom they serve ---------------------------------------------------------------------------------------------

    def authorised(self, suite_id: str, corp: Corp) -> tuple[Authorisation, App] | None:
        """The corp's consent to the suite and the app it installed, if any."""
        consent = self.authorisations.get((suite_id, corp.corpid))
        app = next((each for each in corp.apps if each.suite_id == suite_id), None)
        return (consent, app) if consent and app else None

    def installed(self, corp: Corp) -> Iterator[App]:
        """The apps of a corp that came from suites."""
        return (app for app in corp.apps if app.suite_id)

    def suite_of(self, app: App) -> Suite | None:
        """The suite an app was installed from, None for the corp's own."""
        return self.suites.get(app.suite_id) if app.suite_id else None

    def corpid_for(self, suite: Suite, corp: Corp) -> str:
        """The encrypted corpid that the suite's provider sees."""
        return self.identities.of(suite.provider, corp).corpid

    def corp_behind(self, world: World, corpid: str) -> Corp | None:
        """The corp of a plain corpid, or of one that some provider sees."""
        corp = world.corp(corpid)
        if corp is not None:
            return corp
        for provider in self.providers:
            for each in world.corps.values():
                if self.identities.of(provider, each).corpid == corpid:
                    return each
        return None

    def corp_subject(self, suite: Suite, corp: Corp) -> bool:
        """Whether the suite still sees the corp's own external_userids and tag ids (a 代开发 app not yet upgraded)."""
        return not suite.migrated and (suite.provider, corp.corpid) not in self.migrated

    # -- what they are told ------------------------------------------------------------------------------------------

    def command(self, suite: Suite, *, at: int, info_type: str, body: list[EventField]) -> Letter | None:
        """An event for the suite's command URL, which must answer `success`; None when there is no such URL."""
        if suite.command is None:
            return None
        address = Address(
            key=suite.suite_id,
            receiveid=suite.suite_id,
            to_user=suite.suite_id,
            find=lambda: suite.command,
            success_only=True,
        )
        return address, command_xml(suite_id=suite.suite_id, at=at, info_type=info_type, body=body)

    def event(
        self,
        corp: Corp,
        app: App,
        *,
        at: int,
        event: str,
        change: str,
        body: list[EventField],
        sender: str,
        of_app: bool,
    ) -> Letter | None:
        """An event of an authorised corp in the suite's way, with the provider's ids; None when nobody listens. What
        members do with the app itself (`of_app`) comes to a third-party app's data URL, all else as a command."""
        suite = self.suite_of(app)
        consent = self.authorisations.get((app.suite_id, corp.corpid))
        if suite is None or consent is None:
            return None
        view = self.identities.of(suite.provider, corp)
        foreign = [(name, view.event(value, self.corp_subject(suite, corp))) for name, value in body]
        if suite.kind == THIRD_PARTY_APP and not of_app:
            head: list[EventField] = [("AuthCorpId", view.corpid), *([("ChangeType", change)] if change else [])]
            return self.command(suite, at=at, info_type=event, body=head + foreign)
        callback = Callback(**consent.callback) if consent.callback else None
        if callback is None and suite.data_url:
            callback = Callback(suite.data_url, suite.token, suite.aes_key)
        if callback is None:
            return None
        address = Address(
            key=f"{suite.suite_id}:{corp.corpid}",
            receiveid=view.corpid,
            to_user=view.corpid,
            find=lambda: callback,
            agentid=str(app.agentid),
        )
        who = view.outward(sender)
        return address, event_xml(corpid=view.corpid, at=at, event=event, change=change, body=foreign, sender=who)

    # -- snapshot ----------------------------------------------------------------------------------------------------

    def dump(self) -> dict[str, Any]:
        """What a snapshot keeps: suites, providers, authorisations; codes under way are lost, as they may be."""
        return {
            "serial": self._serial,
            "providers": self.providers,
            "suites": [asdict(suite) for suite in self.suites.values()],
            "authorisations": [asdict(consent) for consent in self.authorisations.values()],
            "migrated": sorted(list(pair) for pair in self.migrated),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what a snapshot kept."""
        self._serial = state["serial"]
        self.providers = dict(state["providers"])
        self.suites = {each["suite_id"]: Suite(**each) for each in state["suites"]}
        consents = [Authorisation(**each) for each in state["authorisations"]]
        self.authorisations = {(each.suite_id, each.corpid): each for each in consents}
        self.migrated = {(provider, corpid) for provider, corpid in state["migrated"]}


def _letters(text: str, length: int) -> str:
    """Letters and digits that `text` alone decides."""
    joined = "".join(opaque_id("", f"{text}:{part}", 80) for part in range(2))
    return joined.replace("-", "").replace("_", "")[:length]
