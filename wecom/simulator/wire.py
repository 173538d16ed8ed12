"""How a WeCom call is checked and answered (reference §1). Endpoints register here and say only what is theirs.

Order of checks: path, token, trusted address, permission, limits, parameters. A refusal is HTTP 200
with an errcode and the endpoint's empty defaults. What a provider's app asks and hears goes through `identities`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

from wecom.simulator.call import CORP, PROVIDER, SUITE, Binary, Body, Call, Endpoint, Upload, between
from wecom.simulator.errors import Refused, message
from wecom.simulator.world import CONTACT_APP, CUSTOMIZED_APP, DIRECTORY_APP, PLAIN_APP, THIRD_PARTY_APP

__all__ = [
    "CORP",
    "CUSTOMER_DATA",
    "DIRECTORY",
    "DIRECTORY_SYNC",
    "ENDPOINTS",
    "MESSAGES",
    "PROVIDER",
    "PROVIDERS",
    "SELF_BUILT",
    "SUITE",
    "Binary",
    "Body",
    "Call",
    "Endpoint",
    "Upload",
    "answer",
    "between",
    "endpoint",
    "refuse",
]

PROVIDERS = frozenset({CUSTOMIZED_APP, THIRD_PARTY_APP})
SELF_BUILT = frozenset({CONTACT_APP})
CUSTOMER_DATA = SELF_BUILT | PROVIDERS
DIRECTORY = CUSTOMER_DATA | {PLAIN_APP, DIRECTORY_APP}
MESSAGES = CUSTOMER_DATA | {PLAIN_APP}
DIRECTORY_SYNC = frozenset({DIRECTORY_APP})

ENDPOINTS: dict[str, Endpoint] = {}

Handler = Callable[["Call"], Body | Binary]


def endpoint(
    method: str,
    path: str,
    *,
    empty: Body | None = None,
    kinds: frozenset[str] = CUSTOMER_DATA,
    needs_token: bool = True,
    counted: bool = True,
    exclusive: Callable[[Call], str] | None = None,
    family: str = CORP,
    plain_ids: bool = False,
    bare: bool = False,
) -> Callable[[Handler], Handler]:
    """Register a handler. `method` says where its parameters are: in the query for GET, in the body for POST.

    `exclusive` names the object a call works on: two at once on the same object end in 45035."""

    def register(handler: Handler) -> Handler:
        ENDPOINTS[path] = Endpoint(
            path, method, handler, empty or {}, kinds, needs_token, counted, exclusive, family, plain_ids, bare
        )
        return handler

    return register


def answer(call: Call) -> Body | Binary:
    """Check and carry out a call. Never raises for what a caller did wrong."""
    engine, target = call.engine, call.endpoint
    engine.calls[target.path] += 1
    try:
        _admit(call)
        _take_in(call)
        if call.forbidden:
            raise Refused(40033)
        if target.exclusive and (target.path, target.exclusive(call)) in engine.busy:
            raise Refused(45035)
        result = target.handler(call)
        engine.errcodes[target.path][0] += 1
        if isinstance(result, Binary):
            return result
        if target.method == "POST":
            engine.dirty = True
        result = _give_out(call, result)
        if call.query.get("debug") == "1":
            result = {**result, "debug": _parsed(call)}
        return result if target.bare else {"errcode": 0, "errmsg": f"ok{_warning(call)}", **result}
    except Refused as refusal:
        return refuse(call, refusal)


def refuse(call: Call, refusal: Refused) -> Body:
    """The body of a refusal: errcode, errmsg, the endpoint's empty defaults and the refusal's own fields."""
    call.engine.errcodes[call.endpoint.path][refusal.errcode] += 1
    text = message(refusal.errcode, refusal.text, ip=call.ip)
    body = {
        "errcode": refusal.errcode,
        "errmsg": text + _warning(call),
        **copy.deepcopy(call.endpoint.empty),
        **_give_out(call, refusal.fields),
    }
    return {**body, "debug": _parsed(call)} if call.query.get("debug") == "1" else body


def _warning(call: Call) -> str:
    return " (Warning: wrong json format. )" if call.broken_json else ""


def _parsed(call: Call) -> Body:
    """What debug=1 echoes: the parameters as they were understood. The fields' names are ours."""
    return {"query": {name: value for name, value in call.query.items() if name != CORP}, "body": call.body}


def _admit(call: Call) -> None:
    """Token, trusted address, permission, limits. Raises Refused."""
    target, engine = call.endpoint, call.engine
    now = engine.clock.now()
    if not target.needs_token:
        return
    if target.family == SUITE:
        call.grant_suite = engine.tokens.check_suite(call.query.get(SUITE, ""), now=now)
    elif target.family == PROVIDER:
        call.provider = engine.tokens.check_provider(call.query.get(PROVIDER, ""), now=now)
    if target.family != CORP:
        _trust(call)
        owner = call.grant_suite.suite_id if call.grant_suite else call.provider
        provider = call.grant_suite.provider if call.grant_suite else call.provider
        engine.limits.check(corpid=owner, app=provider, ip=call.ip, path=target.path, now=now, provider=True)
        return
    grant = engine.tokens.check(call.query.get(CORP, ""), now=now)
    call.grant_corp, call.grant_app = grant.corp, grant.app
    call.grant_suite = engine.suites.suite_of(grant.app)
    _trust(call)
    if grant.app.kind not in target.kinds or target.path in grant.app.forbidden:
        raise Refused(48002)
    if target.counted:
        engine.limits.check(
            corpid=grant.corp.corpid,
            app=f"{grant.corp.corpid}:{grant.app.agentid}",
            ip=call.ip,
            path=target.path,
            now=now,
            provider=call.grant_suite is not None,
        )
    if call.query.get("debug") == "1":
        engine.limits.check_debug(corpid=grant.corp.corpid, path=target.path, now=now)


def _trust(call: Call) -> None:
    """The corp's trusted addresses for its own apps, the provider's for its apps. Raises Refused 60020."""
    if call.grant_suite is not None:
        trusted = call.grant_suite.trusted_ips
    else:
        trusted = call.grant_corp.trusted_ips if call.grant_corp else None
    if trusted is not None and call.ip not in trusted:
        raise Refused(60020)


def _take_in(call: Call) -> None:
    """What a provider's app asks, in the corp's own ids."""
    suite = call.grant_suite
    if suite is None or call.grant_corp is None or call.endpoint.plain_ids:
        return
    view = call.engine.suites.identities.of(suite.provider, call.grant_corp)
    same = call.engine.suites.corp_subject(suite, call.grant_corp)
    call.query = view.request(dict(call.query), corp_subject=same)
    call.body = view.request(call.body, corp_subject=same)


def _give_out(call: Call, result: Body) -> Body:
    """What a provider's app hears, in the provider's ids."""
    suite = call.grant_suite
    if suite is None or call.grant_corp is None or call.endpoint.plain_ids or not result:
        return result
    view = call.engine.suites.identities.of(suite.provider, call.grant_corp)
    same = call.engine.suites.corp_subject(suite, call.grant_corp)
    shown: Body = view.answer(result, path=call.endpoint.path, corp_subject=same)
    return shown
