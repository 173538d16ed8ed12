"""The life of a mass send, and welcomes."""

import pytest

DAY = 86_400


def send(caller, userid, receivers=None, *, text="会员日到了", **more):
    body = {"sender": userid, "text": {"content": text}, **more}
    if receivers is not None:
        body["external_userid"] = receivers
    return caller.ok("add_msg_template", body)


def results(caller, msgid, userid):
    return caller.ok("get_groupmsg_send_result", {"msgid": msgid, "userid": userid})["send_list"]


def test_nothing_is_delivered_before_the_guide_confirms(caller):
    userid = caller.guides()[0]
    customers = caller.friends_of(userid)[:3]
    msgid = send(caller, userid, customers)["msgid"]
    assert caller.errcode("get_groupmsg_task", {"msgid": msgid}) == 41063  # still being dispatched

    caller.simulator.post("/_sim/clock", {"advance_seconds": 5})

    assert caller.ok("get_groupmsg_task", {"msgid": msgid})["task_list"] == [{"userid": userid, "status": 0}]
    assert {row["status"] for row in results(caller, msgid, userid)} == {0}
    assert not [row for row in caller.simulator.journal() if row["msgid"] == msgid]

    caller.simulator.act("confirm", msgid=msgid, userid=userid)

    task = caller.ok("get_groupmsg_task", {"msgid": msgid})["task_list"][0]
    assert task["status"] == 2
    assert task["send_time"]
    rows = results(caller, msgid, userid)
    assert {(row["external_userid"], row["status"]) for row in rows} == {(each, 1) for each in customers}
    received = [row for row in caller.simulator.journal(kind="single") if row["msgid"] == msgid]
    assert [row["external_userid"] for row in received] == customers
    assert {(row["text"], row["sender"]) for row in received} == {("会员日到了", userid)}


def test_one_task_is_never_received_twice(caller):
    userid = caller.guides()[0]
    msgid = send(caller, userid, caller.friends_of(userid)[:2] * 2, text="只此一次")["msgid"]
    for _ in range(3):
        caller.simulator.act("confirm", msgid=msgid, userid=userid)
    caller.simulator.act("settle")
    assert len([row for row in caller.simulator.journal() if row["msgid"] == msgid]) == 2
    summary = caller.simulator.get("/_sim/journal/summary", corpid=caller.corpid)
    assert summary["sources"][msgid] == {"received": 2, "duplicates": 0}


def test_the_same_content_from_two_tasks_is_counted_as_a_duplicate(caller):
    userid = caller.guides()[0]
    customer = caller.friends_of(userid)[:1]
    before = caller.simulator.get("/_sim/journal/summary", corpid=caller.corpid)["duplicates"]
    send(caller, userid, customer, text="重复的话")
    second = send(caller, userid, customer, text="重复的话")["msgid"]
    caller.simulator.act("settle")
    summary = caller.simulator.get("/_sim/journal/summary", corpid=caller.corpid)
    assert summary["duplicates"] == before + 1
    assert summary["sources"][second]["duplicates"] == 1


def test_who_deleted_the_guide_comes_back_as_status_2(caller):
    userid = caller.guides()[1]
    stays, leaves = caller.friends_of(userid)[:2]
    caller.simulator.act("delete_follow", userid=userid, external_userid=leaves, by="customer")
    made = send(caller, userid, [stays, leaves])
    assert made["fail_list"] == []  # WeCom does not tell beforehand
    caller.simulator.act("settle")
    assert {row["external_userid"]: row["status"] for row in results(caller, made["msgid"], userid)} == {
        stays: 1,
        leaves: 2,
    }


def test_ids_nobody_can_write_to_are_in_the_fail_list(caller):
    first, second = caller.guides()[:2]
    mine = caller.friends_of(first)[0]
    foreign = next(each for each in caller.friends_of(second) if each not in caller.friends_of(first))
    made = send(caller, first, [mine, foreign, "wmUnknown"])
    assert made["fail_list"] == [foreign, "wmUnknown"]
    refused = caller.post(
        "externalcontact/add_msg_template", {"sender": first, "external_userid": [foreign], "text": {"content": "x"}}
    )
    assert refused["errcode"] == 41048
    assert refused["fail_list"] == [foreign]


