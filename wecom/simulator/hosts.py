"""WeCom's and WeChat's other hosts, each under a path prefix of its own name: the authorisation page, web log-in, and
WeChat's mini-program calls (reference §5.1 step 5, §19). A browser may choose who it is; `/_sim/logins` decides it
beforehand, so that the redirect comes at once."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from wecom.simulator import consents
from wecom.simulator.control_base import ENGINE, reply
from wecom.simulator.engine import Engine
from wecom.simulator.errors import Refused, message
from wecom.simulator.logins import MiniProgram, Person, openid_of
from wecom.simulator.reading import understood
from wecom.simulator.suite_records import Suite
from wecom.simulator.suites import AUTH_CODE_LIVES
from wecom.simulator.world import App, Corp

routes = web.RouteTableDef()

INSTALL = "/open.work.weixin.qq.com/3rdapp/install"
CUSTOMIZED = "/open.work.weixin.qq.com/3rdapp/customized"
WECHAT = "/api.weixin.qq.com"
WEB = ("http", "https")
AUTHORIZE = "/open.weixin.qq.com/connect/oauth2/authorize"
SSO = "/login.work.weixin.qq.com/wwlogin/sso/login"
SSO_OLDER = "/open.work.weixin.qq.com/wwopen/sso/qrConnect"


# -- authorisation -----------------------------------------------------------------------------------------------------


@routes.get(INSTALL)
async def install_page(request: web.Request) -> web.Response:
    """?suite_id=&pre_auth_code=&redirect_uri=&state=: choose a corp and agree."""
    suite, problem = _installing(request)
    if suite is None:
        return _page("无法授权", f"<p>{html.escape(problem)}</p>", status=400)
    return _choice(request.app[ENGINE], suite, request.query)


@routes.post(INSTALL)
async def install(request: web.Request) -> web.Response:
    """The chosen corp agrees: back to redirect_uri with auth_code, expires_in and state."""
    engine = request.app[ENGINE]
    suite, problem = _installing(request)
    corp = engine.world.corp(str((await request.post()).get("corpid", "")))
    if suite is None or corp is None:
        return _page("无法授权", f"<p>{html.escape(problem or '没有选择企业')}</p>", status=400)
    state = request.query.get("state", "")
    admin = next(iter(corp.members))
    code = consents.authorise(engine, suite, corp, admin=admin, state=state, scope={}, tell=False)
    del engine.suites.pre_auths[request.query["pre_auth_code"]]
    answer = {"auth_code": code.code, "expires_in": str(AUTH_CODE_LIVES), "state": state}
    raise web.HTTPFound(_with(request.query["redirect_uri"], answer))


@routes.get(CUSTOMIZED)
async def template_page(request: web.Request) -> web.Response:
    """?code=: what the QR code of a 代开发 template shows."""
    engine = request.app[ENGINE]
    known = engine.suites.templates.get(request.query.get("code", ""))
    suite = engine.suites.suites.get(known[0]) if known else None
    if suite is None:
        return _page("无法授权", "<p>二维码已失效。</p>", status=400)
    return _choice(engine, suite, request.query)


@routes.post(CUSTOMIZED)
async def agree_to_template(request: web.Request) -> web.Response:
    """The chosen corp agrees: create_auth goes to the command URL."""
    engine = request.app[ENGINE]
    known = engine.suites.templates.get(request.query.get("code", ""))
    suite = engine.suites.suites.get(known[0]) if known else None
    corp = engine.world.corp(str((await request.post()).get("corpid", "")))
    if known is None or suite is None or corp is None:
        return _page("无法授权", "<p>二维码已失效，或没有选择企业。</p>", status=400)
    admin = next(iter(corp.members))
    consents.authorise(engine, suite, corp, admin=admin, state=known[1], scope={}, tell=True)
    return _page("授权成功", f"<p>{html.escape(corp.name)} 已授权“{html.escape(suite.name)}”。</p>")


def _installing(request: web.Request) -> tuple[Suite | None, str]:
    """(the suite, "") or (None, what is wrong)."""
    engine, query = request.app[ENGINE], request.query
    suite = engine.suites.suites.get(query.get("suite_id", ""))
    pre_auth = engine.suites.pre_auths.get(query.get("pre_auth_code", ""))
    if suite is None:
        return None, "suite_id 不正确"
    if pre_auth is None or pre_auth.suite_id != suite.suite_id or pre_auth.expires_at <= engine.clock.now():
        return None, "pre_auth_code 不正确或已过期"
    if urlsplit(query.get("redirect_uri", "")).scheme not in WEB:
        return None, "redirect_uri 不正确"
    return suite, ""


def _choice(engine: Engine, suite: Suite, query: Mapping[str, str]) -> web.Response:
    options = "".join(
        f'<p><button name="corpid" value="{html.escape(corp.corpid)}">{html.escape(corp.name)}</button></p>'
        for corp in engine.world.corps.values()
    )
    note = f"<p>“{html.escape(suite.name)}”请求获得授权。以哪家企业的管理员身份同意？</p>"
    return _page(
        "企业微信 · 应用授权", f'{note}<form method="post" action="?{html.escape(urlencode(query))}">{options}</form>'
    )


# -- web log-in --------------------------------------------------------------------------------------------------------


@routes.get(AUTHORIZE)
@routes.get(SSO)
@routes.get(SSO_OLDER)
async def log_in(request: web.Request) -> web.Response:
    """?appid=&redirect_uri=&scope=&state=&agentid=: back to redirect_uri with code (auth_code of a provider's page)."""
    engine, query = request.app[ENGINE], request.query
    appid, target = query.get("appid", ""), query.get("redirect_uri", "")
    corp, app = _logging_in(engine, appid, query.get("agentid", ""))
    if corp is None and appid not in engine.suites.suites and appid not in engine.suites.providers:
        return _page("无法登录", f"<p>{message(40013, 'invalid appid', ip='')}</p>", status=400)
    where = urlsplit(target)
    if where.scheme not in WEB or (app and app.redirect_domain and where.netloc != app.redirect_domain):
        return _page("无法登录", f"<p>{message(50001, None, ip='')}</p>", status=400)
    person = _chosen(engine, corp, query) or engine.logins.at_browser.get(corp.corpid if corp else appid)
    if person is None:
        return _who(engine, corp, query)
    owner = corp.corpid if corp else appid
    scope = query.get("scope", "snsapi_base")
    code = engine.logins.new_code(owner, person, now=engine.clock.now(), scope=scope)
    name = "auth_code" if appid in engine.suites.providers else "code"
    raise web.HTTPFound(_with(target, {name: code, "state": query.get("state", "")}))


def _logging_in(engine: Engine, appid: str, agentid: str) -> tuple[Corp | None, App | None]:
    corp = engine.suites.corp_behind(engine.world, appid)
    app = next((each for each in corp.apps if str(each.agentid) == agentid), None) if corp else None
    return corp, app


def _chosen(engine: Engine, corp: Corp | None, query: Mapping[str, str]) -> Person | None:
    """Who the browser said it is, on the page below."""
    owner = corp or engine.world.corp(query.get("sim_corpid", ""))
    if owner is None or "sim_userid" not in query:
        return None
    return Person(owner.corpid, userid=query["sim_userid"])


def _who(engine: Engine, corp: Corp | None, query: Mapping[str, str]) -> web.Response:
    corps = [corp] if corp else list(engine.world.corps.values())
    people = [(each, member) for each in corps for member in list(each.members.values())[:200]]
    links = "".join(
        f'<p><a href="?{html.escape(urlencode({**query, "sim_corpid": each.corpid, "sim_userid": member.userid}))}">'
        f"{html.escape(member.name)} · {html.escape(member.userid)}</a></p>"
        for each, member in people
    )
    return _page("企业微信 · 登录", f"<p>以谁的身份登录？</p>{links}")


# -- WeChat ------------------------------------------------------------------------------------------------------------


@routes.get(f"{WECHAT}/sns/jscode2session")
async def js_code_to_session(request: web.Request) -> web.Response:
    """?appid=&secret=&js_code=&grant_type=authorization_code → openid, session_key, unionid; no errcode on success."""
    engine, query = request.app[ENGINE], request.query
    try:
        program = _program(engine, query)
        if query.get("grant_type") != "authorization_code":
            raise Refused(40002, "invalid grant_type")
        known = engine.logins.codes.get(query.get("js_code", ""))
        if known is None or known.owner != program.appid or known.used or known.expires_at <= engine.clock.now():
            raise Refused(40029, "invalid code")
    except Refused as refusal:
        return _refused(refusal)
    known.used = True
    corp = engine.world.corps[program.corpid]
    customer = corp.customers.get(known.person.external_userid)
    who = known.person.external_userid or known.person.unionid or known.person.userid
    unionid = customer.unionid if customer else known.person.unionid
    openid = openid_of(corp, who, appid=program.appid)
    answer = {"openid": openid, "session_key": engine.logins.session_key(known.person.userid)}
    engine.logins.openids[openid] = unionid or ""
    return reply(answer | ({"unionid": unionid} if unionid else {}))


@routes.get(f"{WECHAT}/cgi-bin/token")
async def wechat_token(request: web.Request) -> web.Response:
    """?grant_type=client_credential&appid=&secret= → access_token; the one before ends about five minutes later."""
    return _token(request.app[ENGINE], request.query, stable=False)


@routes.post(f"{WECHAT}/cgi-bin/stable_token")
async def wechat_stable_token(request: web.Request) -> web.Response:
    """{grant_type, appid, secret} → access_token, the same while it is good."""
    body, _ = understood(await request.read())
    return _token(request.app[ENGINE], body, stable=True)


def _token(engine: Engine, given: Mapping[str, Any], *, stable: bool) -> web.Response:
    try:
        program = _program(engine, given)
        if given.get("grant_type") != "client_credential":
            raise Refused(40002, "invalid grant_type")
    except Refused as refusal:
        return _refused(refusal)
    token, seconds = engine.logins.wechat_token(program, now=engine.clock.now(), stable=stable)
    return reply({"access_token": token, "expires_in": seconds})


def _program(engine: Engine, given: Mapping[str, Any]) -> MiniProgram:
    """The mini program that appid and secret name. WeChat's own codes, which are not in WeCom's list."""
    program = engine.logins.mini_programs.get(str(given.get("appid", "")))
    if program is None:
        raise Refused(40013, "invalid appid")
    if program.secret != given.get("secret"):
        raise Refused(40125, "invalid appsecret")
    return program


def _refused(refusal: Refused) -> web.Response:
    return reply({"errcode": refusal.errcode, "errmsg": refusal.text})


def _with(url: str, query: dict[str, str]) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"


def _page(title: str, body: str, *, status: int = 200) -> web.Response:
    style = "body{font:16px/1.6 sans-serif;max-width:32rem;margin:3rem auto;padding:0 1rem}button{font:inherit}"
    text = f"<!doctype html><meta charset=utf-8><title>{title}</title><style>{style}</style><h1>{title}</h1>{body}"
    return web.Response(text=text, status=status, content_type="text/html")
