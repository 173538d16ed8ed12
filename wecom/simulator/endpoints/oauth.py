"""Who logged in (reference §19.1): codes of the web log-in, members' details."""

from __future__ import annotations

from typing import Any

from wecom.simulator.errors import Refused
from wecom.simulator.logins import PRIVATE, LoginCode, Person, email_of, mobile_of, openid_of
from wecom.simulator.wire import MESSAGES, PROVIDER, SUITE, Body, Call, endpoint
from wecom.simulator.world import Corp, Member


@endpoint("GET", "auth/getuserinfo", kinds=MESSAGES, counted=False)
def get_user_info(call: Call) -> Body:
    """code → userid (snsapi_privateinfo: user_ticket), or openid and, for a customer in range, external_userid."""
    known = _redeemed(call)
    person = known.person
    if person.userid:
        member = _in_scope(call, person.userid)
        answer: Body = {"userid": member.userid}
        if known.scope == PRIVATE:
            answer |= {"user_ticket": _ticket(call, person), "expires_in": 1800}
        return answer
    answer = {"openid": openid_of(call.corp, person.external_userid)}
    followers = call.corp.followers_of.get(person.external_userid, {}).values()
    if any(not each.half and call.sees_follower(each) for each in followers):
        answer["external_userid"] = person.external_userid
    return answer


@endpoint("GET", "user/getuserinfo", kinds=MESSAGES, counted=False)
def get_user_info_older(call: Call) -> Body:
    """The older path: UserId and DeviceId, or OpenId."""
    person = _redeemed(call).person
    if person.userid:
        return {"UserId": _in_scope(call, person.userid).userid, "DeviceId": ""}
    return {"OpenId": openid_of(call.corp, person.external_userid), "DeviceId": ""}


@endpoint("POST", "auth/getuserdetail", kinds=MESSAGES)
def get_user_detail(call: Call) -> Body:
    """user_ticket → what the member agreed to tell."""
    person = call.engine.logins.person_of(call.text("user_ticket", missing=84090), now=call.engine.clock.now())
    if person.corpid != call.corp.corpid:
        raise Refused(84090)
    return _detail(_in_scope(call, person.userid))


@endpoint("GET", "service/auth/getuserinfo3rd", family=SUITE)
def get_user_info_3rd(call: Call) -> Body:
    """code of a log-in with the suite_id → corpid, userid, open_userid, user_ticket; or openid."""
    return _third_party(call)


@endpoint("GET", "service/getuserinfo3rd", family=SUITE)
def get_user_info_3rd_older(call: Call) -> Body:
    """The older path."""
    return _third_party(call)


@endpoint("POST", "service/auth/getuserdetail3rd", family=SUITE)
def get_user_detail_3rd(call: Call) -> Body:
    """user_ticket → corpid, userid and what the member agreed to tell."""
    person = call.engine.logins.person_of(call.text("user_ticket", missing=84090), now=call.engine.clock.now())
    corp = call.engine.world.corps[person.corpid]
    member = corp.member(person.userid)
    if member is None:
        raise Refused(60111)
    view = call.engine.suites.identities.of(call.suite.provider, corp)
    return {"corpid": view.corpid, **_detail(member), "userid": view.outward(member.userid), "name": ""}


@endpoint("POST", "service/get_login_info", family=PROVIDER)
def get_login_info(call: Call) -> Body:
    """auth_code of the provider's own log-in page → usertype, user_info, corp_info, agent[], auth_info."""
    now = call.engine.clock.now()
    known = call.engine.logins.redeem(call.text("auth_code", missing=40029), owner=call.provider, now=now)
    corp = call.engine.world.corps[known.person.corpid]
    view = call.engine.suites.identities.of(call.provider, corp)
    userid = view.outward(known.person.userid)
    suites = call.engine.suites.suites.values()
    apps = [each for suite in suites if (each := call.engine.suites.authorised(suite.suite_id, corp))]
    return {
        "usertype": 1,
        "user_info": {"userid": userid, "open_userid": userid, "name": userid, "avatar": ""},
        "corp_info": {"corpid": view.corpid},
        "agent": [{"agentid": app.agentid, "auth_type": 1} for _, app in apps],
        "auth_info": {"department": []},
    }


def _redeemed(call: Call) -> LoginCode:
    code = call.text("code", missing=40029)
    return call.engine.logins.redeem(code, owner=call.corp.corpid, now=call.engine.clock.now())


def _in_scope(call: Call, userid: str) -> Member:
    member = call.corp.member(userid)
    if member is None:
        raise Refused(60111)
    if not call.sees(member):
        raise Refused(50002)
    return member


def _ticket(call: Call, person: Person) -> str:
    return call.engine.logins.user_ticket(person, now=call.engine.clock.now())


def _third_party(call: Call) -> Body:
    now = call.engine.clock.now()
    known = call.engine.logins.redeem(call.text("code", missing=40029), owner=call.suite.suite_id, now=now)
    corp: Corp = call.engine.world.corps[known.person.corpid]
    if not known.person.userid:
        return {"openid": openid_of(corp, known.person.external_userid)}
    view = call.engine.suites.identities.of(call.suite.provider, corp)
    userid = view.outward(known.person.userid)
    answer: Body = {"corpid": view.corpid, "userid": userid, "open_userid": userid}
    if known.scope == PRIVATE:
        answer |= {"user_ticket": _ticket(call, known.person), "expires_in": 1800}
    return answer


def _detail(member: Member) -> dict[str, Any]:
    return {
        "userid": member.userid,
        "gender": member.gender,
        "avatar": f"http://wx.qlogo.cn/mmhead/{member.userid}/0",
        "qr_code": f"https://open.work.weixin.qq.com/wwopen/userQRCode?vcode={member.userid}",
        "mobile": mobile_of(member.userid),
        "email": email_of(member.userid),
        "biz_mail": email_of(member.userid),
        "address": "",
    }
