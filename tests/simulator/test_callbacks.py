"""Callbacks out: the handshake, encrypted events, three attempts. A small receiver stands in for the product."""

from __future__ import annotations

from tests.simulator.receiver import AES_KEY, TOKEN


def test_the_handshake_refuses_a_wrong_echo(caller, receiver):
    receiver.wrong_echo = True
    body = {"url": receiver.url, "token": TOKEN, "aes_key": AES_KEY, "timeout": 10}
    answer = caller.simulator.post(f"/_sim/corps/{caller.corpid}/callback", body)
    assert answer["ok"] is False
    assert "echostr" in answer["error"]
    nowhere = body | {"url": "http://127.0.0.1:9/"}
    assert caller.simulator.post(f"/_sim/corps/{caller.corpid}/callback", nowhere)["ok"] is False


def test_a_scan_brings_state_and_a_welcome_code(caller, receiver):
    way = caller.ok("add_contact_way", {"type": 2, "scene": 2, "party": [2], "state": "poster_3"})
    visitor = caller.simulator.act("scan", config_id=way["config_id"], unionid="oVisitorOfPoster3", name="路人甲")

    event = receiver.next()[0]

    assert event["ToUserName"] == caller.corpid
    assert (event["MsgType"], event["Event"], event["ChangeType"]) == (
        "event",
        "change_external_contact",
        "add_external_contact",
    )
    assert (event["State"], event["WelcomeCode"]) == ("poster_3", visitor["welcome_code"])
    assert (event["UserID"], event["ExternalUserID"]) == (visitor["userid"], visitor["external_userid"])
    detail = caller.get("externalcontact/get", external_userid=visitor["external_userid"])
    assert detail["external_contact"]["unionid"] == "oVisitorOfPoster3"
    assert detail["follow_user"][0]["state"] == "poster_3"


def test_each_change_of_a_friendship_has_its_event(caller, receiver):
    userid = caller.guides()[0]
    pair = {"userid": userid, "external_userid": caller.friends_of(userid)[0]}

    visitor = caller.simulator.act("scan", userid=userid, half=True)["external_userid"]
    caller.simulator.act("accept", userid=userid, external_userid=visitor)
    caller.simulator.act("edit", remark="新备注", **pair)
    caller.simulator.act("delete_follow", by="customer", **pair)
    caller.simulator.act("delete_follow", by="guide", **pair)

    assert [event["ChangeType"] for event in receiver.next(5)] == [
        "add_half_external_contact",
        "add_external_contact",
        "edit_external_contact",
        "del_follow_user",
        "del_external_contact",
    ]


def test_groups_tell_their_delta(caller, receiver):
    userid = caller.guides()[0]
    first, second = caller.friends_of(userid)[:2]
    chat_id = caller.simulator.act("create_group", userid=userid, name="新群", external_userids=[first])["chat_id"]
    version = caller.ok("groupchat/get", {"chat_id": chat_id})["group_chat"]["member_version"]
    caller.simulator.act("join_group", chat_id=chat_id, external_userid=second)
    caller.simulator.act("leave_group", chat_id=chat_id, external_userid=first)
    caller.simulator.act("change_group", chat_id=chat_id, name="改名")
    caller.simulator.act("dismiss_group", chat_id=chat_id)

    created, joined, left, renamed, gone = receiver.next(5)

    assert (created["Event"], created["ChangeType"], created["ChatId"]) == ("change_external_chat", "create", chat_id)
    assert (joined["UpdateDetail"], joined["JoinScene"], joined["MemChangeCnt"]) == ("add_member", "3", "1")
    assert joined["MemChangeList"]["Item"] == second
    assert joined["LastMemVer"] == version
    assert left["LastMemVer"] == joined["CurMemVer"]
    assert (left["UpdateDetail"], left["QuitScene"]) == ("del_member", "0")
    assert renamed["UpdateDetail"] == "change_name"
    assert gone["ChangeType"] == "dismiss"


def test_the_console_changes_tags_and_staff(caller, receiver):
    made = caller.simulator.act("tag", action="create", group_name="控制台", name="甲")
    caller.simulator.act("tag", action="update", id=made["id"], name="乙")
    caller.simulator.act("tag", action="delete", id=made["group_id"])
    caller.simulator.act("member", action="create", userid="Lina", name="李娜", department=[3])
    caller.simulator.act("member", action="update", userid="lina", department=[4, 5])
    caller.simulator.act("member", action="delete", userid="lina")

    group, tag, renamed, deleted, hired, moved, left = receiver.next(7)

    assert (group["ChangeType"], group["TagType"], group["Id"]) == ("create", "tag_group", made["group_id"])
    assert (tag["ChangeType"], tag["TagType"], tag["Id"]) == ("create", "tag", made["id"])
    assert renamed["ChangeType"] == "update"
    assert (deleted["ChangeType"], deleted["TagType"]) == ("delete", "tag_group")
    assert (hired["Event"], hired["ChangeType"], hired["UserID"]) == ("change_contact", "create_user", "Lina")
    assert moved["Department"] == "4,5"
    assert left["ChangeType"] == "delete_user"


def test_what_the_api_changes_raises_no_event_unless_switched_on(caller, receiver):
    userid = caller.guides()[0]
    body = {"userid": userid, "external_userid": caller.friends_of(userid)[0]}
    caller.ok("remark", body | {"remark": "一"})
    caller.simulator.post("/_sim/switches", {"api_events": True})
    caller.ok("remark", body | {"remark": "二"})
    caller.simulator.act("scan", userid=userid)

    assert [event["ChangeType"] for event in receiver.next(2)] == ["edit_external_contact", "add_external_contact"]


def test_an_endpoint_that_fails_is_asked_three_times(caller, receiver):
    userid = caller.guides()[0]
    receiver.broken = 2
    caller.simulator.act("scan", userid=userid)
    receiver.next()
    assert receiver.attempts == 3

    receiver.broken = 3
    caller.simulator.act("scan", userid=userid, name="没人听见")
    heard = caller.simulator.act("scan", userid=userid, name="听见了")
    assert receiver.next()[0]["ExternalUserID"] == heard["external_userid"]
    assert receiver.attempts == 3 + 3 + 1


def test_duplicates_on_demand(caller, receiver):
    caller.simulator.post("/_sim/switches", {"callback_duplicate_rate": 1.0})
    caller.simulator.act("scan", userid=caller.guides()[0])
    first, second = receiver.next(2)
    assert first == second
