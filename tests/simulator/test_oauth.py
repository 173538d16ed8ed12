"""Web log-in, JS-SDK tickets and mini programs."""

from __future__ import annotations

import hashlib
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

BACK = "https://orchard.example/login/back"


def log_in(caller, **query):
    """The query that the browser brings back."""
    address = f"{caller.simulator.base_url}/open.weixin.qq.com/connect/oauth2/authorize"
    given = {"appid": caller.corpid, "redirect_uri": BACK, "response_type": "code", "state": "s 1", **query}
    answer = requests.get(address, params=given, allow_redirects=False, timeout=10)
    assert answer.status_code == 302, answer.text
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


@pytest.fixture
def sits(caller):
    """Say who is at the browser."""

    def somebody(**who):
        caller.simulator.post("/_sim/logins", {"corpid": caller.corpid, **who})

    yield somebody
    somebody(nobody=True)


def test_a_member_logs_in_once_per_code(caller, sits):
    userid = caller.guides()[0]
    sits(userid=userid)
    came = log_in(caller)
    assert came["state"] == "s 1"
    assert caller.get("auth/getuserinfo", code=came["code"])["userid"] == userid
    assert caller.get("auth/getuserinfo", code=came["code"])["errcode"] == 42022
    assert caller.get("auth/getuserinfo", code="nonsense")["errcode"] == 40029
    assert caller.get("user/getuserinfo", code=log_in(caller)["code"])["UserId"] == userid


def test_a_code_lives_five_minutes(caller, sits):
    sits(userid=caller.guides()[0])
    code = log_in(caller)["code"]
    caller.simulator.post("/_sim/clock", {"advance_seconds": 301})
    assert caller.get("auth/getuserinfo", code=code)["errcode"] == 42003


def test_private_scope_brings_a_ticket_for_details(caller, sits):
    userid = caller.guides()[0]
    sits(userid=userid)
    plain = caller.get("auth/getuserinfo", code=log_in(caller)["code"])
    assert "user_ticket" not in plain
    known = caller.get("auth/getuserinfo", code=log_in(caller, scope="snsapi_privateinfo")["code"])
    detail = caller.post("auth/getuserdetail", {"user_ticket": known["user_ticket"]})
    assert (detail["userid"], len(detail["mobile"])) == (userid, 11)
    assert caller.post("user/getuserid", {"mobile": detail["mobile"]})["userid"] == userid
    assert caller.post("user/get_userid_by_email", {"email": detail["email"], "email_type": 2})["userid"] == userid
    assert caller.post("user/getuserid", {"mobile": "10000000000"})["errcode"] == 46004
    openid = caller.post("user/convert_to_openid", {"userid": userid})["openid"]
    assert caller.post("user/convert_to_userid", {"openid": openid})["userid"] == userid
    assert caller.post("auth/getuserdetail", {"user_ticket": "x"})["errcode"] == 84090
    caller.simulator.post("/_sim/clock", {"advance_seconds": 1801})
    assert caller.post("auth/getuserdetail", {"user_ticket": known["user_ticket"]})["errcode"] == 84090


def test_customers_and_strangers(caller, sits):
    person = next(each for each in caller.people() if each["follows"])
    sits(external_userid=person["external_userid"])
    known = caller.get("auth/getuserinfo", code=log_in(caller)["code"])
    assert (known["external_userid"], known["openid"]) == (person["external_userid"], person["openid"])
    sits()
    stranger = caller.get("auth/getuserinfo", code=log_in(caller)["code"])
    assert "external_userid" not in stranger
    assert stranger["openid"]