def test_without_a_sender_the_last_to_interact_writes(caller):
    person = next(
        each
        for each in caller.people()
        if len(each["follows"]) == 2 and not any(f["deleted_by_customer"] for f in each["follows"])
    )
    caller.simulator.post("/_sim/clock", {"advance_seconds": 60})
    for follow in person["follows"]:
        caller.simulator.post("/_sim/clock", {"advance_seconds": 60})
        caller.simulator.act("interact", userid=follow["userid"], external_userid=person["external_userid"])
        msgid = caller.ok(
            "add_msg_template", {"external_userid": [person["external_userid"]], "text": {"content": follow["userid"]}}
        )["msgid"]
        caller.simulator.act("settle")
        assert caller.ok("get_groupmsg_task", {"msgid": msgid})["task_list"][0]["userid"] == follow["userid"]


@pytest.mark.parametrize(("mode", "allowed"), [("day_1", 1), ("month_4", 4), ("week_7", 7)])
def test_over_the_corps_quota_is_status_3(caller, mode, allowed):
    now = caller.simulator.get("/_sim/health")["now"]
    to_noon = (4 * 3600 - int(now)) % DAY  # in Shanghai: no day, week or month ends while this runs
    caller.simulator.post("/_sim/clock", {"advance_seconds": to_noon})
    userid = caller.guides()[2]
    customer = caller.simulator.act("scan", userid=userid)["external_userid"]
    caller.simulator.post(f"/_sim/corps/{caller.corpid}/quota", {"mode": mode})
    statuses = []
    for number in range(allowed + 1):
        msgid = send(caller, userid, [customer], text=f"{mode} {number}")["msgid"]
        caller.simulator.act("settle")
        statuses.append(results(caller, msgid, userid)[0]["status"])
    caller.simulator.post(f"/_sim/corps/{caller.corpid}/quota", {"mode": "month_days"})
    assert statuses == [1] * allowed + [3]


def test_cancel_stops_the_rest_and_closes_the_task(caller):
    userid = caller.guides()[0]
    msgid = send(caller, userid, caller.friends_of(userid)[:2], text="取消")["msgid"]
    caller.ok("cancel_groupmsg_send", {"msgid": msgid})
    caller.simulator.act("settle")
    assert not [row for row in caller.simulator.journal() if row["msgid"] == msgid]
    assert caller.errcode("cancel_groupmsg_send", {"msgid": msgid}) == 41093
    assert caller.errcode("remind_groupmsg_send", {"msgid": msgid}) == 41093
    assert caller.errcode("get_groupmsg_task", {"msgid": "msgUnknown"}) == 41047
    assert caller.errcode("get_groupmsg_task", {}) == 41046


def test_three_reminders_a_day(caller):
    userid = caller.guides()[0]
    msgid = send(caller, userid, caller.friends_of(userid)[:1], text="提醒")["msgid"]
    caller.simulator.post("/_sim/clock", {"advance_seconds": 5})
    codes = [caller.errcode("remind_groupmsg_send", {"msgid": msgid}) for _ in range(4)]
    assert codes == [0, 0, 0, 41094]
    caller.simulator.post("/_sim/clock", {"advance_seconds": 86_400})
    assert caller.errcode("remind_groupmsg_send", {"msgid": msgid}) == 0


def test_a_guide_who_never_confirms_never_does(caller):
    userid = caller.guides()[3]
    caller.simulator.act("habit", userid=userid, habit="never")
    msgid = send(caller, userid, caller.friends_of(userid)[:1], text="等不到")["msgid"]
    caller.simulator.act("settle")
    caller.ok("remind_groupmsg_send", {"msgid": msgid})
    caller.simulator.act("settle")
    caller.simulator.post("/_sim/clock", {"advance_seconds": 30 * 86_400})
    assert caller.ok("get_groupmsg_task", {"msgid": msgid})["task_list"][0]["status"] == 0
    caller.simulator.act("habit", userid=userid, habit="prompt")


