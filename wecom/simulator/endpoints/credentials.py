"""gettoken and the utility calls (reference §2)."""

from __future__ import annotations

from wecom.simulator.errors import Refused
from wecom.simulator.wire import DIRECTORY, MESSAGES, PROVIDERS, Body, Call, endpoint
from wecom.simulator.world import ROOT_DEPARTMENT, THIRD_PARTY_APP


@endpoint("GET", "gettoken", needs_token=False)
def get_token(call: Call) -> Body:
    """corpid, corpsecret → access_token, expires_in; a 代开发 app's secret is its permanent code. Official 91039."""
    engine, now = call.engine, call.engine.clock.now()
    secret = call.text("corpsecret", missing=41004)
    corpid = call.text("corpid", missing=41002)
    engine.limits.check_gettoken(corpid=corpid, ip=call.ip, now=now)
    corp = engine.suites.corp_behind(engine.world, corpid)
    if corp is None:
        raise Refused(40013)
    app = next((app for app in corp.apps if app.secret == secret and app.kind != THIRD_PARTY_APP), None)
    if app is None:
        engine.limits.wrong_secret(ip=call.ip, now=now)
        raise Refused(40001)
    token, seconds = engine.tokens.issue(corp=corp, app=app, now=now)
    return {"access_token": token, "expires_in": seconds}


@endpoint("GET", "get_api_domain_ip", kinds=DIRECTORY, empty={"ip_list": []})
def get_api_domain_ip(call: Call) -> Body:
    """→ ip_list: where the API answers."""
    return {"ip_list": ["127.0.0.1"]}


@endpoint("GET", "getcallbackip", kinds=DIRECTORY, empty={"ip_list": []})
def get_callback_ip(call: Call) -> Body:
    """→ ip_list: where callbacks come from."""
    return {"ip_list": ["127.0.0.1"]}


@endpoint("GET", "agent/get", kinds=MESSAGES)
def get_agent(call: Call) -> Body:
    """agentid → the app and its visible range."""
    if call.number("agentid", missing=41011) != call.app.agentid:
        raise Refused(301002)
    visible = call.app.visible or {"users": [], "parties": [ROOT_DEPARTMENT]}
    return _agent(call) | {
        "description": "",
        "allow_userinfos": {"user": [{"userid": each} for each in visible["users"]]},
        "allow_partys": {"partyid": visible["parties"]},
        "allow_tags": {"tagid": []},
        "close": 0,
        "redirect_domain": call.app.redirect_domain,
        "report_location_flag": 0,
        "isreportenter": 0,
        "home_url": "",
        "customized_publish_status": 1,
    }


@endpoint("GET", "agent/list", kinds=MESSAGES, empty={"agentlist": []})
def list_agents(call: Call) -> Body:
    """→ agentlist: the app of this token."""
    return {"agentlist": [_agent(call)]}


@endpoint("POST", "agent/get_permissions", kinds=PROVIDERS, empty={"app_permissions": []})
def get_permissions(call: Call) -> Body:
    """→ app_permissions of a provider's app. Only `contact:base:base` is known by name. Official 99052."""
    return {"app_permissions": ["contact:base:base"], "app_permissions_ext": []}


def _agent(call: Call) -> Body:
    return {
        "agentid": call.app.agentid,
        "name": call.app.name,
        "square_logo_url": "",
    }