def test_a_browser_can_choose_who_it_is(caller):
    address = f"{caller.simulator.base_url}/login.work.weixin.qq.com/wwlogin/sso/login"
    query = {"login_type": "CorpApp", "appid": caller.corpid, "agentid": caller.agentid, "redirect_uri": BACK}
    page = requests.get(address, params=query, timeout=10)
    assert caller.guides()[1] in page.text
    chosen = {**query, "sim_corpid": caller.corpid, "sim_userid": caller.guides()[1]}
    back = requests.get(address, params=chosen, allow_redirects=False, timeout=10).headers["Location"]
    code = parse_qs(urlsplit(back).query)["code"][0]
    assert caller.get("auth/getuserinfo", code=code)["userid"] == caller.guides()[1]


def test_only_the_trusted_domain_is_redirected_to(caller, sits):
    sits(userid=caller.guides()[0])
    app = f"/_sim/corps/{caller.corpid}/apps/{caller.agentid}"
    caller.simulator.post(app, {"redirect_domain": "shop.example"})
    address = f"{caller.simulator.base_url}/open.weixin.qq.com/connect/oauth2/authorize"
    query = {"appid": caller.corpid, "agentid": caller.agentid, "redirect_uri": BACK}
    refused = requests.get(address, params=query, allow_redirects=False, timeout=10)
    assert refused.status_code == 400
    assert "50001" in refused.text
    caller.simulator.post(app, {"redirect_domain": ""})


def test_a_member_outside_the_apps_range_is_50002(caller, sits):
    first, second = caller.guides()[:2]
    app = f"/_sim/corps/{caller.corpid}/apps/{caller.agentid}"
    sits(userid=second)
    code = log_in(caller)["code"]
    caller.simulator.post(app, {"users": [first], "parties": []})
    assert caller.get("auth/getuserinfo", code=code)["errcode"] == 50002
    caller.simulator.post(app, {"users": None, "parties": None})


# -- JS-SDK ------------------------------------------------------------------------------------------------------------


def test_tickets_are_the_same_until_they_expire(caller):
    corp = caller.get("get_jsapi_ticket")
    app = caller.get("ticket/get", type="agent_config")
    assert corp["ticket"] == caller.get("get_jsapi_ticket")["ticket"] != app["ticket"]
    assert 0 < app["expires_in"] <= 7200
    assert caller.get("ticket/get", type="jsapi")["errcode"] == 91040
    caller.simulator.post("/_sim/clock", {"advance_seconds": 7300})
    assert caller.get("get_jsapi_ticket")["ticket"] != corp["ticket"]


def test_a_signature_is_checked_as_the_client_would(caller):
    ticket = caller.get("ticket/get", type="agent_config")["ticket"]
    page = "https://orchard.example/sidebar?x=1"
    said = f"jsapi_ticket={ticket}&noncestr=abc&timestamp=1700000000&url={page}"
    given = {"corpid": caller.corpid, "agentid": caller.agentid, "timestamp": 1700000000, "nonceStr": "abc"}
    given |= {"url": f"{page}#top", "signature": hashlib.sha1(said.encode()).hexdigest()}  # noqa: S324
    assert caller.simulator.post("/_sim/jssdk/check", given)["errcode"] == 0
    assert caller.simulator.post("/_sim/jssdk/check", given | {"url": page + "2"})["errcode"] == 40093
    assert caller.simulator.post("/_sim/jssdk/check", given | {"agentid": 1000003})["errcode"] == 42012


def test_the_ticket_has_an_hourly_limit_per_app(caller):
    rule = {"path": "ticket/get", "scope": "app", "window": "hour", "cap": 2}
    caller.simulator.post("/_sim/limits", {"rules": [rule]})
    codes = [caller.get("ticket/get", type="agent_config")["errcode"] for _ in range(3)]
    assert codes == [0, 0, 45009]
    other = type(caller)(caller.simulator, app=1)
    assert other.get("ticket/get", type="agent_config")["errcode"] == 0
    caller.simulator.post("/_sim/limits", {"rules": [rule | {"cap": 100}]})


# -- mini programs -----------------------------------------------------------------------------------------------------


def wechat(caller, path, **query):
    return requests.get(f"{caller.simulator.base_url}/api.weixin.qq.com/{path}", params=query, timeout=10).json()


