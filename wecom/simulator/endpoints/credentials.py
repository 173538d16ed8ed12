"""gettoken and the utility calls (reference §2)."""

from __future__ import annotations

from wecom.simulator.errors import Refused
from wecom.simulator.wire import DIRECTORY, MESSAGES, Body, Call, endpoint
from wecom.simulator.world import ROOT_DEPARTMENT


@endpoint("GET", "gettoken", needs_token=False)
def get_token(call: Call) -> Body:
    """corpid, corpsecret → access_token, expires_in. Official 91039."""
    secret = call.text("corpsecret", missing=41004)
    corp = call.engine.world.corp(call.text("corpid", missing=41002))
    if corp is None:
        raise Refused(40013)
    app = next((app for app in corp.apps if app.secret == secret), None)
    if app is None:
        raise Refused(40001)
    token, seconds = call.engine.tokens.issue(corp=corp, app=app, now=call.engine.clock.now())
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
    """agentid → the app and its visible range (the whole corp)."""
    if call.number("agentid", missing=41011) != call.app.agentid:
        raise Refused(301002)
    return _agent(call) | {
        "description": "",
        "allow_userinfos": {"user": []},
        "allow_partys": {"partyid": [ROOT_DEPARTMENT]},
        "allow_tags": {"tagid": []},
        "close": 0,
        "redirect_domain": "",
        "report_location_flag": 0,
        "isreportenter": 0,
        "home_url": "",
        "customized_publish_status": 1,
    }


@endpoint("GET", "agent/list", kinds=MESSAGES, empty={"agentlist": []})
def list_agents(call: Call) -> Body:
    """→ agentlist: the app of this token."""
    return {"agentlist": [_agent(call)]}


def _agent(call: Call) -> Body:
    return {
        "agentid": call.app.agentid,
        "name": call.app.name,
        "square_logo_url": "",
    }
