"""JS-SDK tickets (reference §19.2)."""

from __future__ import annotations

from wecom.simulator.errors import Refused
from wecom.simulator.wire import MESSAGES, Body, Call, endpoint


@endpoint("GET", "get_jsapi_ticket", kinds=MESSAGES, empty={"ticket": "", "expires_in": 0})
def get_jsapi_ticket(call: Call) -> Body:
    """→ ticket of the corp, for `config`; 7200 s. Official 90506."""
    ticket, seconds = call.engine.logins.js_ticket(call.corp.corpid, "corp", now=call.engine.clock.now())
    return {"ticket": ticket, "expires_in": seconds}


@endpoint("GET", "ticket/get", kinds=MESSAGES, empty={"ticket": "", "expires_in": 0})
def get_ticket(call: Call) -> Body:
    """type=agent_config → ticket of the app, for `agentConfig`; 91040 for another type."""
    if call.text("type") != "agent_config":
        raise Refused(91040)
    owner = f"{call.corp.corpid}:{call.app.agentid}"
    ticket, seconds = call.engine.logins.js_ticket(owner, "app", now=call.engine.clock.now())
    return {"ticket": ticket, "expires_in": seconds}
