"""The control surface for log-ins, mini programs, JS-SDK signatures and cards (docs/simulator.md)."""

from __future__ import annotations

import hashlib
from dataclasses import asdict

from aiohttp import web

from wecom.simulator.control_base import ENGINE, Answer, BadRequest, body_of, corp_named, reply, text_of, text_or_none
from wecom.simulator.logins import Person, openid_of
from wecom.simulator.outbound import EventField
from wecom.simulator.world import Corp

routes = web.RouteTableDef()


@routes.post("/_sim/logins")
async def set_person(request: web.Request) -> web.Response:
    """{corpid, userid | external_userid | neither (a stranger), owner?}: who sits at the browser when it comes to the
    log-in page of the corp, or of `owner`, a suite_id or a provider's corpid. {corpid, nobody: true}: ask again."""
    engine, body = request.app[ENGINE], await body_of(request)
    corp = corp_named(engine, body)
    owner = str(body.get("owner") or corp.corpid)
    if body.get("nobody"):
        engine.logins.at_browser.pop(owner, None)
    else:
        engine.logins.at_browser[owner] = _person(corp, body)
    return reply({"ok": True})


@routes.post("/_sim/logins/code")
async def make_code(request: web.Request) -> web.Response:
    """{corpid, userid | external_userid, owner?, scope?} → {code}, as the redirect would bring it."""
    engine, body = request.app[ENGINE], await body_of(request)
    corp = corp_named(engine, body)
    owner, scope = str(body.get("owner") or corp.corpid), str(body.get("scope", "snsapi_base"))
    code = engine.logins.new_code(owner, _person(corp, body), now=engine.clock.now(), scope=scope)
    return reply({"code": code})


@routes.post("/_sim/mini_programs")
async def add_mini_program(request: web.Request) -> web.Response:
    """{corpid, name?, appid?, secret?} → {appid, secret}: a mini program of the corp's subject."""
    engine, body = request.app[ENGINE], await body_of(request)
    program = engine.logins.add_mini_program(
        corp_named(engine, body),
        name=str(body.get("name", "会员中心")),
        appid=text_or_none(body, "appid"),
        secret=text_or_none(body, "secret"),
    )
    return reply({"appid": program.appid, "secret": program.secret, "name": program.name})


@routes.post("/_sim/mini_programs/{appid}/login")
async def mini_program_login(request: web.Request) -> web.Response:
    """{external_userid | userid | unionid} → {js_code, openid}: that person opens the mini program (wx.login,
    qy.login); a unionid that no customer has is somebody new."""
    engine, body = request.app[ENGINE], await body_of(request)
    program = engine.logins.mini_programs.get(request.match_info["appid"])
    if program is None:
        raise BadRequest("appid: unknown")
    corp = engine.world.corps[program.corpid]
    person = _person(corp, body)
    code = engine.logins.new_code(program.appid, person, now=engine.clock.now())
    who = person.external_userid or person.unionid or person.userid
    return reply({"js_code": code, "openid": openid_of(corp, who, appid=program.appid)})


@routes.post("/_sim/jssdk/check")
async def check_signature(request: web.Request) -> web.Response:
    """{corpid, agentid?, url, timestamp, nonceStr, signature}: what the client would say of a `config`, or with agentid
    an `agentConfig`: errcode 0, 42012 (no such ticket was fetched) or 40093 (wrong signature)."""
    engine, body = request.app[ENGINE], await body_of(request)
    corp = corp_named(engine, body)
    agentid = body.get("agentid")
    key = (corp.corpid, "corp") if agentid is None else (f"{corp.corpid}:{agentid}", "app")
    ticket, expires_at = engine.logins.tickets.get(key, ("", 0.0))
    if expires_at <= engine.clock.now():
        return reply({"errcode": 42012})
    page = text_of(body, "url").split("#")[0]
    said = f"jsapi_ticket={ticket}&noncestr={body.get('nonceStr')}&timestamp={body.get('timestamp')}&url={page}"
    good = hashlib.sha1(said.encode()).hexdigest() == body.get("signature")
    return reply({"errcode": 0 if good else 40093})


@routes.get("/_sim/messages")
async def messages(request: web.Request) -> web.Response:
    """Application messages, ?corpid=: what members have, what was dropped, recalled, updated."""
    found = request.app[ENGINE].messages.messages.values()
    corpid = request.query.get("corpid")
    return reply({"items": [asdict(each) for each in found if corpid in (None, each.corpid)]})


@routes.post("/_sim/messages/{msgid}/press")
async def press(request: web.Request) -> web.Response:
    """{userid, key, selected?: {question_key: [option ids]}}: a member presses a card's button."""
    engine, body = request.app[ENGINE], await body_of(request)
    message = engine.messages.messages.get(request.match_info["msgid"])
    if message is None or message.kind != "template_card":
        raise BadRequest("msgid: not a card")
    corp = engine.world.corps[message.corpid]
    app = next((each for each in corp.apps if each.agentid == message.agentid), None)
    if app is None:
        raise BadRequest("msgid: its app is gone")
    userid = text_of(body, "userid")
    if userid not in message.receivers or message.recalled_at:
        raise BadRequest("userid: does not have this card")
    selection = body.get("selected") or {}
    if not isinstance(selection, dict) or not all(isinstance(each, list) for each in selection.values()):
        raise BadRequest("selected: must be {question_key: [option ids]}")
    code = engine.messages.new_code(corp, message, now=engine.now())
    selected: list[EventField] = [
        (
            "SelectedItem",
            [("QuestionKey", str(question)), ("OptionIds", [("OptionId", str(option)) for option in options])],
        )
        for question, options in selection.items()
    ]
    fields: list[EventField] = [
        ("EventKey", text_of(body, "key")),
        ("TaskId", str(message.part.get("task_id") or "")),
        ("CardType", str(message.part["card_type"])),
        ("ResponseCode", code),
        ("AgentID", message.agentid),
        *([("SelectedItems", selected)] if selected else []),
    ]
    engine.emit_of_app(corp, app, "template_card_event", fields, sender=userid)
    return reply({"ok": True, "response_code": code})


def _person(corp: Corp, body: Answer) -> Person:
    userid, external_userid = str(body.get("userid") or ""), str(body.get("external_userid") or "")
    if userid and corp.member(userid) is None:
        raise BadRequest("userid: unknown")
    if external_userid and external_userid not in corp.customers:
        raise BadRequest("external_userid: unknown")
    unionid = str(body.get("unionid") or "")
    known = corp.by_unionid.get(unionid)
    if known is not None and not external_userid:
        external_userid = known.external_userid
    return Person(corp.corpid, userid=userid, external_userid=external_userid, unionid=unionid)
