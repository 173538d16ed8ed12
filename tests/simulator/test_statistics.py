"""Statistics agree with what happened, per day in Shanghai; today is not told yet."""

import pytest

from tests.simulator.conftest import Caller
from wecom.simulator.testing import running_simulator

DAY, OFFSET = 86_400, 8 * 3600


@pytest.fixture(scope="module")
def day():
    """A simulator just after midnight, and the day that began (its midnight)."""
    with running_simulator(guides=3, contacts=60) as simulator:
        simulator.post("/_sim/switches", {"reply_rate": 0.0, "delete_after_send_rate": 0.0})
        now = simulator.get("/_sim/health")["now"]
        midnight = int((now + OFFSET) // DAY + 1) * DAY - OFFSET
        simulator.post("/_sim/clock", {"advance_seconds": midnight - now + 600})
        yield simulator, midnight


@pytest.fixture(scope="module")
def figures(day):
    """What three guides and their customers did on that day, seen at noon of the next."""
    simulator, midnight = day
    caller = Caller(simulator)
    first, second, _ = caller.guides()
    act = simulator.act
    friends = caller.friends_of(first)
    for number in range(3):
        act("scan", userid=first, name=f"新客{number}")
    act("scan", userid=second, by="guide")
    half = act("scan", userid=second, half=True)["external_userid"]
    act("delete_follow", by="customer", userid=first, external_userid=friends[0])
    asks, silent = friends[1], friends[2]
    act("chat", userid=first, external_userid=asks, by="customer", text="有货吗")
    act("chat", userid=first, external_userid=silent, by="customer", text="在吗")
    simulator.post("/_sim/clock", {"advance_seconds": 600})
    act("chat", userid=first, external_userid=asks, by="guide", text="有的")
    act("chat", userid=first, external_userid=asks, by="guide", text="给您留着")
    act("chat", userid=second, external_userid=caller.friends_of(second)[0], by="guide", text="上新啦")

    chat_id = act("create_group", userid=first, name="统计群", external_userids=friends[1:4])["chat_id"]
    act("leave_group", chat_id=chat_id, external_userid=friends[3])
    act("group_message", chat_id=chat_id, external_userid=friends[1])
    act("group_message", chat_id=chat_id, external_userid=friends[1])
    act("group_message", chat_id=chat_id, userid=first)
    gone = act("create_group", userid=first, name="散了", external_userids=friends[1:2])["chat_id"]
    act("dismiss_group", chat_id=gone)
    assert half
    now = simulator.get("/_sim/health")["now"]
    simulator.post("/_sim/clock", {"advance_seconds": midnight + DAY - now + 7200})
    return Caller(simulator), first, second, midnight


def test_yesterday_is_told_some_hours_after_midnight(figures):
    caller, first, _, midnight = figures
    body = {"userid": [first], "start_time": midnight, "end_time": midnight + DAY}
    assert caller.ok("get_user_behavior_data", body)["behavior_data"] == []
    caller.simulator.post("/_sim/clock", {"advance_seconds": 6 * 3600})
    rows = caller.ok("get_user_behavior_data", body)["behavior_data"]
    assert [row["stat_time"] for row in rows] == [midnight]  # today, the second day asked for, is missing


def test_a_members_day_is_what_happened(figures):
    caller, first, second, midnight = figures
    caller.simulator.post("/_sim/clock", {"advance_seconds": 6 * 3600})

    def day(*userids):
        body = {"userid": list(userids), "start_time": midnight + 3600, "end_time": midnight + 3600}
        return caller.ok("get_user_behavior_data", body)["behavior_data"][0]

    assert day(first) == {
        "stat_time": midnight,
        "chat_cnt": 1,
        "message_cnt": 2,
        "reply_percentage": 50.0,
        "avg_reply_time": 10,
        "negative_feedback_cnt": 1,
        "new_apply_cnt": 0,
        "new_contact_cnt": 3,
    }
    seconds = day(second)
    assert (seconds["new_apply_cnt"], seconds["new_contact_cnt"], seconds["message_cnt"]) == (1, 1, 1)
    assert "reply_percentage" not in seconds  # no customer opened a chat with them
    assert day(first, second)["new_contact_cnt"] == 4
    party = {"partyid": [1], "start_time": midnight, "end_time": midnight}
    assert caller.ok("get_user_behavior_data", party)["behavior_data"][0]["new_contact_cnt"] == 4


def test_groups_are_counted_by_owner_and_by_day(figures):
    caller, first, second, midnight = figures
    caller.simulator.post("/_sim/clock", {"advance_seconds": 6 * 3600})
    body = {"day_begin_time": midnight - DAY, "day_end_time": midnight, "owner_filter": {"userid_list": [first]}}
    before, day = caller.ok("groupchat/statistic_group_by_day", body)["items"]
    assert (before["stat_time"], day["stat_time"]) == (midnight - DAY, midnight)
    change = {name: day["data"][name] - before["data"][name] for name in day["data"]}
    assert change["chat_total"] == 1
    assert change["member_total"] == 3  # the owner and two who stayed
    assert (change["chat_has_msg"], change["msg_total"], change["member_has_msg"]) == (1, 3, 2)
    assert (day["data"]["new_chat_cnt"], day["data"]["new_member_cnt"]) == (2, 6)
    assert day["data"]["migrate_trainee_chat_cnt"] == 0

    chats = [
        group["chat_id"]
        for group in caller.ok("groupchat/list", {"limit": 100, "owner_filter": {"userid_list": [first]}})[
            "group_chat_list"
        ]
    ]
    assert day["data"]["chat_total"] == len(chats)
    heads = sum(len(caller.ok("groupchat/get", {"chat_id": each})["group_chat"]["member_list"]) for each in chats)
    assert day["data"]["member_total"] == heads

    owners = {"day_begin_time": midnight, "day_end_time": midnight, "owner_filter": {"userid_list": [second, first]}}
    answer = caller.ok("groupchat/statistic", owners | {"order_by": 2, "limit": 1})
    assert (answer["total"], answer["next_offset"]) == (2, 1)
    assert answer["items"][0]["owner"] == first
    rest = caller.ok("groupchat/statistic", owners | {"order_by": 2, "offset": 1})
    assert [item["owner"] for item in rest["items"]] == [second]
    ascending = caller.ok("groupchat/statistic", owners | {"order_by": 2, "order_asc": 1})
    assert [item["owner"] for item in ascending["items"]] == [second, first]


def test_the_days_before_the_world_began_agree_with_its_people(figures):
    caller, first, _, midnight = figures
    start = midnight - 29 * DAY
    rows = caller.ok("get_user_behavior_data", {"userid": [first], "start_time": start, "end_time": midnight - DAY})
    added = [
        follow["createtime"]
        for person in caller.people()
        for follow in person["follows"]
        if follow["userid"] == first and start <= follow["createtime"] < midnight
    ]
    assert sum(row["new_contact_cnt"] for row in rows["behavior_data"]) == len(added)
    assert len(rows["behavior_data"]) == 29


def test_what_cannot_be_asked(figures):
    caller, first, _, midnight = figures
    behaviour, day = "get_user_behavior_data", {"start_time": midnight, "end_time": midnight}
    assert caller.errcode(behaviour, day) == 40058
    assert caller.errcode(behaviour, day | {"userid": ["nobody"]}) == 40003
    assert caller.errcode(behaviour, day | {"partyid": [999]}) == 60003
    assert caller.errcode(behaviour, {"userid": [first], "start_time": midnight, "end_time": midnight - DAY}) == 40058
    assert caller.errcode(behaviour, day | {"userid": [first], "start_time": midnight - 31 * DAY}) == 40058
    old = midnight - 190 * DAY
    assert caller.errcode(behaviour, {"userid": [first], "start_time": old, "end_time": old + DAY}) == 40058
    groups = {"day_begin_time": midnight}
    assert caller.errcode("groupchat/statistic", groups) == 40058
    many = {"owner_filter": {"userid_list": [first] * 101}}
    assert caller.errcode("groupchat/statistic_group_by_day", groups | many) == 40058
    assert (
        caller.errcode("groupchat/statistic", groups | {"owner_filter": {"userid_list": [first]}, "order_by": 5})
        == 40058
    )
