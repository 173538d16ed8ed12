"""Codes for joining groups that open new groups, welcomes of groups, temporary contact ways."""

import pytest
import requests


@pytest.fixture
def group(caller):
    userid = caller.guides()[0]
    chat_id = caller.simulator.act("create_group", userid=userid, name="满减群", external_userids=[])["chat_id"]
    yield chat_id
    caller.simulator.act("dismiss_group", chat_id=chat_id)


def members(caller, chat_id):
    return caller.ok("groupchat/get", {"chat_id": chat_id, "need_name": 1})["group_chat"]["member_list"]


def test_a_full_group_opens_the_next(caller, group, receiver):
    caller.simulator.post("/_sim/switches", {"group_full_at": 2})
    body = {"scene": 2, "chat_id_list": [group], "room_base_name": "销售群", "room_base_id": 10, "state": "poster_g"}
    config_id = caller.ok("groupchat/add_join_way", body)["config_id"]
    came = [caller.simulator.act("scan_join_way", config_id=config_id) for _ in range(3)]

    assert came[0]["chat_id"] == group
    assert came[1]["chat_id"] == came[2]["chat_id"] or came[1]["chat_id"] != group
    first = next(each for each in members(caller, group) if each["type"] == 2)
    assert (first["join_scene"], first["state"], first["unionid"]) == (3, "poster_g", came[0]["unionid"])
    opened = caller.ok("groupchat/get", {"chat_id": came[1]["chat_id"]})["group_chat"]
    assert (opened["name"], opened["owner"]) == ("销售群10", caller.guides()[0])
    assert caller.ok("groupchat/get", {"chat_id": came[2]["chat_id"]})["group_chat"]["name"] == "销售群11"
    way = caller.ok("groupchat/get_join_way", {"config_id": config_id})["join_way"]
    assert way["chat_id_list"] == [group, came[1]["chat_id"], came[2]["chat_id"]]
    assert way["qr_code"].startswith("https://")
    joined, created, joined_new = receiver.next(3)
    assert (joined["JoinScene"], joined["MemChangeList"]["Item"]) == ("3", came[0]["external_userid"])
    assert (created["ChangeType"], created["ChatId"]) == ("create", came[1]["chat_id"])
    assert joined_new["UpdateDetail"] == "add_member"
    again = caller.simulator.act("scan_join_way", config_id=config_id, unionid=came[0]["unionid"])
    assert again["chat_id"] == group

    caller.ok(
        "groupchat/update_join_way",
        {"config_id": config_id, "scene": 2, "chat_id_list": [group], "auto_create_room": 0},
    )
    shown = caller.ok("groupchat/get_join_way", {"config_id": config_id})["join_way"]
    assert (shown["state"], shown["room_base_name"]) == ("", "")
    with pytest.raises(requests.HTTPError, match="full"):
        caller.simulator.act("scan_join_way", config_id=config_id)
    caller.ok("groupchat/del_join_way", {"config_id": config_id})
    assert caller.errcode("groupchat/get_join_way", {"config_id": config_id}) == 41044
    caller.simulator.post("/_sim/switches", {"group_full_at": 200})


@pytest.mark.parametrize(
    ("change", "errcode"),
    [
        ({"scene": None}, 41038),
        ({"scene": 3}, 41040),
        ({"chat_id_list": []}, 40058),
        ({"chat_id_list": ["wrNone"]}, 90501),
        ({"chat_id_list": ["a", "b", "c", "d", "e", "f"]}, 41091),
        ({"state": "s" * 31}, 40058),
        ({"room_base_name": "名" * 41}, 40058),
    ],
)
def test_what_cannot_be_a_join_way(caller, group, change, errcode):
    assert caller.errcode("groupchat/add_join_way", {"scene": 2, "chat_id_list": [group]} | change) == errcode


def test_a_long_remark_is_cut(caller, group):
    body = {"scene": 1, "chat_id_list": [group], "remark": "长" * 40}
    config_id = caller.ok("groupchat/add_join_way", body)["config_id"]
    assert caller.ok("groupchat/get_join_way", {"config_id": config_id})["join_way"]["remark"] == "长" * 30


