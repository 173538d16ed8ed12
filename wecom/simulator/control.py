"""The control surface `/_sim/…`: what a test, a demo or a curious person may ask and do (docs/simulator.md)."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import asdict

from aiohttp import web

from wecom.simulator import acts, crypto, habits, quota
from wecom.simulator.control_base import (
    ENGINE,
    Answer,
    BadRequest,
    body_of,
    list_of,
    number_of,
    receiver_of,
    reply,
    text_of,
)
from wecom.simulator.faults import Fault
from wecom.simulator.logins import openid_of
from wecom.simulator.outbound import VERIFY_WITHIN
from wecom.simulator.saving import Saver
from wecom.simulator.world import Corp

SAVER: web.AppKey[Saver] = web.AppKey("saver", Saver)

routes = web.RouteTableDef()


@web.middleware
async def plain_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn what a caller did wrong into HTTP 400 {"error": …}."""
    try:
        return await handler(request)
    except (BadRequest, acts.BadAct) as error:
        return reply({"error": str(error)}, status=400)


@routes.get("/_sim/health")
async def health(request: web.Request) -> web.Response:
    """Alive, and the simulated time."""
    engine = request.app[ENGINE]
    return reply({"ok": True, "now": engine.clock.now(), "pace": engine.clock.pace, "seed": engine.world.seed})


@routes.get("/_sim/corps")
async def corps(request: web.Request) -> web.Response:
    """Every corp with its secrets and sizes."""
    return reply([_corp(corp) for corp in request.app[ENGINE].world.corps.values()])


@routes.post("/_sim/corps/{corpid}/callback")
async def set_callback(request: web.Request) -> web.Response:
    """{url, token, aes_key, timeout?}: verify by GET, keep it if that succeeds. {"url": ""} removes."""
    engine, corp, body = request.app[ENGINE], _named_corp(request), await body_of(request)
    callback, within = receiver_of(body), number_of(body, "timeout", VERIFY_WITHIN)
    error = await engine.outbound.verify(corp.corpid, callback, within=within) if callback else None
    if error is None:
        corp.callback = callback
        engine.dirty = True
    return reply({"ok": error is None, "error": error})


@routes.post("/_sim/corps/{corpid}/quota")
async def set_quota(request: web.Request) -> web.Response:
    """{mode}: how many mass sends a customer of this corp may receive."""
    corp, body = _named_corp(request), await body_of(request)
    if body.get("mode") not in quota.MODES:
        raise BadRequest(f"mode: must be one of {', '.join(quota.MODES)}")
    corp.quota_mode = body["mode"]
    request.app[ENGINE].dirty = True
    return reply({"ok": True})


@routes.post("/_sim/corps/{corpid}/trusted_ips")
async def set_trusted_ips(request: web.Request) -> web.Response:
    """{ips}: only these addresses may call (60020 for others); null lets any."""
    corp, body = _named_corp(request), await body_of(request)
    corp.trusted_ips = list_of(body, "ips")
    request.app[ENGINE].dirty = True
    return reply({"ok": True})


@routes.get("/_sim/corps/{corpid}/people")
async def people(request: web.Request) -> web.Response:
    """The customers as a mini-program would know them, with hidden interests; ?cursor=&limit= (at most 5000), &appid=
    for the openids of one mini program."""
    corp = _named_corp(request)
    start, limit = _int(request, "cursor", 0), min(_int(request, "limit", 200), 5000)
    appid = request.query.get("appid", "")
    everybody = list(corp.customers.values())
    items = []
    for customer in everybody[start : start + limit]:
        follows = [
            {
                "userid": follow.userid,
                "createtime": follow.createtime,
                "deleted_by_customer": follow.deleted_at > 0,
                "tags": follow.tags,
            }
            for follow in corp.followers_of[customer.external_userid].values()
        ]
        items.append(
            {
                "external_userid": customer.external_userid,
                "unionid": customer.unionid,
                "openid": openid_of(corp, customer.external_userid, appid=appid),
                "name": customer.name,
                "follows": follows,
                "interests": customer.interests,
            }
        )
    following = start + limit
    return reply({"items": items, "next_cursor": str(following) if following < len(everybody) else ""})


