"""Mini programs as seen from WeCom (reference §19.3); WeChat's own host is in `hosts`."""

from __future__ import annotations

from wecom.simulator.errors import Refused
from wecom.simulator.logins import LoginCode
from wecom.simulator.wire import MESSAGES, SUITE, Body, Call, endpoint


@endpoint("GET", "miniprogram/jscode2session", kinds=MESSAGES)
def js_code_to_session(call: Call) -> Body:
    """js_code, grant_type → corpid, userid, session_key of the member who opened the mini program."""
    known = _redeemed(call)
    if known.person.corpid != call.corp.corpid:
        raise Refused(40029)
    key = call.engine.logins.session_key(known.person.userid)
    corpid = call.corp.corpid
    if call.grant_suite is not None:
        corpid = call.engine.suites.corpid_for(call.grant_suite, call.corp)
    return {"corpid": corpid, "userid": known.person.userid, "session_key": key}


@endpoint("GET", "service/miniprogram/jscode2session", family=SUITE)
def js_code_to_session_3rd(call: Call) -> Body:
    """The same for a provider: the encrypted corpid and the opaque userid."""
    known = _redeemed(call)
    corp = call.engine.world.corps[known.person.corpid]
    if call.engine.suites.authorised(call.suite.suite_id, corp) is None:
        raise Refused(48004)
    view = call.engine.suites.identities.of(call.suite.provider, corp)
    userid = view.outward(known.person.userid)
    key = call.engine.logins.session_key(known.person.userid)
    return {"corpid": view.corpid, "userid": userid, "open_userid": userid, "session_key": key}


@endpoint("POST", "miniprogram/transfer_session", kinds=MESSAGES)
def transfer_session(call: Call) -> Body:
    """userid, session_key of a provider's session → those of the corp; 42013 when the session is gone."""
    key = call.text("session_key", missing=40063)
    userid = call.engine.logins.sessions.get(key)
    if userid is None:
        raise Refused(42013)
    member = call.corp.member(userid)
    if member is None:
        raise Refused(40003)
    return {"userid": member.userid, "session_key": key}


def _redeemed(call: Call) -> LoginCode:
    if call.text("grant_type") != "authorization_code":
        raise Refused(40058, "invalid grant_type")
    code = call.text("js_code", missing=40029)
    logins, now = call.engine.logins, call.engine.clock.now()
    known = logins.codes.get(code)
    if known is None or known.owner not in logins.mini_programs or not known.person.userid:
        raise Refused(40029)
    return logins.redeem(code, owner=known.owner, now=now)
