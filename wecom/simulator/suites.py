"""Service providers (服务商): their suites, tickets and authorisations (reference §5.1, §5.2).

A suite is a 代开发 template (`customized`: the corp's app has a secret of its own, the permanent code, for gettoken) or
a third-party app (`third_party`: get_corp_token, events in the provider's envelope on the command URL).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from wecom.simulator.identities import Identities
from wecom.simulator.outbound import Address, EventField, command_xml, event_xml
from wecom.simulator.suite_records import AuthCode, Authorisation, PreAuth, Suite
from wecom.simulator.world import CUSTOMIZED_APP, THIRD_PARTY_APP, App, Callback, Corp, opaque_id

if TYPE_CHECKING:
    from wecom.simulator.engine import Engine

KINDS = (CUSTOMIZED_APP, THIRD_PARTY_APP)
TICKET_EVERY, TICKET_LIVES = 600, 1800  # seconds
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

    def give_ticket(self, engine: Engine, suite: Suite) -> str:
        """Make a ticket and send it to the command URL (every ten minutes, good for thirty)."""
        now = engine.clock.now()
        ticket = self.new_code(length=64)
        suite.tickets = [[text, at] for text, at in suite.tickets if now - at <= TICKET_LIVES] + [[ticket, now]]
        self.command(engine, suite, "suite_ticket", [("SuiteTicket", ticket)])
        engine.dirty = True
        return ticket

    def run_due(self, engine: Engine) -> None:
        """Send the tickets that are due; after a leap of the clock one is enough."""
        now = engine.clock.now()
        if self.suites and now >= self.next_ticket_at:
            self.next_ticket_at = now + TICKET_EVERY
            for suite in self.suites.values():
                self.give_ticket(engine, suite)

    def next_due(self) -> float | None:
        """When the next tickets are due, None without suites."""
        return self.next_ticket_at if self.suites else None

    def good_ticket(self, suite: Suite, ticket: str, *, now: float) -> bool:
        """Whether the ticket is one of the suite's that is not older than thirty minutes."""
        return any(text == ticket and now - at <= TICKET_LIVES for text, at in suite.tickets)

    # -- authorisation -----------------------------------------------------------------------------------------------

    def authorised(self, suite_id: str, corp: Corp) -> tuple[Authorisation, App] | None:
        """The corp's consent to the suite and the app it installed, if any."""
        consent = self.authorisations.get((suite_id, corp.corpid))
        app = next((each for each in corp.apps if each.suite_id == suite_id), None)
        return (consent, app) if consent and app else None

    def authorise(
        self, engine: Engine, suite: Suite, corp: Corp, *, admin: str, state: str, scope: dict[str, Any], tell: bool
    ) -> AuthCode:
        """An administrator of the corp agrees: the app is installed and a code made. `tell`: by create_auth, as when it
        was installed from the market or by the QR code of a template; else the browser carries the code."""
        known = self.authorised(suite.suite_id, corp)
        if known is None:
            agentid = 1 + max([1000003, *(app.agentid for app in corp.apps)])
            app = App(agentid, suite.name, self.new_code(), suite.kind, suite_id=suite.suite_id)
            corp.apps.append(app)
            self.authorisations[suite.suite_id, corp.corpid] = Authorisation(
                suite.suite_id, corp.corpid, agentid, admin, state
            )
        else:
            app = known[1]
        set_scope(app, scope)
        code = self._auth_code(engine, suite, corp)
        if tell:
            self.command(engine, suite, "create_auth", [("AuthCode", code.code), ("State", state)])
        return code

    def change(self, engine: Engine, suite: Suite, corp: Corp, *, scope: dict[str, Any], state: str) -> None:
        """The administrator changes what the app may see: change_auth."""
        known = self.authorised(suite.suite_id, corp)
        if known is None:
            raise ValueError("this corp has not authorised the suite")
        set_scope(known[1], scope)
        engine.dirty = True
        self.command(engine, suite, "change_auth", [("AuthCorpId", self.corpid_for(suite, corp)), ("State", state)])

    def cancel(self, engine: Engine, suite: Suite, corp: Corp) -> None:
        """The administrator takes the consent back: tokens and permanent code are void, cancel_auth follows."""
        known = self.authorised(suite.suite_id, corp)
        if known is None:
            raise ValueError("this corp has not authorised the suite")
        corp.apps.remove(known[1])
        del self.authorisations[suite.suite_id, corp.corpid]
        engine.tokens.revoke(corpid=corp.corpid, secret=known[1].secret, expire=False, now=engine.clock.now())
        engine.dirty = True
        self.command(engine, suite, "cancel_auth", [("AuthCorpId", self.corpid_for(suite, corp))])

    def reset(self, engine: Engine, suite: Suite, corp: Corp) -> AuthCode:
        """The app's secret is reset: the old permanent code is void, reset_permanent_code brings a code for the new."""
        known = self.authorised(suite.suite_id, corp)
        if known is None:
            raise ValueError("this corp has not authorised the suite")
        engine.tokens.revoke(corpid=corp.corpid, secret=known[1].secret, expire=False, now=engine.clock.now())
        known[1].secret = self.new_code()
        code = self._auth_code(engine, suite, corp)
        self.command(engine, suite, "reset_permanent_code", [("AuthCode", code.code)])
        return code

    def _auth_code(self, engine: Engine, suite: Suite, corp: Corp) -> AuthCode:
        code = AuthCode(self.new_code(), suite.suite_id, corp.corpid, engine.clock.now() + AUTH_CODE_LIVES)
        self.auth_codes[code.code] = code
        engine.dirty = True
        return code

    # -- ids and events ----------------------------------------------------------------------------------------------

    def corpid_for(self, suite: Suite, corp: Corp) -> str:
        """The encrypted corpid that the suite's provider sees."""
        return self.identities.of(suite.provider, corp).corpid

    def corp_behind(self, engine: Engine, corpid: str) -> Corp | None:
        """The corp of a plain corpid, or of one that some provider sees."""
        corp = engine.world.corp(corpid)
        if corp is not None:
            return corp
        for provider in self.providers:
            for each in engine.world.corps.values():
                if self.identities.of(provider, each).corpid == corpid:
                    return each
        return None

    def suite_of(self, app: App) -> Suite | None:
        """The suite an app was installed from, None for the corp's own."""
        return self.suites.get(app.suite_id) if app.suite_id else None

    def corp_subject(self, suite: Suite, corp: Corp) -> bool:
        """Whether the suite still sees the corp's own external_userids and tag ids (a 代开发 app not yet upgraded)."""
        return not suite.migrated and (suite.provider, corp.corpid) not in self.migrated

    def command(self, engine: Engine, suite: Suite, info_type: str, body: list[EventField]) -> None:
        """Send an event to the suite's command URL, which must answer `success`."""
        if suite.command is None:
            return
        xml = command_xml(suite_id=suite.suite_id, at=engine.now(), info_type=info_type, body=body)
        engine.outbound.enqueue(self._command_address(suite), xml)

    def tell(self, engine: Engine, corp: Corp, app: App, event: str, change: str, body: list[EventField]) -> None:
        """Send an event of an authorised corp in the suite's way, with the provider's ids."""
        suite = self.suite_of(app)
        consent = self.authorisations.get((app.suite_id, corp.corpid))
        if suite is None or consent is None:
            return
        view = self.identities.of(suite.provider, corp)
        foreign = [(name, view.event(value, self.corp_subject(suite, corp))) for name, value in body]
        if suite.kind == THIRD_PARTY_APP:
            head: list[EventField] = [("AuthCorpId", view.corpid), *([("ChangeType", change)] if change else [])]
            self.command(engine, suite, event, head + foreign)
            return
        callback = Callback(**consent.callback) if consent.callback else None
        if callback is None and suite.data_url:
            callback = Callback(suite.data_url, suite.token, suite.aes_key)
        if callback is not None:
            address = Address(
                key=f"{suite.suite_id}:{corp.corpid}",
                receiveid=view.corpid,
                to_user=view.corpid,
                find=lambda: callback,
                agentid=str(app.agentid),
            )
            xml = event_xml(corpid=view.corpid, at=engine.now(), event=event, change=change, body=foreign)
            engine.outbound.enqueue(address, xml)

    def _command_address(self, suite: Suite) -> Address:
        return Address(
            key=suite.suite_id,
            receiveid=suite.suite_id,
            to_user=suite.suite_id,
            find=lambda: suite.command,
            success_only=True,
        )

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

    def installed(self, corp: Corp) -> Iterator[App]:
        """The apps of a corp that came from suites."""
        return (app for app in corp.apps if app.suite_id)


def set_scope(app: App, scope: dict[str, Any]) -> None:
    """What an app may see and call: `users` and `parties` (both absent or null: the whole corp), `forbidden` paths.

    Raises ValueError for anything else."""
    for name, value in scope.items():
        wanted = {"users": str, "parties": int, "forbidden": str}.get(name)
        if wanted is None:
            raise ValueError(f"unknown field {name}")
        if value is not None and not (isinstance(value, list) and all(isinstance(each, wanted) for each in value)):
            raise ValueError(f"{name} must be a list or null")
    if "users" in scope or "parties" in scope:
        whole = scope.get("users") is None and scope.get("parties") is None
        app.visible = None if whole else {"users": scope.get("users") or [], "parties": scope.get("parties") or []}
    if "forbidden" in scope:
        app.forbidden = list(scope["forbidden"] or [])


def _letters(text: str, length: int) -> str:
    """Letters and digits that `text` alone decides."""
    joined = "".join(opaque_id("", f"{text}:{part}", 80) for part in range(2))
    return joined.replace("-", "").replace("_", "")[:length]