@routes.get("/_sim/corps/{corpid}/guides")
async def guides(request: web.Request) -> web.Response:
    """The members with 客户联系: habit and number of customers."""
    corp = _named_corp(request)
    shown = [
        {
            "userid": member.userid,
            "name": member.name,
            "department": member.department,
            "habit": member.habit,
            "customers": len(corp.follows_of[member.userid]),
        }
        for member in corp.service_members()
    ]
    return reply({"items": shown})


@routes.get("/_sim/journal")
async def journal(request: web.Request) -> web.Response:
    """Receipts in order: ?corpid=&kind=&external_userid=&after=&limit= (at most 20000)."""
    query = request.query
    items, following = request.app[ENGINE].journal.read(
        corpid=query.get("corpid") or None,
        kind=query.get("kind") or None,
        external_userid=query.get("external_userid") or None,
        after=_int(request, "after", 0),
        limit=min(_int(request, "limit", 500), 20_000),
    )
    return reply({"items": items, "next_after": following})


@routes.get("/_sim/journal/summary")
async def journal_summary(request: web.Request) -> web.Response:
    """Counts per kind and repeats of one corp."""
    engine = request.app[ENGINE]
    corp = engine.world.corp(request.query.get("corpid", ""))
    if corp is None:
        raise BadRequest("corpid: unknown")
    return reply(engine.journal.summary(corp.corpid))


@routes.post("/_sim/clock")
async def set_clock(request: web.Request) -> web.Response:
    """{advance_seconds?, pace?}. A new pace counts for delays drawn from now on."""
    engine, body = request.app[ENGINE], await body_of(request)
    pace = body.get("pace", engine.clock.pace)
    if isinstance(pace, bool) or not isinstance(pace, int | float) or not 0 < pace < math.inf:
        raise BadRequest("pace: must be a number above 0")
    try:
        engine.clock.advance(float(body.get("advance_seconds", 0)))
    except (TypeError, ValueError) as error:
        raise BadRequest(f"advance_seconds: {error}") from error
    engine.clock.pace = float(pace)
    engine.agenda.changed.set()
    engine.dirty = True
    await engine.agenda.catch_up()
    return reply({"now": engine.clock.now(), "pace": engine.clock.pace})


@routes.post("/_sim/acts/{name}")
async def act(request: web.Request) -> web.Response:
    """Somebody does something: see acts."""
    body = await body_of(request)
    return reply(acts.perform(request.app[ENGINE], request.match_info["name"], body))


@routes.get("/_sim/counters")
async def counters(request: web.Request) -> web.Response:
    """Calls and errcodes per path since the start, callbacks, due acts."""
    engine = request.app[ENGINE]
    return reply(
        {
            "calls": dict(engine.calls),
            "errcodes": {path: dict(codes) for path, codes in engine.errcodes.items()},
            "callbacks": {**engine.outbound.counters, "pending": engine.outbound.pending},
            "acts_pending": len(engine.agenda.heap),
        }
    )


@routes.delete("/_sim/counters")
async def clear_counters(request: web.Request) -> web.Response:
    """Begin to count anew."""
    engine = request.app[ENGINE]
    engine.calls.clear()
    engine.errcodes.clear()
    engine.outbound.counters.clear()
    return reply({"ok": True})


@routes.post("/_sim/faults")
async def add_fault(request: web.Request) -> web.Response:
    """{path, mode, errcode?, count?, rate?, delay?, corpid?}."""
    body = await body_of(request)
    if unknown := set(body) - {"path", "mode", "errcode", "count", "rate", "delay", "corpid"}:
        raise BadRequest(f"unknown fields: {', '.join(sorted(unknown))}")
    path, mode = text_of(body, "path").removeprefix("/cgi-bin/"), text_of(body, "mode")
    try:
        request.app[ENGINE].faults.add(Fault(**{**body, "path": path, "mode": mode}))
    except ValueError as error:
        raise BadRequest(str(error)) from error
    return reply({"ok": True})


