"""The switches that make WeCom worse on purpose, or take the other reading where its behaviour is not known."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
import requests

from tests.simulator.receiver import AES_KEY, TOKEN, Receiver

WORSE = {
    "callback_loss_rate": 0.0,
    "callback_shuffle_rate": 0.0,
    "callback_duplicate_rate": 0.0,
    "callback_bad_signature_rate": 0.0,
    "callback_delay_seconds": 0.0,
    "callback_lanes": 1,
    "console_welcome": False,
    "existing_tag_returned": False,
    "api_events": False,
    "stale_detail_seconds": 0,
}


@pytest.fixture(scope="module")
def receiver(simulator) -> Receiver:
    corpid = simulator.corps()[0]["corpid"]
    made = Receiver(corpid)
    body = {"url": made.url, "token": TOKEN, "aes_key": AES_KEY, "timeout": 10}
    assert simulator.post(f"/_sim/corps/{corpid}/callback", body)["ok"] is True
    return made


@pytest.fixture
def switch(simulator) -> Iterator:
    yield lambda **given: simulator.post("/_sim/switches", given)
    simulator.post("/_sim/switches", WORSE)


def edit(caller, times: int) -> None:
    """The guide edits a customer's remark so many times: as many events."""
    userid = caller.guides()[0]
    external_userid = caller.friends_of(userid)[0]
    for number in range(times):
        caller.simulator.act("edit", userid=userid, external_userid=external_userid, remark=f"{number}")


def drained(caller, receiver: Receiver) -> list[dict[str, str]]:
    """All events that arrive, once none is pending."""
    while caller.simulator.get("/_sim/counters")["callbacks"]["pending"]:
        with receiver.arrived:
            receiver.arrived.wait(0.02)
    with receiver.arrived:
        taken, receiver.events = receiver.events, []
    return taken


def counted(caller) -> dict[str, int]:
    return dict(caller.simulator.get("/_sim/counters")["callbacks"])


def test_some_events_are_lost(caller, receiver, switch):
    switch(callback_loss_rate=0.5)
    caller.simulator.delete("/_sim/counters")
    edit(caller, 40)
    came = drained(caller, receiver)
    counts = counted(caller)
    assert counts["raised"] == 40
    assert 0 < counts["lost"] < 40
    assert len(came) == counts["delivered"] == 40 - counts["lost"]


def test_some_events_come_twice(caller, receiver, switch):
    switch(callback_duplicate_rate=0.5)
    caller.simulator.delete("/_sim/counters")
    edit(caller, 30)
    came = drained(caller, receiver)
    assert len(came) == 30 + counted(caller)["duplicated"] > 30


def test_some_events_overtake_their_neighbour(caller, receiver, switch):
    switch(callback_shuffle_rate=1.0)
    caller.simulator.delete("/_sim/counters")
    caller.simulator.act("tag", action="create", group_name="乱", name="序")  # the group, then the tag: two at once
    assert [event["TagType"] for event in drained(caller, receiver)] == ["tag", "tag_group"]
    assert counted(caller)["shuffled"] == 1


def test_lanes_let_several_be_under_way_at_once(caller, receiver, switch):
    switch(callback_lanes=4)
    receiver.hold = 4  # nobody is answered until four are there
    edit(caller, 4)
    assert len(drained(caller, receiver)) == 4
    assert receiver.most_at_once == 4
    receiver.hold = 0


def test_a_forged_signature_is_among_the_attempts(caller, receiver, switch):
    switch(callback_bad_signature_rate=1.0)
    caller.simulator.delete("/_sim/counters")
    edit(caller, 1)
    assert drained(caller, receiver) == []
    counts = counted(caller)
    assert (counts["attempts"], counts["bad_signature"], counts["given_up"]) == (3, 3, 1)