@pytest.fixture
def program(caller):
    return caller.simulator.post("/_sim/mini_programs", {"corpid": caller.corpid, "name": "会员中心"})


def test_wechats_session_brings_the_unionid_that_leads_to_the_customer(caller, program):
    known = caller.simulator.get(f"/_sim/corps/{caller.corpid}/people", appid=program["appid"], limit=100)["items"]
    person = next(each for each in known if each["unionid"] and each["follows"])
    opened = caller.simulator.post(
        f"/_sim/mini_programs/{program['appid']}/login", {"external_userid": person["external_userid"]}
    )
    query = {"appid": program["appid"], "secret": program["secret"], "grant_type": "authorization_code"}

    session = wechat(caller, "sns/jscode2session", js_code=opened["js_code"], **query)

    assert "errcode" not in session
    assert (session["unionid"], session["openid"]) == (person["unionid"], person["openid"])
    assert session["session_key"]
    assert wechat(caller, "sns/jscode2session", js_code=opened["js_code"], **query)["errcode"] == 40029  # once
    found = caller.post("idconvert/unionid_to_external_userid", {**session, "subject_type": 0})
    assert found["external_userid"] == person["external_userid"]


def test_somebody_new_is_pending_until_they_add_a_guide(caller, program):
    door = f"/_sim/mini_programs/{program['appid']}/login"
    query = {"appid": program["appid"], "secret": program["secret"], "grant_type": "authorization_code"}
    code = caller.simulator.post(door, {"unionid": "oStrangerWithUnionid"})["js_code"]
    session = wechat(caller, "sns/jscode2session", js_code=code, **query)
    assert session["unionid"] == "oStrangerWithUnionid"
    pending = caller.post("idconvert/unionid_to_external_userid", session)["pending_id"]

    scan = caller.simulator.act("scan", userid=caller.guides()[0], unionid=session["unionid"])

    known = caller.post("idconvert/unionid_to_external_userid", session)
    assert known["external_userid"] == scan["external_userid"]
    told = caller.post("idconvert/batch/external_userid_to_pending_id", {"external_userid": [scan["external_userid"]]})
    assert told["result"][0]["pending_id"] == pending
    again = wechat(caller, "sns/jscode2session", js_code=caller.simulator.post(door, session)["js_code"], **query)
    assert again["openid"] == session["openid"]


def test_wecoms_session_brings_the_member(caller, program):
    userid = caller.guides()[0]
    opened = caller.simulator.post(f"/_sim/mini_programs/{program['appid']}/login", {"userid": userid})
    query = {"js_code": opened["js_code"], "grant_type": "authorization_code"}
    session = caller.get("miniprogram/jscode2session", **query)
    assert (session["corpid"], session["userid"]) == (caller.corpid, userid)
    assert caller.get("miniprogram/jscode2session", **query)["errcode"] == 42022
    moved = {"userid": userid, "session_key": session["session_key"]}
    assert caller.post("miniprogram/transfer_session", moved)["userid"] == userid
    assert caller.post("miniprogram/transfer_session", moved | {"session_key": "x"})["errcode"] == 42013


def test_wechats_token_is_replaced_by_a_new_one_but_a_stable_one_is_not(caller, program):
    query = {"grant_type": "client_credential", "appid": program["appid"], "secret": program["secret"]}
    first = wechat(caller, "cgi-bin/token", **query)["access_token"]
    assert wechat(caller, "cgi-bin/token", **query)["access_token"] != first
    url = f"{caller.simulator.base_url}/api.weixin.qq.com/cgi-bin/stable_token"
    stable = [requests.post(url, json=query, timeout=10).json()["access_token"] for _ in range(2)]
    assert stable[0] == stable[1]
    assert wechat(caller, "cgi-bin/token", **query | {"secret": "x"})["errcode"] == 40125
    assert requests.post(url, data=b"{not json", timeout=10).json()["errcode"] == 40013
