"""An app whose visible range (可见范围) is narrower than the corp: what it is shown, what is 60011."""

from __future__ import annotations

import pytest


@pytest.fixture
def narrow(caller):
    """The app sees the second store only: its members in, everybody else out."""
    inside = [each["userid"] for each in caller.get("user/list", department_id=2)["userlist"]]
    outside = [each for each in caller.guides() if each not in inside]
    app = f"/_sim/corps/{caller.corpid}/apps/{caller.agentid}"
    caller.simulator.post(app, {"users": None, "parties": [2]})
    yield inside, outside
    caller.simulator.post(app, {"users": None, "parties": None})


def test_the_range_is_told(caller, narrow):
    told = caller.get("agent/get", agentid=caller.agentid)
    assert told["allow_partys"] == {"partyid": [2]}
    assert told["allow_userinfos"] == {"user": []}


def test_lists_show_what_is_inside(caller, narrow):
    inside, _ = narrow
    assert caller.guides() == inside
    assert [each["id"] for each in caller.get("department/list")["department"]] == [2]
    assert [
        each["userid"] for each in caller.get("user/simplelist", department_id=1, fetch_child=1)["userlist"]
    ] == inside
    groups = caller.ok("groupchat/list", {"limit": 100})["group_chat_list"]
    owners = {caller.ok("groupchat/get", {"chat_id": each["chat_id"]})["group_chat"]["owner"] for each in groups}
    assert owners <= set(inside)


def test_what_is_outside_is_60011(caller, narrow):
    inside, outside = narrow
    assert caller.get("user/get", userid=outside[0])["errcode"] == 60011
    assert caller.get("user/simplelist", department_id=3)["errcode"] == 60011
    assert caller.get("department/list", id=3)["errcode"] == 60011
    assert caller.get("department/get", id=3)["errcode"] == 60011
    refused = caller.get("externalcontact/list", userid=outside[0])
    assert (refused["errcode"], refused["external_userid"]) == (60011, [])
    assert caller.errcode("batch/get_by_user", {"userid_list": [inside[0], outside[0]]}) == 60011
    assert caller.errcode("add_contact_way", {"type": 1, "scene": 2, "user": [outside[0]]}) == 60011
    assert caller.errcode("add_contact_way", {"type": 2, "scene": 2, "party": [3]}) == 60011
    link = {"link_name": "外", "range": {"department_list": [3]}}
    assert caller.errcode("customer_acquisition/create_link", link) == 60011
    now = int(caller.simulator.get("/_sim/health")["now"])
    days = {"start_time": now - 86_400, "end_time": now - 86_400}
    assert caller.errcode("get_user_behavior_data", {"partyid": [3], **days}) == 60011
    owners = {"owner_filter": {"userid_list": [outside[0]]}, "day_begin_time": now - 86_400}
    assert caller.errcode("groupchat/statistic", owners) == 60011
    assert caller.errcode("add_msg_template", {"sender": outside[0], "text": {"content": "x"}}) == 60011
    assert caller.get("externalcontact/list", userid=inside[0])["errcode"] == 0


def test_a_customer_of_people_outside_only_is_60011_with_empty_defaults(caller, narrow):
    inside, outside = narrow
    followed_by = {each["external_userid"]: {row["userid"] for row in each["follows"]} for each in caller.people()}
    strange = next(who for who, guides in followed_by.items() if guides and not guides & set(inside))
    refused = caller.get("externalcontact/get", external_userid=strange)
    assert (refused["errcode"], refused["external_contact"], refused["follow_user"]) == (60011, {}, [])
    both = next((who for who, guides in followed_by.items() if guides & set(inside) and guides & set(outside)), None)
    assert both is not None
    shown = caller.get("externalcontact/get", external_userid=both)["follow_user"]
    assert {each["userid"] for each in shown} <= set(inside)


def test_messages_do_not_reach_outside(caller, narrow):
    inside, outside = narrow
    message = {"agentid": caller.agentid, "msgtype": "text", "text": {"content": "x"}}
    sent = caller.post("message/send", message | {"touser": f"{inside[0]}|{outside[0]}"})
    assert (sent["errcode"], sent["invaliduser"]) == (0, outside[0])
    assert caller.post("message/send", message | {"touser": outside[0]})["errcode"] == 81013


def test_a_tag_or_everybody_reaches_nobody_outside(caller, narrow):
    inside, outside = narrow
    caller.simulator.act("member_tag", tagid=1, add_users=[inside[0], outside[0]])
    message = {"agentid": caller.agentid, "msgtype": "text", "text": {"content": "x"}}
    for to in ({"totag": "1"}, {"toparty": "1"}, {"touser": "@all"}):
        msgid = caller.post("message/send", message | to)["msgid"]
        sent = {row["userid"] for row in caller.simulator.journal(kind="app") if row["msgid"] == msgid}
        assert inside[0] in sent
        assert sent <= set(inside)


def test_a_group_of_somebody_outside_raises_no_event(caller, narrow, receiver):
    inside, outside = narrow
    strange = caller.simulator.act("create_group", userid=outside[0], name="外面")["chat_id"]
    caller.simulator.act("change_group", chat_id=strange, name="还是外面")
    known = caller.simulator.act("create_group", userid=inside[0], name="里面")["chat_id"]
    assert receiver.next()[0]["ChatId"] == known
    assert receiver.events == []
