"""The provider's calls: suite tokens, authorisation, corp tokens (reference §5.1)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from wecom.simulator.errors import Refused
from wecom.simulator.suite_records import AuthCode, PreAuth, Suite
from wecom.simulator.suites import PRE_AUTH_LIVES
from wecom.simulator.wire import PROVIDER, SUITE, Body, Call, endpoint
from wecom.simulator.world import CUSTOMIZED_APP, ROOT_DEPARTMENT, THIRD_PARTY_APP, App, Corp


@endpoint("POST", "service/get_suite_token", needs_token=False)
def get_suite_token(call: Call) -> Body:
    """suite_id, suite_secret, suite_ticket → suite_access_token, expires_in. Official 97107."""
    suite_id = call.text("suite_id", missing=41021)
    secret = call.text("suite_secret", missing=41004)
    ticket = call.text("suite_ticket", missing=41023)
    suite = call.engine.suites.suites.get(suite_id)
    if suite is None:
        raise Refused(40083)
    if suite.secret != secret:
        raise Refused(40001, "invalid suite_secret")
    if not call.engine.suites.good_ticket(suite, ticket, now=call.engine.clock.now()):
        raise Refused(40085)
    token, seconds = call.engine.tokens.issue_suite(suite, now=call.engine.clock.now())
    return {"suite_access_token": token, "expires_in": seconds}


@endpoint("POST", "service/get_provider_token", needs_token=False, bare=True)
def get_provider_token(call: Call) -> Body:
    """corpid, provider_secret → provider_access_token, expires_in; a success says no errcode."""
    corpid = call.text("corpid", missing=41002)
    secret = call.text("provider_secret", missing=41004)
    if corpid not in call.engine.suites.providers:
        raise Refused(40013)
    if call.engine.suites.providers[corpid] != secret:
        raise Refused(40001)
    token, seconds = call.engine.tokens.issue_provider(corpid, now=call.engine.clock.now())
    return {"provider_access_token": token, "expires_in": seconds}


@endpoint("GET", "service/get_pre_auth_code", family=SUITE)
def get_pre_auth_code(call: Call) -> Body:
    """→ pre_auth_code, good for 20 minutes."""
    suites = call.engine.suites
    made = PreAuth(suites.new_code(), call.suite.suite_id, call.engine.clock.now() + PRE_AUTH_LIVES)
    suites.pre_auths[made.code] = made
    return {"pre_auth_code": made.code, "expires_in": PRE_AUTH_LIVES}


@endpoint("POST", "service/set_session_info", family=SUITE)
def set_session_info(call: Call) -> Body:
    """pre_auth_code, session_info {appid[], auth_type 0 formal, 1 test}."""
    known = call.engine.suites.pre_auths.get(call.text("pre_auth_code", missing=40077))
    if known is None or known.suite_id != call.suite.suite_id:
        raise Refused(40077)
    if known.expires_at <= call.engine.clock.now():
        raise Refused(42007)
    session = call.record("session_info")
    if session.get("auth_type", 0) not in (0, 1) or not isinstance(session.get("appid", []), list):
        raise Refused(40058, "invalid session_info")
    known.session = session
    return {}


@endpoint("POST", "service/get_permanent_code", family=SUITE)
def get_permanent_code(call: Call) -> Body:
    """auth_code (once) → access_token, permanent_code, auth_corp_info, auth_info, auth_user_info. Official 97108."""
    return _permanent_code(call)


@endpoint("POST", "service/v2/get_permanent_code", family=SUITE)
def get_permanent_code_v2(call: Call) -> Body:
    """The newer path, with the same fields."""
    return _permanent_code(call)


def _permanent_code(call: Call) -> Body:
    code = _auth_code(call)
    suite, corp = call.suite, call.engine.world.corps[code.corpid]
    known = call.engine.suites.authorised(suite.suite_id, corp)
    if known is None:
        raise Refused(40078)
    code.used = True
    token, seconds = call.engine.tokens.issue(corp=corp, app=known[1], now=call.engine.clock.now())
    view = call.engine.suites.identities.of(suite.provider, corp)
    admin = view.outward(known[0].admin)
    return {
        "access_token": token,
        "expires_in": seconds,
        "permanent_code": known[1].secret,
        **_auth_info(call, corp, known[1]),
        "auth_user_info": {"userid": admin, "open_userid": admin, "name": admin, "avatar": ""},
        "register_code_info": {"register_code": "", "template_id": "", "state": ""},
        "state": known[0].state,
    }


@endpoint("POST", "service/get_corp_token", family=SUITE)
def get_corp_token(call: Call) -> Body:
    """auth_corpid, permanent_code → access_token of a third-party app; 代开发 apps use gettoken instead."""
    corp, app = _authorised(call)
    if call.suite.kind == CUSTOMIZED_APP:
        raise Refused(40084, "a customized app's token comes from gettoken")
    token, seconds = call.engine.tokens.issue(corp=corp, app=app, now=call.engine.clock.now())
    return {"access_token": token, "expires_in": seconds}


@endpoint("POST", "service/get_auth_info", family=SUITE)
def get_auth_info(call: Call) -> Body:
    """auth_corpid, permanent_code → dealer_corp_info, auth_corp_info, auth_info."""
    return _auth_info(call, *_authorised(call))


@endpoint("POST", "service/get_admin_list", family=SUITE, empty={"admin": []})
def get_admin_list(call: Call) -> Body:
    """auth_corpid, agentid → admin[] of the app."""
    corp = _corp(call)
    known = call.engine.suites.authorised(call.suite.suite_id, corp)
    if known is None:
        raise Refused(48004)
    if call.number("agentid", missing=41011) != known[1].agentid:
        raise Refused(40056)
    admin = call.engine.suites.identities.of(call.suite.provider, corp).outward(known[0].admin)
    return {"admin": [{"userid": admin, "open_userid": admin, "auth_type": 1}]}


@endpoint("POST", "service/get_customized_auth_url", family=PROVIDER)
def get_customized_auth_url(call: Call) -> Body:
    """state, templateid_list[] → qrcode_url of a 代开发 template; scanning it leads to create_auth."""
    suites = call.engine.suites
    wanted = call.strings("templateid_list", missing=40063)
    if len(wanted) != 1 or not _is_template(suites.suites.get(wanted[0]), call.provider):
        raise Refused(40083)
    code = suites.new_code(length=43)
    suites.templates[code] = (wanted[0], call.text("state"))
    return {
        "qrcode_url": f"{call.base_url}/open.work.weixin.qq.com/3rdapp/customized?code={quote(code)}",
        "expires_in": 7 * 86_400,
    }


@endpoint("POST", "service/corpid_to_opencorpid", family=PROVIDER)
def corpid_to_opencorpid(call: Call) -> Body:
    """corpid → open_corpid, the encrypted one."""
    corp = call.engine.world.corp(call.text("corpid", missing=41002))
    if corp is None:
        raise Refused(40013)
    return {"open_corpid": call.engine.suites.identities.of(call.provider, corp).corpid}


@endpoint("POST", "externalcontact/finish_external_userid_migration", family=PROVIDER)
def finish_external_userid_migration(call: Call) -> Body:
    """corpid: from now on the provider's apps see its own external_userids there."""
    corp = call.engine.suites.corp_behind(call.engine.world, call.text("corpid", missing=41002))
    if corp is None:
        raise Refused(40013)
    call.engine.suites.migrated.add((call.provider, corp.corpid))
    return {}