def test_groups_are_written_to_by_their_owner(caller):
    group = caller.ok("groupchat/list", {"limit": 1})["group_chat_list"][0]["chat_id"]
    owner = caller.ok("groupchat/get", {"chat_id": group})["group_chat"]["owner"]
    other = next(each for each in caller.guides() if each != owner)
    body = {"chat_type": "group", "text": {"content": "群公告"}}

    assert caller.errcode("add_msg_template", body) == 40063  # a sender is needed
    refused = caller.post("externalcontact/add_msg_template", body | {"sender": other, "chat_id_list": [group]})
    assert (refused["errcode"], refused["fail_list"]) == (41048, [group])
    msgid = caller.ok("add_msg_template", body | {"sender": owner, "chat_id_list": [group]})["msgid"]
    caller.simulator.post("/_sim/clock", {"advance_seconds": 5})
    assert results(caller, msgid, owner) == []  # groups list only what was sent

    caller.simulator.act("settle")

    assert [(row["chat_id"], row["status"]) for row in results(caller, msgid, owner)] == [(group, 1)]
    received = caller.simulator.journal(kind="group")
    assert received[-1]["chat_id"] == group
    assert received[-1]["member_count"] > 1


def test_created_tasks_can_be_listed(caller):
    now = int(caller.simulator.get("/_sim/health")["now"])
    userid = caller.guides()[0]
    made = {send(caller, userid, caller.friends_of(userid)[:1], text=f"列表{n}")["msgid"] for n in range(3)}
    window = {"chat_type": "single", "start_time": now - 5, "end_time": now + 60, "limit": 2}
    found, cursor = [], ""
    while True:
        page = caller.ok("get_groupmsg_list_v2", window | {"cursor": cursor})
        found += page["group_msg_list"]
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert made <= {each["msgid"] for each in found}
    assert all("creator" not in each and each["create_type"] == 0 for each in found)
    too_wide = window | {"start_time": now - 40 * 86_400}
    assert caller.errcode("get_groupmsg_list_v2", too_wide) == 40058
    assert caller.ok("get_groupmsg_list_v2", window | {"filter_type": 1})["group_msg_list"] == []


@pytest.mark.parametrize(
    ("body", "errcode"),
    [
        ({"text": {"content": ""}}, 40058),
        ({"text": {"content": "字" * 1333}}, 0),
        ({"text": {"content": "字" * 1334}}, 40058),
        ({"attachments": [{"msgtype": "voice", "voice": {"media_id": "x"}}]}, 41065),
        ({"attachments": [{"msgtype": "image", "image": {"media_id": "expired"}}]}, 40007),
        ({"attachments": [{"msgtype": "image", "image": {"pic_url": "http://elsewhere/x.png"}}]}, 40058),
        ({"attachments": [{"msgtype": "link", "link": {"title": "新品", "url": "https://a.example"}}] * 9}, 0),
        ({"attachments": [{"msgtype": "link", "link": {"title": "新品", "url": "https://a.example"}}] * 10}, 41064),
        ({"attachments": [{"msgtype": "link", "link": {"title": "新" * 43, "url": "https://a.example"}}]}, 40058),
    ],
)
def test_content_limits(caller, body, errcode):
    userid = caller.guides()[4]
    wanted = {"sender": userid, "external_userid": caller.friends_of(userid)[:1], **body}
    assert caller.errcode("add_msg_template", wanted) == errcode


def test_ten_thousand_ids_and_not_one_more(caller):
    ids = [f"wmNobody{number}" for number in range(10_001)]
    text = {"content": "x"}
    assert caller.errcode("add_msg_template", {"external_userid": ids[:10_000], "text": text}) == 41048
    assert caller.errcode("add_msg_template", {"external_userid": ids, "text": text}) == 40058


def test_a_welcome_is_said_once_within_twenty_seconds(caller):
    userid = caller.guides()[0]
    visitor = caller.simulator.act("scan", userid=userid, state="shelf", name="小林")
    words = {"welcome_code": visitor["welcome_code"], "text": {"content": "%NICKNAME%，你好"}}

    caller.ok("send_welcome_msg", words)
    assert caller.errcode("send_welcome_msg", words) == 41051
    got = caller.simulator.journal(kind="welcome", external_userid=visitor["external_userid"])
    assert [row["text"] for row in got] == ["小林，你好"]

    late = caller.simulator.act("scan", userid=userid)
    caller.simulator.post("/_sim/clock", {"advance_seconds": 21})
    assert caller.errcode("send_welcome_msg", words | {"welcome_code": late["welcome_code"]}) == 41050
    assert caller.errcode("send_welcome_msg", {"text": {"content": "x"}}) == 41049
