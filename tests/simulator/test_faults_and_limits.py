"""Faults on demand and the frequency limits."""

import pytest
import requests

from tests.simulator.conftest import eventually


def tasks_named(caller, text):
    now = int(caller.simulator.get("/_sim/health")["now"])
    span = {"chat_type": "single", "start_time": now - 3600, "end_time": now + 60, "limit": 100}
    return [
        each for each in caller.ok("get_groupmsg_list_v2", span)["group_msg_list"] if each["text"]["content"] == text
    ]


def add_task(caller, text, *, timeout=30.0):
    userid = caller.guides()[0]
    body = {"sender": userid, "external_userid": caller.friends_of(userid)[:1], "text": {"content": text}}
    return requests.post(
        caller.simulator.api_base + "externalcontact/add_msg_template",
        params={"access_token": caller.token},
        json=body,
        timeout=timeout,
    )


@pytest.mark.parametrize(
    ("mode", "created"),
    [
        ("timeout_before", 0),
        ("timeout_after", 1),
        ("reset", 0),
        ("reset_after", 1),
    ],
)
def test_a_lost_answer_may_or_may_not_have_had_an_effect(caller, mode, created):
    fault = {"path": "/cgi-bin/externalcontact/add_msg_template", "mode": mode, "count": 1}
    caller.simulator.post("/_sim/faults", fault)

    with pytest.raises(requests.RequestException):
        add_task(caller, mode, timeout=0.7)

    eventually(lambda: caller.simulator.get("/_sim/faults")["items"][0]["hits"] == 1)
    eventually(lambda: len(tasks_named(caller, mode)) == created)
    assert add_task(caller, f"{mode} again").json()["errcode"] == 0  # the fault was for one call


def test_a_hung_call_can_be_closed_without_an_answer(caller):
    fault = {"path": "externalcontact/add_msg_template", "mode": "timeout_after", "delay": 0.1, "count": 1}
    caller.simulator.post("/_sim/faults", fault)
    with pytest.raises(requests.ConnectionError):
        add_task(caller, "closed")
    assert len(tasks_named(caller, "closed")) == 1


def test_server_errors_and_chosen_errcodes(caller):
    path = "externalcontact/get_follow_user_list"
    caller.simulator.post("/_sim/faults", {"path": path, "mode": "http_500", "count": 1})
    caller.simulator.post("/_sim/faults", {"path": path, "mode": "errcode", "errcode": -1, "count": 2})
    url, query = caller.simulator.api_base + path, {"access_token": caller.token}

    answers = [requests.get(url, params=query, timeout=10) for _ in range(4)]

    assert answers[0].status_code == 500
    assert [each.json()["errcode"] for each in answers[1:]] == [-1, -1, 0]
    assert answers[1].json()["follow_user"] == []
    assert [each["hits"] for each in caller.simulator.get("/_sim/faults")["items"]] == [1, 2]


def test_a_rate_hits_some_of_the_calls(caller):
    caller.simulator.post("/_sim/faults", {"path": "*", "mode": "errcode", "errcode": 45033, "rate": 0.5})
    codes = [caller.get("department/list")["errcode"] for _ in range(60)]
    assert set(codes) == {0, 45033}


@pytest.mark.parametrize(
    "fault",
    [{"path": "x"}, {"path": "x", "mode": "explode"}, {"path": "x", "mode": "reset", "rate": 2}, {"mode": "reset"}],
)
def test_a_nonsensical_fault_is_refused_by_name(caller, fault):
    with pytest.raises(requests.HTTPError, match="400"):
        caller.simulator.post("/_sim/faults", fault)


def test_over_the_minute_limit_the_api_is_blocked_for_a_minute(caller):
    caller.simulator.post("/_sim/limits", {"per_minute": 3})
    codes = [caller.get("department/list")["errcode"] for _ in range(4)]
    assert codes == [0, 0, 0, 45009]
    assert caller.get("department/simplelist")["errcode"] == 0  # counted per API
    assert type(caller)(caller.simulator, corp=1).get("department/list")["errcode"] == 0  # and per corp
    caller.simulator.post("/_sim/clock", {"advance_seconds": 30})
    assert caller.get("department/list")["errcode"] == 45009
    caller.simulator.post("/_sim/clock", {"advance_seconds": 31})
    assert caller.get("department/list")["errcode"] == 0


def test_the_hour_limit_blocks_for_an_hour(caller):
    caller.simulator.post("/_sim/limits", {"per_hour": 2})
    assert [caller.get("department/list")["errcode"] for _ in range(3)] == [0, 0, 45009]
    caller.simulator.post("/_sim/clock", {"advance_seconds": 1800})
    assert caller.get("department/list")["errcode"] == 45009
    caller.simulator.post("/_sim/clock", {"advance_seconds": 1801})
    caller.token = caller.simulator.token()
    assert caller.get("department/list")["errcode"] == 0


def test_counters_tell_calls_and_errcodes(caller):
    caller.simulator.delete("/_sim/counters")
    caller.get("department/list")
    caller.get("user/get", userid="nobody")
    counted = caller.simulator.get("/_sim/counters")
    assert counted["calls"] == {"department/list": 1, "user/get": 1}
    assert counted["errcodes"]["user/get"] == {"60111": 1}
