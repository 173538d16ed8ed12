"""Conventions of every call: paths, tokens, order of checks, errors, paging."""

import pytest
import requests


def test_unknown_path_is_an_empty_404(caller):
    answer = requests.post(caller.simulator.api_base + "externalcontact/no_such_call", timeout=10)
    assert (answer.status_code, answer.content) == (404, b"")
    assert requests.get(caller.simulator.base_url + "/elsewhere", timeout=10).status_code == 404


def test_token_counts_only_in_the_query(caller):
    url = caller.simulator.api_base + "externalcontact/get_corp_tag_list"
    in_header = requests.post(url, headers={"Authorization": f"Bearer {caller.token}"}, json={}, timeout=10).json()
    in_body = requests.post(url, json={"access_token": caller.token}, timeout=10).json()
    assert (in_header["errcode"], in_body["errcode"]) == (41001, 41001)


def test_token_is_checked_before_parameters(caller):
    answer = requests.get(
        caller.simulator.api_base + "externalcontact/get", params={"access_token": "wrong"}, timeout=10
    ).json()
    assert answer == {
        "errcode": 40014,
        "errmsg": "invalid access_token",
        "external_contact": {},
        "follow_user": [],
    }


def test_errmsg_carries_hint_address_and_link(caller):
    message = caller.get("externalcontact/list", userid="nobody")["errmsg"]
    assert "hint: [" in message
    assert "from ip: 127.0.0.1" in message
    assert message.endswith("https://open.work.weixin.qq.com/devtool/query?e=40003")


@pytest.mark.parametrize(
    ("path", "field", "empty"),
    [
        ("externalcontact/list", "external_userid", []),
        ("externalcontact/get", "follow_user", []),
        ("user/get", "direct_leader", []),
        ("externalcontact/get_follow_user_list", "follow_user", None),
    ],
)
def test_failure_bodies_carry_the_empty_defaults(caller, path, field, empty):
    query = {"access_token": "wrong"}
    answer = requests.get(caller.simulator.api_base + path, params=query, timeout=10).json()
    assert answer[field] == (empty or [])


@pytest.mark.parametrize(
    ("query", "errcode"),
    [
        ({}, 41004),
        ({"corpid": "ww0"}, 41004),
        ({"corpsecret": "x"}, 41002),
        ({"corpid": "ww0", "corpsecret": "x"}, 40013),
        ({"corpid": "mine", "corpsecret": "x"}, 40001),
    ],
)
def test_gettoken_refusals(caller, query, errcode):
    if query.get("corpid") == "mine":
        query = query | {"corpid": caller.corpid}
    answer = requests.get(caller.simulator.api_base + "gettoken", params=query, timeout=10).json()
    assert answer["errcode"] == errcode


def test_a_token_stays_the_same_until_it_expires(caller):
    simulator = caller.simulator
    assert simulator.token() == simulator.token()
    assert simulator.token(app=0) != simulator.token(app=1)

    old = simulator.token(corp=1)
    simulator.post("/_sim/clock", {"advance_seconds": 7300})

    answer = requests.get(simulator.api_base + "department/list", params={"access_token": old}, timeout=10).json()
    assert answer["errcode"] == 42001
    assert simulator.token(corp=1) != old


def test_another_corps_token_sees_another_corp(caller):
    mine = set(caller.guides())
    theirs = type(caller)(caller.simulator, corp=1).guides()
    assert theirs
    assert not mine.intersection(theirs)


def test_an_app_without_the_right_to_customers_gets_48002(caller):
    plain = type(caller)(caller.simulator, app=1)
    assert plain.get("externalcontact/get_follow_user_list")["errcode"] == 48002
    assert plain.get("department/list")["errcode"] == 0
    sync = type(caller)(caller.simulator, app=2)
    assert sync.post("user/list_id", {"limit": 3})["errcode"] == 0
    assert caller.post("user/list_id", {})["errcode"] == 48002


def test_an_untrusted_address_is_60020(caller):
    address = f"/_sim/corps/{caller.corpid}/trusted_ips"
    caller.simulator.post(address, {"ips": ["203.0.113.7"]})
    assert caller.get("department/list")["errcode"] == 60020
    caller.simulator.post(address, {"ips": ["203.0.113.7", "127.0.0.1"]})
    assert caller.get("department/list")["errcode"] == 0
    caller.simulator.post(address, {"ips": None})


def test_bad_json_is_a_refusal_not_a_crash(caller):
    answer = requests.post(
        caller.simulator.api_base + "externalcontact/mark_tag",
        params={"access_token": caller.token},
        data=b'{"userid": "a", ',
        timeout=10,
    )
    assert answer.status_code == 200
    assert answer.json()["errcode"] == 40003
    assert "wrong json format" in answer.json()["errmsg"]


def test_get_where_post_is_needed_ignores_the_body(caller):
    assert caller.get("externalcontact/batch/get_by_user")["errcode"] == 40063
    assert caller.get("externalcontact/groupchat/get")["errcode"] == 40063


def test_cursors_are_opaque_belong_to_one_call_and_age(caller):
    body = {"userid_list": caller.guides(), "limit": 10}
    cursor = caller.ok("batch/get_by_user", body)["next_cursor"]
    assert cursor
    assert caller.errcode("batch/get_by_user", body | {"cursor": "garbage"}) == 50100
    assert caller.errcode("batch/get_by_user", body | {"cursor": cursor[:-3] + "abc"}) == 50100
    assert caller.errcode("groupchat/list", {"limit": 1, "cursor": cursor}) == 50100

    caller.simulator.post("/_sim/clock", {"advance_seconds": 3600})

    assert caller.errcode("batch/get_by_user", body | {"cursor": cursor}) == 50100