@endpoint("POST", "service/externalcontact/unionid_to_external_userid_3rd", family=SUITE)
def unionid_to_external_userid_3rd(call: Call) -> Body:
    """unionid, openid, corpid (optional) → external_userid_info[] in the corps that authorised the suite."""
    unionid = call.text("unionid", missing=40063)
    call.text("openid", missing=40063)
    suites = call.engine.suites
    corps = [_corp(call, "corpid")] if call.text("corpid") else list(call.engine.world.corps.values())
    found = []
    for corp in corps:
        customer = corp.by_unionid.get(unionid)
        if customer is None or suites.authorised(call.suite.suite_id, corp) is None:
            continue
        view = suites.identities.of(call.suite.provider, corp)
        found.append({"corpid": view.corpid, "external_userid": view.outward(customer.external_userid)})
    return {"external_userid_info": found}


def _is_template(suite: Suite | None, provider: str) -> bool:
    return suite is not None and suite.kind == CUSTOMIZED_APP and suite.provider == provider


def _auth_code(call: Call) -> AuthCode:
    code = call.engine.suites.auth_codes.get(call.text("auth_code", missing=40078))
    if code is None or code.used or code.suite_id != call.suite.suite_id:
        raise Refused(40078)
    if code.expires_at <= call.engine.clock.now():
        raise Refused(40078)
    return code


def _corp(call: Call, name: str = "auth_corpid") -> Corp:
    """The corp whose encrypted corpid the suite's provider gives."""
    given = call.text(name, missing=41002)
    suites = call.engine.suites
    for corp in call.engine.world.corps.values():
        if suites.corpid_for(call.suite, corp) == given:
            return corp
    raise Refused(40013)


def _authorised(call: Call) -> tuple[Corp, App]:
    """The corp and app that auth_corpid and permanent_code name. Raises Refused 40013, 40084."""
    corp = _corp(call)
    known = call.engine.suites.authorised(call.suite.suite_id, corp)
    if known is None or known[1].secret != call.text("permanent_code", missing=40084):
        raise Refused(40084)
    return corp, known[1]


def _auth_info(call: Call, corp: Corp, app: App) -> dict[str, Any]:
    view = call.engine.suites.identities.of(call.suite.provider, corp)
    visible = app.visible or {"users": [], "parties": [ROOT_DEPARTMENT]}
    return {
        "dealer_corp_info": {},
        "auth_corp_info": {
            "corpid": view.corpid,
            "corp_name": corp.name,
            "corp_type": "verified",
            "corp_square_logo_url": "",
            "corp_user_max": 5000,
            "corp_full_name": corp.name,
            "subject_type": 1,
            "verified_end_time": call.now + 365 * 86_400,
            "corp_wxqrcode": "",
            "corp_scale": "51-100人",
            "corp_industry": "零售",
            "corp_sub_industry": "",
            "location": "",
        },
        "auth_info": {
            "agent": [
                {
                    "agentid": app.agentid,
                    "name": app.name,
                    "square_logo_url": "",
                    "round_logo_url": "",
                    "auth_mode": 0,
                    "is_customized_app": app.kind != THIRD_PARTY_APP,
                    "privilege": {
                        "level": 1,
                        "allow_party": visible["parties"],
                        "allow_user": [view.outward(each) for each in visible["users"]],
                        "allow_tag": [],
                        "extra_party": [],
                        "extra_user": [],
                        "extra_tag": [],
                    },
                }
            ]
        },
    }