def test_a_pressed_card_tells_what_was_chosen(caller, receiver):
    option = {"question_key": "when", "option_list": [{"id": "now", "text": "现在"}, {"id": "late", "text": "晚点"}]}
    card = {"card_type": "vote_interaction", "task_id": "vote-1", "main_title": {"title": "何时"}, "checkbox": option}
    card["submit_button"] = {"text": "提交", "key": "submit"}
    guide = caller.guides()[0]
    body = {"touser": guide, "agentid": caller.agentid, "msgtype": "template_card", "template_card": card}
    msgid = caller.post("message/send", body)["msgid"]
    press = {"userid": guide, "key": "submit", "selected": {"when": ["now", "late"]}}
    code = caller.simulator.post(f"/_sim/messages/{msgid}/press", press)["response_code"]

    event = drained(caller, receiver)[0]

    assert (event["Event"], event["FromUserName"], event["EventKey"]) == ("template_card_event", guide, "submit")
    assert (event["TaskId"], event["ResponseCode"], event["AgentID"]) == ("vote-1", code, str(caller.agentid))
    chosen = event["SelectedItems"]["SelectedItem"]
    assert (chosen["QuestionKey"], chosen["OptionIds"]["OptionId"]) == ("when", ["now", "late"])


def test_a_receiver_that_does_not_answer_in_time_is_refused(simulator):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the connection and says nothing
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        body = {"url": url, "token": TOKEN, "aes_key": AES_KEY, "timeout": 0.1}
        answer = simulator.post(f"/_sim/corps/{simulator.corps()[1]['corpid']}/callback", body)
    assert answer == {"ok": False, "error": "no answer within 0.1 s"}
    assert simulator.corps()[1]["callback"] is None


def test_with_a_welcome_of_the_console_there_is_no_code(caller, receiver, switch):
    switch(console_welcome=True)
    scan = caller.simulator.act("scan", userid=caller.guides()[0])
    assert scan["welcome_code"] is None
    assert "WelcomeCode" not in drained(caller, receiver)[0]


def test_details_may_lag_behind_their_event(caller, receiver, switch):
    switch(stale_detail_seconds=60)
    who = caller.simulator.act("scan", userid=caller.guides()[0])["external_userid"]
    assert drained(caller, receiver)[0]["ExternalUserID"] == who
    assert caller.get("externalcontact/get", external_userid=who)["errcode"] == 84061
    caller.simulator.post("/_sim/clock", {"advance_seconds": 61})
    assert caller.get("externalcontact/get", external_userid=who)["errcode"] == 0


def test_a_tag_that_exists_may_be_returned(caller, receiver, switch):
    group = caller.ok("get_corp_tag_list")["tag_group"][0]
    body = {"group_id": group["group_id"], "tag": [{"name": group["tag"][0]["name"]}]}
    assert caller.errcode("add_corp_tag", body) == 40071
    switch(existing_tag_returned=True)
    assert caller.ok("add_corp_tag", body)["tag_group"]["tag"][0]["id"] == group["tag"][0]["id"]


def test_api_changes_may_raise_events(caller, receiver, switch):
    userid = caller.guides()[0]
    body = {"userid": userid, "external_userid": caller.friends_of(userid)[0]}
    caller.ok("remark", body | {"remark": "静"})
    assert drained(caller, receiver) == []
    switch(api_events=True)
    caller.ok("remark", body | {"remark": "响"})
    assert [event["ChangeType"] for event in drained(caller, receiver)] == ["edit_external_contact"]


def test_a_server_error_may_come_after_the_effect(caller):
    userid = caller.guides()[0]
    body = {"userid": userid, "external_userid": caller.friends_of(userid)[0], "remark": "已改"}
    path = "externalcontact/remark"
    caller.simulator.post("/_sim/faults", {"path": path, "mode": "http_500_after", "count": 1})
    query = {"access_token": caller.token}
    assert requests.post(caller.simulator.api_base + path, params=query, json=body, timeout=10).status_code == 500
    detail = caller.get("externalcontact/get", external_userid=body["external_userid"])
    assert "已改" in [each["remark"] for each in detail["follow_user"] if each["userid"] == userid]


@pytest.mark.parametrize("given", [{"nonsense": 1}, {"api_events": 1}, {"callback_loss_rate": "much"}])
def test_an_unknown_switch_is_refused(caller, given):
    with pytest.raises(requests.HTTPError, match="400"):
        caller.simulator.post("/_sim/switches", given)