def test_a_group_greets_with_the_template_its_owner_picked(caller, group):
    path = "group_welcome_template/"
    link = {"title": "群规", "url": "https://example.com/rules"}
    template_id = caller.ok(path + "add", {"text": {"content": "欢迎进群"}, "link": link})["template_id"]
    caller.simulator.act("pick_group_welcome", chat_id=group, template_id=template_id)
    customer = caller.friends_of(caller.guides()[0])[0]
    caller.simulator.act("join_group", chat_id=group, external_userid=customer)

    rows = [row for row in caller.simulator.journal(kind="welcome") if row["chat_id"] == group]
    assert [(row["external_userid"], row["text"]) for row in rows] == [(customer, "欢迎进群")]
    assert rows[0]["attachments"][0]["link"] == link
    caller.ok(path + "edit", {"template_id": template_id, "text": {"content": "新的欢迎"}})
    shown = caller.ok(path + "get", {"template_id": template_id})
    assert shown["text"] == {"content": "新的欢迎"}
    assert "link" not in shown
    caller.ok(path + "del", {"template_id": template_id})
    assert caller.errcode(path + "get", {"template_id": template_id}) == 40058
    assert caller.errcode(path + "add", {}) == 40058
    assert caller.errcode(path + "add", {"text": {"content": "字" * 1001}}) == 40058
    assert caller.errcode(path + "get", {}) == 40063


def test_a_mini_program_learns_which_group_it_is_in(caller, group):
    known = caller.simulator.get(f"/_sim/corps/{caller.corpid}/groups")["items"]
    opengid = next(each["opengid"] for each in known if each["chat_id"] == group)
    assert caller.ok("opengid_to_chatid", {"opengid": opengid})["chat_id"] == group
    assert caller.errcode("opengid_to_chatid", {"opengid": "tGnone"}) == 90511


def test_a_temporary_way_is_for_one_person_and_a_time(caller):
    userid = caller.guides()[0]
    closing = {"text": {"content": "再见"}}
    body = {"type": 1, "scene": 2, "user": [userid], "is_temp": True, "unionid": "oOnlyThisOne", "conclusions": closing}
    made = caller.ok("add_contact_way", body | {"chat_expires_in": 3600})
    shown = caller.ok("get_contact_way", {"config_id": made["config_id"]})["contact_way"]
    assert (shown["unionid"], shown["conclusions"]) == ("oOnlyThisOne", closing)
    listed = caller.ok("list_contact_way")["contact_way"]
    assert made["config_id"] not in [each["config_id"] for each in listed]
    with pytest.raises(requests.HTTPError, match="somebody else"):
        caller.simulator.act("scan", config_id=made["config_id"], unionid="oAnotherPerson")
    guest = caller.simulator.act("scan", config_id=made["config_id"], unionid="oOnlyThisOne")["external_userid"]
    assert caller.errcode("get_contact_way", {"config_id": made["config_id"]}) == 41044
    caller.ok("close_temp_chat", {"userid": userid, "external_userid": guest})
    assert caller.errcode("close_temp_chat", {"userid": userid, "external_userid": guest}) == 84061
    assert [row["text"] for row in caller.simulator.journal(kind="notice", external_userid=guest)] == ["再见"]

    short = caller.ok("add_contact_way", {"type": 1, "scene": 2, "user": [userid], "is_temp": True, "expires_in": 60})
    caller.simulator.post("/_sim/clock", {"advance_seconds": 61})
    with pytest.raises(requests.HTTPError, match="invalid"):
        caller.simulator.act("scan", config_id=short["config_id"])
    assert caller.errcode("add_contact_way", body | {"expires_in": 15 * 86_400}) == 40058
    assert caller.errcode("add_contact_way", body | {"conclusions": {"text": {"content": "长" * 1334}}}) == 40058


def test_a_code_without_skip_verify_waits_for_the_guide(caller, receiver):
    userid = caller.guides()[0]
    way = {"type": 1, "scene": 2, "user": [userid.upper()], "skip_verify": False, "state": "需验证"}
    config_id = caller.ok("add_contact_way", way)["config_id"]
    assert caller.ok("get_contact_way", {"config_id": config_id})["contact_way"]["user"] == [userid]
    asked = caller.simulator.act("scan", config_id=config_id)
    assert (asked["added"], asked["welcome_code"], asked["userid"]) == (False, None, userid)
    assert caller.get("externalcontact/get", external_userid=asked["external_userid"])["errcode"] == 84061
    caller.simulator.act("settle")
    event = receiver.next()[0]
    assert (event["ExternalUserID"], event["State"]) == (asked["external_userid"], "需验证")
    assert event["WelcomeCode"]
    assert caller.simulator.act("scan", config_id=config_id, external_userid=asked["external_userid"])["already"]
