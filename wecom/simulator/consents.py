"""A corp and a provider's suite: the administrator agrees, changes the scope, takes it back (reference §5.1, §5.2);
tickets; and the commands that tell the provider."""

from __future__ import annotations

from typing import Any

from wecom.simulator.engine import Engine
from wecom.simulator.outbound import EventField
from wecom.simulator.suite_records import AuthCode, Authorisation, Suite
from wecom.simulator.suites import AUTH_CODE_LIVES
from wecom.simulator.world import App, Corp

TICKET_EVERY = 600  # seconds


def give_ticket(engine: Engine, suite: Suite) -> str:
    """Make a ticket and send it to the command URL."""
    ticket = engine.suites.new_ticket(suite, now=engine.clock.now())
    _command(engine, suite, "suite_ticket", [("SuiteTicket", ticket)])
    return ticket


def give_due_tickets(engine: Engine) -> None:
    """Send every suite its ticket of these ten minutes; after a leap of the clock one is enough."""
    now = engine.clock.now()
    due = engine.suites.next_due()
    if due is not None and now >= due:
        engine.suites.next_ticket_at = now + TICKET_EVERY
        for suite in engine.suites.suites.values():
            give_ticket(engine, suite)


def authorise(
    engine: Engine, suite: Suite, corp: Corp, *, admin: str, state: str, scope: dict[str, Any], tell: bool
) -> AuthCode:
    """An administrator of the corp agrees: the app is installed and a code made. `tell`: by create_auth, as when it
    was installed from the market or by the QR code of a template; else the browser carries the code.

    Raises ValueError for a scope that is none."""
    known = engine.suites.authorised(suite.suite_id, corp)
    if known is None:
        agentid = 1 + max([1000003, *(app.agentid for app in corp.apps)])
        app = App(agentid, suite.name, engine.suites.new_code(), suite.kind, suite_id=suite.suite_id)
        set_scope(app, scope)
        corp.apps.append(app)
        consent = Authorisation(suite.suite_id, corp.corpid, agentid, admin, state)
        engine.suites.authorisations[suite.suite_id, corp.corpid] = consent
    else:
        set_scope(known[1], scope)
    code = _auth_code(engine, suite, corp)
    if tell:
        _command(engine, suite, "create_auth", [("AuthCode", code.code), ("State", state)])
    return code


def change(engine: Engine, suite: Suite, corp: Corp, *, scope: dict[str, Any], state: str) -> None:
    """The administrator changes what the app may see: change_auth. Raises ValueError without a consent."""
    set_scope(_app(engine, suite, corp), scope)
    corpid = engine.suites.corpid_for(suite, corp)
    _command(engine, suite, "change_auth", [("AuthCorpId", corpid), ("State", state)])


def cancel(engine: Engine, suite: Suite, corp: Corp) -> None:
    """The administrator takes the consent back: tokens and permanent code are void, cancel_auth follows. Raises
    ValueError without a consent."""
    app = _app(engine, suite, corp)
    corp.apps.remove(app)
    del engine.suites.authorisations[suite.suite_id, corp.corpid]
    engine.tokens.revoke(corpid=corp.corpid, secret=app.secret, expire=False, now=engine.clock.now())
    _command(engine, suite, "cancel_auth", [("AuthCorpId", engine.suites.corpid_for(suite, corp))])


def reset(engine: Engine, suite: Suite, corp: Corp) -> AuthCode:
    """The app's secret is reset: the old permanent code is void, reset_permanent_code brings a code for the new.
    Raises ValueError without a consent."""
    app = _app(engine, suite, corp)
    engine.tokens.revoke(corpid=corp.corpid, secret=app.secret, expire=False, now=engine.clock.now())
    app.secret = engine.suites.new_code()
    code = _auth_code(engine, suite, corp)
    _command(engine, suite, "reset_permanent_code", [("AuthCode", code.code)])
    return code


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


def _app(engine: Engine, suite: Suite, corp: Corp) -> App:
    known = engine.suites.authorised(suite.suite_id, corp)
    if known is None:
        raise ValueError("this corp has not authorised the suite")
    return known[1]


def _auth_code(engine: Engine, suite: Suite, corp: Corp) -> AuthCode:
    code = AuthCode(engine.suites.new_code(), suite.suite_id, corp.corpid, engine.clock.now() + AUTH_CODE_LIVES)
    engine.suites.auth_codes[code.code] = code
    return code


def _command(engine: Engine, suite: Suite, info_type: str, body: list[EventField]) -> None:
    """What changes a suite is told to its command URL, and is worth saving."""
    engine.dirty = True
    engine.send(engine.suites.command(suite, at=engine.now(), info_type=info_type, body=body))
