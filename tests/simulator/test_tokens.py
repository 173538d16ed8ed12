"""Tokens withdrawn, secrets guessed, addresses and concurrency limited, permissions and licences missing."""

from __future__ import annotations

import pytest
import requests


def gettoken(caller, secret):
    query = {"corpid": caller.corpid, "corpsecret": secret}
    return requests.get(caller.simulator.api_base + "gettoken", params=query, timeout=10).json()


def good_secret(caller):
    return caller.simulator.corps()[0]["apps"][0]["secret"]


@pytest.fixture
def limits(caller):
    """Set limits for one test."""
    before = caller.simulator.post("/_sim/limits", {})
    yield lambda **given: caller.simulator.post("/_sim/limits", given)
    numbers = {name: value for name, value in before.items() if isinstance(value, int) and name != "enabled"}
    caller.simulator.post("/_sim/limits", numbers)


@pytest.mark.parametrize(("expire", "errcode"), [(False, 40014), (True, 42001)])
def test_a_token_can_be_withdrawn_early(caller, expire, errcode):
    assert caller.get("department/list")["errcode"] == 0
    caller.simulator.post("/_sim/tokens/revoke", {"corpid": caller.corpid, "expire": expire})
    url, query = caller.simulator.api_base + "department/list", {"access_token": caller.token}
    assert requests.get(url, params=query, timeout=10).json()["errcode"] == errcode
    assert caller.simulator.token() != caller.token


def test_guessing_secrets_bans_the_address_for_an_hour(caller, limits):
    limits(wrong_secrets=3)
    assert [gettoken(caller, "wrong")["errcode"] for _ in range(3)] == [40001, 40001, 45009]
    assert gettoken(caller, good_secret(caller))["errcode"] == 45009  # the right one, too
    assert caller.get("department/list")["errcode"] == 0  # who has a token still works
    caller.simulator.post("/_sim/clock", {"advance_seconds": 3601})
    assert gettoken(caller, good_secret(caller))["errcode"] == 0


def test_gettoken_can_be_guarded(caller, limits):
    limits(gettoken_per_minute=2)
    assert [gettoken(caller, good_secret(caller))["errcode"] for _ in range(3)] == [0, 0, 45009]


def test_a_reset_secret_ends_the_old_one_and_its_token(caller):
    secret = good_secret(caller)
    app = f"/_sim/corps/{caller.corpid}/apps/{caller.agentid}"
    caller.simulator.post(app, {"secret": "another"})
    assert gettoken(caller, secret)["errcode"] == 40001
    url, query = caller.simulator.api_base + "department/list", {"access_token": caller.token}
    assert requests.get(url, params=query, timeout=10).json()["errcode"] == 40014
    caller.simulator.post(app, {"secret": secret})
    assert gettoken(caller, secret)["errcode"] == 0


def test_the_address_has_a_limit_over_all_corps(caller, limits):
    limits(ip_per_minute=3)
    other = type(caller)(caller.simulator, corp=1)
    codes = [each.get("department/list")["errcode"] for each in (caller, other, caller, other)]
    assert codes == [0, 0, 0, 45009]


def test_calls_at_once_are_limited_per_corp_and_call(caller, limits):
    limits(concurrent=1)
    slow = caller.begin_slowly("GET", "department/list")
    assert type(caller)(caller.simulator).get("department/list")["errcode"] == 45033
    caller.simulator.delete("/_sim/faults")
    slow.join()
    assert caller.get("department/list")["errcode"] == 0


def test_two_writes_on_one_pair_at_once_conflict(caller):
    userid = caller.guides()[0]
    tag = caller.ok("get_corp_tag_list")["tag_group"][0]["tag"][0]["id"]
    first, second = caller.friends_of(userid)[:2]
    body = {"userid": userid, "external_userid": first, "add_tag": [tag]}
    slow = caller.begin_slowly("POST", "externalcontact/mark_tag", body)
    assert caller.errcode("mark_tag", body) == 45035
    assert caller.errcode("mark_tag", body | {"external_userid": second}) == 0
    caller.simulator.delete("/_sim/faults")
    slow.join()
    assert caller.errcode("mark_tag", body) == 0


def test_a_days_limit_lasts_to_the_end_of_the_natural_day(caller, limits):
    rule = {"path": "department/simplelist", "scope": "corp", "window": "day", "cap": 1}
    limits(rules=[rule])
    assert [caller.get("department/simplelist")["errcode"] for _ in range(2)] == [0, 45009]
    now = caller.simulator.get("/_sim/health")["now"]
    left = 86_400 - (int(now) + 8 * 3600) % 86_400  # until midnight in Shanghai
    caller.simulator.post("/_sim/clock", {"advance_seconds": left + 1})
    assert caller.get("department/simplelist")["errcode"] == 0
    limits(rules=[rule | {"cap": 10**9}])


@pytest.mark.parametrize(
    "given", [{"per_second": 3}, {"rules": [{"path": "x", "scope": "moon", "window": "day", "cap": 1}]}]
)
def test_a_nonsensical_limit_is_refused(caller, given):
    with pytest.raises(requests.HTTPError, match="400"):
        caller.simulator.post("/_sim/limits", given)


def test_members_without_a_licence_are_named_or_refused(caller):
    first, second = caller.guides()[:2]
    app = f"/_sim/corps/{caller.corpid}/apps/{caller.agentid}"
    caller.simulator.post(app, {"unlicensed": [first]})
    both = caller.ok("batch/get_by_user", {"userid_list": [first, second]})
    assert both["fail_info"]["unlicensed_userid_list"] == [first]
    assert {each["follow_info"]["userid"] for each in both["external_contact_list"]} == {second}
    assert caller.errcode("batch/get_by_user", {"userid_list": [first]}) == 701008
    caller.simulator.post(app, {"unlicensed": []})
