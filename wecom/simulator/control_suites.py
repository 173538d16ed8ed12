"""The control surface for providers: `/_sim/suites…` (docs/simulator.md)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from aiohttp import web

from wecom.simulator import consents
from wecom.simulator.control_base import (
    ENGINE,
    Answer,
    BadRequest,
    body_of,
    check_keys,
    corp_named,
    list_of,
    number_of,
    receiver_of,
    reply,
    text_of,
    text_or_none,
)
from wecom.simulator.outbound import VERIFY_WITHIN
from wecom.simulator.suite_records import Suite
from wecom.simulator.world import Callback, Corp

routes = web.RouteTableDef()
SCOPE = ("users", "parties", "forbidden")


@routes.get("/_sim/suites")
async def suites(request: web.Request) -> web.Response:
    """Every suite with its secrets, tickets and authorisations."""
    return reply([_suite(request, each) for each in request.app[ENGINE].suites.suites.values()])


@routes.post("/_sim/suites")
async def set_suite(request: web.Request) -> web.Response:
    """{suite_id?, kind?, name?, provider?, secret?, token?, aes_key?, command_url?, data_url?, migrated?, trusted_ips?,
    timeout?}: makes a suite or changes that of the suite_id. A new command_url is verified by GET and gets a ticket."""
    engine, body = request.app[ENGINE], await body_of(request)
    suite = engine.suites.suites.get(str(body.get("suite_id", "")))
    check_keys(str(body.get("token", "x")), str(body.get("aes_key", "x" * 43)))
    if suite is None:
        try:
            suite = engine.suites.make(
                kind=str(body.get("kind", "customized")),
                name=str(body.get("name", "果园代开发")),
                provider=text_or_none(body, "provider"),
                suite_id=text_or_none(body, "suite_id"),
            )
        except ValueError as error:
            raise BadRequest(f"kind: {error}") from error
    for name in ("secret", "token", "aes_key", "name", "data_url"):
        if name in body:
            setattr(suite, name, str(body[name]))
    if "trusted_ips" in body:
        suite.trusted_ips = list_of(body, "trusted_ips")
    if "migrated" in body:
        suite.migrated = bool(body["migrated"])
    problem = None
    if "command_url" in body:
        problem = await _set_command(
            request, suite, str(body["command_url"]), number_of(body, "timeout", VERIFY_WITHIN)
        )
    engine.dirty = True
    return reply({"ok": problem is None, "error": problem, **_suite(request, suite)})


@routes.delete("/_sim/suites/{suite_id}")
async def remove_suite(request: web.Request) -> web.Response:
    """The suite is gone, as are its authorisations."""
    engine, suite = request.app[ENGINE], _named(request)
    for corp in engine.world.corps.values():
        if engine.suites.authorised(suite.suite_id, corp):
            consents.cancel(engine, suite, corp)
    del engine.suites.suites[suite.suite_id]
    return reply({"ok": True})


@routes.post("/_sim/suites/{suite_id}/ticket")
async def give_ticket(request: web.Request) -> web.Response:
    """Send a suite_ticket now."""
    engine, suite = request.app[ENGINE], _named(request)
    return reply({"ok": True, "suite_ticket": consents.give_ticket(engine, suite)})


@routes.post("/_sim/suites/{suite_id}/authorise")
async def authorise(request: web.Request) -> web.Response:
    """{corpid, pre_auth_code?, state?, users?, parties?, forbidden?, admin?}: the corp's administrator agrees. Without
    a pre_auth_code as from the market or a template's QR code: create_auth follows. → {auth_code, corpid, agentid}."""
    engine, suite, body = request.app[ENGINE], _named(request), await body_of(request)
    corp = corp_named(engine, body)
    pre_auth = body.get("pre_auth_code")
    if pre_auth is not None:
        known = engine.suites.pre_auths.get(str(pre_auth))
        if known is None or known.suite_id != suite.suite_id or known.expires_at <= engine.clock.now():
            raise BadRequest("pre_auth_code: unknown or too old")
    try:
        code = consents.authorise(
            engine,
            suite,
            corp,
            admin=str(body.get("admin") or next(iter(corp.members))),
            state=str(body.get("state", "")),
            scope=_scope(body),
            tell=pre_auth is None,
        )
    except ValueError as error:
        raise BadRequest(str(error)) from error
    known_app = engine.suites.authorised(suite.suite_id, corp)
    return reply(
        {
            "ok": True,
            "auth_code": code.code,
            "corpid": engine.suites.corpid_for(suite, corp),
            "agentid": known_app[1].agentid if known_app else None,
        }
    )


@routes.post("/_sim/suites/{suite_id}/change")
async def change(request: web.Request) -> web.Response:
    """{corpid, users?, parties?, forbidden?, state?}: the scope changes, change_auth follows."""
    engine, suite, body = request.app[ENGINE], _named(request), await body_of(request)
    try:
        corp = corp_named(engine, body)
        consents.change(engine, suite, corp, scope=_scope(body), state=str(body.get("state", "")))
    except ValueError as error:
        raise BadRequest(str(error)) from error
    return reply({"ok": True})


@routes.post("/_sim/suites/{suite_id}/cancel")
async def cancel(request: web.Request) -> web.Response:
    """{corpid}: the consent is taken back, cancel_auth follows."""
    engine, suite, body = request.app[ENGINE], _named(request), await body_of(request)
    try:
        consents.cancel(engine, suite, corp_named(engine, body))
    except ValueError as error:
        raise BadRequest(str(error)) from error
    return reply({"ok": True})