@routes.get("/_sim/faults")
async def list_faults(request: web.Request) -> web.Response:
    """The rules in force and how often each hit."""
    return reply({"items": [asdict(rule) for rule in request.app[ENGINE].faults.rules]})


@routes.delete("/_sim/faults")
async def clear_faults(request: web.Request) -> web.Response:
    """End all faults; calls that one made slow are answered now."""
    request.app[ENGINE].faults.clear()
    return reply({"ok": True})


@routes.post("/_sim/tokens/revoke")
async def revoke_tokens(request: web.Request) -> web.Response:
    """{corpid, expire?}: the corp's tokens are invalid at once (40014), or expired (42001)."""
    engine, body = request.app[ENGINE], await body_of(request)
    corp = engine.world.corp(text_of(body, "corpid"))
    if corp is None:
        raise BadRequest("corpid: unknown")
    expire = bool(body.get("expire", False))
    return reply({"revoked": engine.tokens.revoke(corpid=corp.corpid, expire=expire, now=engine.clock.now())})


@routes.post("/_sim/limits")
async def set_limits(request: web.Request) -> web.Response:
    """{per_minute?, …, paths?, rules?, enabled?}; counting begins anew. {} tells all."""
    body, limits = await body_of(request), request.app[ENGINE].limits
    paths, enabled, rules = body.pop("paths", {}), body.pop("enabled", None), body.pop("rules", [])
    try:
        limits.configure(numbers=body, paths=paths, enabled=enabled, rules=rules)
    except (TypeError, ValueError, KeyError) as error:
        raise BadRequest(str(error)) from error
    return reply(limits.describe())


@routes.post("/_sim/switches")
async def set_switches(request: web.Request) -> web.Response:
    """Set switches by name; answers all of them."""
    switches = request.app[ENGINE].switches
    try:
        switches.configure(await body_of(request))
    except ValueError as error:
        raise BadRequest(str(error)) from error
    habits.begin_days(request.app[ENGINE])
    return reply(vars(switches))


@routes.post("/_sim/snapshot")
async def save(request: web.Request) -> web.Response:
    """Write the snapshot now."""
    saver = request.app.get(SAVER)
    if saver is None:
        raise BadRequest("no --snapshot file was given")
    try:
        await saver.save()
    except OSError as error:
        raise BadRequest(str(error)) from error
    return reply({"ok": True, "path": str(saver.path)})


@routes.post("/_sim/decrypt")
async def decrypt(request: web.Request) -> web.Response:
    """{aes_key, encrypt}: what a callback's Encrypt says; a help when setting up a receiver."""
    body = await body_of(request)
    try:
        message, receiveid = crypto.decrypt(text_of(body, "encrypt"), aes_key=text_of(body, "aes_key"))
    except ValueError as error:
        raise BadRequest(str(error)) from error
    return reply({"message": message, "receiveid": receiveid})


def _corp(corp: Corp) -> Answer:
    callback = corp.callback
    return {
        "corpid": corp.corpid,
        "name": corp.name,
        "quota_mode": corp.quota_mode,
        "apps": [
            {"agentid": app.agentid, "name": app.name, "secret": app.secret, "kind": app.kind, "suite_id": app.suite_id}
            for app in corp.apps
        ],
        "guides": sum(1 for _ in corp.service_members()),
        "contacts": len(corp.customers),
        "groups": len(corp.groups),
        "callback": {"url": callback.url, "token": callback.token, "aes_key": callback.aes_key} if callback else None,
    }


def _named_corp(request: web.Request) -> Corp:
    corp = request.app[ENGINE].world.corp(request.match_info["corpid"])
    if corp is None:
        raise BadRequest("corpid: unknown")
    return corp


def _int(request: web.Request, name: str, default: int) -> int:
    try:
        return max(0, int(request.query.get(name) or default))
    except ValueError:
        raise BadRequest(f"{name}: must be a number") from None