@routes.post("/_sim/suites/{suite_id}/reset")
async def reset(request: web.Request) -> web.Response:
    """{corpid}: the permanent code is void, reset_permanent_code follows. → {auth_code}."""
    engine, suite, body = request.app[ENGINE], _named(request), await body_of(request)
    try:
        code = consents.reset(engine, suite, corp_named(engine, body))
    except ValueError as error:
        raise BadRequest(str(error)) from error
    return reply({"ok": True, "auth_code": code.code})


@routes.post("/_sim/suites/{suite_id}/callback")
async def set_app_callback(request: web.Request) -> web.Response:
    """{corpid, url, token, aes_key, timeout?}: the receiver of one corp's 代开发 app, verified. "" removes it."""
    engine, suite, body = request.app[ENGINE], _named(request), await body_of(request)
    corp = corp_named(engine, body)
    known = engine.suites.authorised(suite.suite_id, corp)
    if known is None:
        raise BadRequest("corpid: this corp has not authorised the suite")
    callback, within = receiver_of(body), number_of(body, "timeout", VERIFY_WITHIN)
    receiveid = engine.suites.corpid_for(suite, corp)
    error = await engine.outbound.verify(receiveid, callback, within=within) if callback else None
    if error is None:
        known[0].callback = asdict(callback) if callback else None
        engine.dirty = True
    return reply({"ok": error is None, "error": error})


@routes.post("/_sim/suites/{suite_id}/ids")
async def foreign_ids(request: web.Request) -> web.Response:
    """{corpid, ids: []}: what the suite's provider calls these members, customers or tags. → {ids: {own: theirs}}."""
    engine, suite, body = request.app[ENGINE], _named(request), await body_of(request)
    corp = corp_named(engine, body)
    view = engine.suites.identities.of(suite.provider, corp)
    return reply({"corpid": view.corpid, "ids": {each: view.outward(each) for each in list_of(body, "ids") or []}})


@routes.post("/_sim/suites/{suite_id}/revoke")
async def revoke(request: web.Request) -> web.Response:
    """{expire?}: the suite_access_token is 40082 from now on, or 42009."""
    engine, suite, body = request.app[ENGINE], _named(request), await body_of(request)
    expire = bool(body.get("expire", False))
    return reply({"revoked": engine.tokens.revoke_suite(suite, expire=expire, now=engine.clock.now())})


@routes.post("/_sim/corps/{corpid}/apps/{agentid}")
async def set_app(request: web.Request) -> web.Response:
    """{users?, parties?, forbidden?, unlicensed?, redirect_domain?, secret?}: the visible range (both null: the whole
    corp), paths that answer 48002, members without an interface licence, the trusted domain, a new secret."""
    engine, body = request.app[ENGINE], await body_of(request)
    corp = corp_named(engine, {"corpid": request.match_info["corpid"]})
    app = next((each for each in corp.apps if str(each.agentid) == request.match_info["agentid"]), None)
    if app is None:
        raise BadRequest("agentid: unknown")
    rest = {name: value for name, value in body.items() if name not in SCOPE}
    if unknown := set(rest) - {"unlicensed", "redirect_domain", "secret"}:
        raise BadRequest(f"unknown fields: {', '.join(sorted(unknown))}")
    try:
        consents.set_scope(app, _scope(body))
    except ValueError as error:
        raise BadRequest(str(error)) from error
    if "unlicensed" in rest:
        app.unlicensed = list_of(rest, "unlicensed") or []
    if "redirect_domain" in rest:
        app.redirect_domain = str(rest["redirect_domain"] or "")
    if "secret" in rest:
        engine.tokens.revoke(corpid=corp.corpid, secret=app.secret, expire=False, now=engine.clock.now())
        app.secret = text_of(rest, "secret")
    engine.dirty = True
    return reply({"ok": True})


async def _set_command(request: web.Request, suite: Suite, url: str, within: float) -> str | None:
    engine = request.app[ENGINE]
    if not url:
        suite.command_url = ""
        return None
    callback = Callback(url, suite.token, suite.aes_key)
    error = await engine.outbound.verify(suite.suite_id, callback, within=within)
    if error is None:
        suite.command_url = url
        consents.give_ticket(engine, suite)
    return error


def _scope(body: Answer) -> dict[str, Any]:
    return {name: body[name] for name in SCOPE if name in body}


def _named(request: web.Request) -> Suite:
    suite = request.app[ENGINE].suites.suites.get(request.match_info["suite_id"])
    if suite is None:
        raise BadRequest("suite_id: unknown")
    return suite


def _suite(request: web.Request, suite: Suite) -> Answer:
    state = request.app[ENGINE].suites
    corps: list[Corp] = list(request.app[ENGINE].world.corps.values())
    consents = [(corp, known) for corp in corps if (known := state.authorised(suite.suite_id, corp))]
    return {
        "suite_id": suite.suite_id,
        "secret": suite.secret,
        "name": suite.name,
        "kind": suite.kind,
        "provider": suite.provider,
        "provider_secret": state.providers[suite.provider],
        "token": suite.token,
        "aes_key": suite.aes_key,
        "command_url": suite.command_url,
        "data_url": suite.data_url,
        "migrated": suite.migrated,
        "trusted_ips": suite.trusted_ips,
        "suite_ticket": suite.tickets[-1][0] if suite.tickets else None,
        "authorisations": [
            {
                "corpid": state.corpid_for(suite, corp),
                "own_corpid": corp.corpid,
                "agentid": app.agentid,
                "state": consent.state,
                "admin": consent.admin,
                "callback": consent.callback,
            }
            for corp, (consent, app) in consents
        ],
    }
