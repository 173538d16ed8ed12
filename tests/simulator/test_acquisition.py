"""Acquisition links: range, priority, customers, quota, chats, statistics and their events."""

import pytest

PREFIX = "customer_acquisition/"
DAY = 86_400


@pytest.fixture
def link(caller):
    userid = caller.guides()[0]
    made = caller.ok(PREFIX + "create_link", {"link_name": "门店海报", "range": {"user_list": [userid]}})["link"]
    yield made | {"userid": userid}
    caller.post("externalcontact/" + PREFIX + "delete_link", {"link_id": made["link_id"]})


def test_a_link_is_made_changed_listed_and_deleted(caller, link):
    assert link["link_id"].startswith("ca")
    assert link["url"].startswith("https://work.weixin.qq.com/ca/")
    change = {
        "link_id": link["link_id"],
        "link_name": "新名字",
        "range": {"department_list": [2]},
        "skip_verify": False,
    }
    caller.ok(PREFIX + "update_link", change | {"priority_option": {"priority_type": 1}})
    shown = caller.ok(PREFIX + "get", {"link_id": link["link_id"]})
    assert (shown["link"]["link_name"], shown["link"]["skip_verify"]) == ("新名字", False)
    assert shown["range"] == {"user_list": [], "department_list": [2]}
    assert shown["priority_option"]["priority_type"] == 1
    assert link["link_id"] in caller.ok(PREFIX + "list_link")["link_id_list"]
    caller.ok(PREFIX + "delete_link", {"link_id": link["link_id"]})
    assert caller.errcode(PREFIX + "get", {"link_id": link["link_id"]}) == 40058


@pytest.mark.parametrize(
    ("change", "errcode"),
    [
        ({"link_name": "长" * 31}, 40058),
        ({"link_name": ""}, 40058),
        ({"range": {}}, 40058),
        ({"range": {"user_list": ["nobody"]}}, 40003),
        ({"range": {"user_list": ["yunying"]}}, 84074),
        ({"range": {"department_list": [999]}}, 60003),
        ({"priority_option": {"priority_type": 2}}, 40058),
    ],
)
def test_what_cannot_be_a_link(caller, change, errcode):
    body = {"link_name": "x", "range": {"user_list": [caller.guides()[0]]}}
    assert caller.errcode(PREFIX + "create_link", body | change) == errcode


def test_a_customer_comes_by_a_link_and_writes(caller, link, receiver):
    before = caller.get("externalcontact/customer_acquisition_quota")
    state = "春" * 30  # 90 bytes: cut at 64
    came = caller.simulator.act("open_link", link_id=link["link_id"], state=state, name="扫海报的人")
    caller.simulator.act("open_link", link_id=link["link_id"], only_look=True)

    asked, added = receiver.next(2)
    assert (asked["Event"], asked["ChangeType"], asked["LinkId"]) == (
        "customer_acquisition",
        "friend_request",
        link["link_id"],
    )
    assert (added["ChangeType"], added["State"], added["WelcomeCode"]) == (
        "add_external_contact",
        "春" * 21,
        came["welcome_code"],
    )
    detail = caller.get("externalcontact/get", external_userid=came["external_userid"])["follow_user"][0]
    assert (detail["userid"], detail["add_way"], detail["state"]) == (link["userid"], 16, "春" * 21)
    after = caller.get("externalcontact/customer_acquisition_quota")
    assert (after["total"], before["balance"] - after["balance"]) == (before["total"], 1)
    assert sum(pack["balance"] for pack in after["quota_list"]) == after["balance"]

    pair = {"userid": link["userid"], "external_userid": came["external_userid"]}
    shown = caller.ok(PREFIX + "customer", {"link_id": link["link_id"]})["customer_list"]
    assert shown == [{**pair, "chat_status": 0, "state": "春" * 21}]
    caller.simulator.act("chat", by="customer", text="你好", **pair)
    started, wrote = receiver.next(2)
    assert (started["ChangeType"], started["ExternalUserID"]) == ("customer_start_chat", came["external_userid"])
    assert (wrote["ChangeType"], wrote["LinkId"]) == ("message_from_customer", link["link_id"])
    info = caller.ok(PREFIX + "get_chat_info", {"chat_key": wrote["ChatKey"]})
    assert info["chat_info"] == {"recv_msg_cnt": 1, "link_id": link["link_id"], "state": "春" * 21}
    assert caller.ok(PREFIX + "customer", {"link_id": link["link_id"]})["customer_list"][0]["chat_status"] == 1
    caller.simulator.post("/_sim/clock", {"advance_seconds": 1900})
    assert caller.errcode(PREFIX + "get_chat_info", {"chat_key": wrote["ChatKey"]}) == 40058

    now = int(caller.simulator.get("/_sim/health")["now"])
    counted = caller.ok(PREFIX + "statistic", {"link_id": link["link_id"], "start_time": now - 7200, "end_time": now})
    assert (counted["click_link_customer_cnt"], counted["new_customer_cnt"]) == (2, 1)
    by_get = caller.get(
        f"externalcontact/{PREFIX}statistic", link_id=link["link_id"], start_time=now - 7200, end_time=now
    )
    assert by_get["new_customer_cnt"] == 1
    too_long = {"link_id": link["link_id"], "start_time": now - 40 * DAY, "end_time": now}
    assert caller.errcode(PREFIX + "statistic", too_long) == 40058

    caller.simulator.act("delete_follow", by="customer", **pair)
    left, acquisition_left = receiver.next(2)
    assert (left["Event"], acquisition_left["Event"]) == ("change_external_contact", "customer_acquisition")
    assert (acquisition_left["ChangeType"], acquisition_left["LinkId"]) == ("del_follow_user", link["link_id"])


def test_a_follower_is_offered_first(caller, link):
    second = caller.guides()[1]
    friend = next(each for each in caller.friends_of(second) if each not in caller.friends_of(link["userid"]))
    caller.ok(PREFIX + "update_link", {"link_id": link["link_id"], "priority_option": {"priority_type": 1}})
    came = caller.simulator.act("open_link", link_id=link["link_id"], external_userid=friend)
    assert (came["userid"], came["already"]) == (second, True)
    listed = {"priority_type": 2, "priority_userid_list": [link["userid"]]}
    caller.ok(PREFIX + "update_link", {"link_id": link["link_id"], "priority_option": listed})
    assert (
        caller.simulator.act("open_link", link_id=link["link_id"], external_userid=friend)["userid"] == link["userid"]
    )


def test_without_skip_verify_the_guide_approves(caller, link):
    caller.ok(PREFIX + "update_link", {"link_id": link["link_id"], "skip_verify": False})
    came = caller.simulator.act("open_link", link_id=link["link_id"], state="s")
    assert (came["added"], came["welcome_code"]) == (False, None)
    assert caller.get("externalcontact/get", external_userid=came["external_userid"])["errcode"] == 84061
    caller.simulator.act("settle")
    assert caller.get("externalcontact/get", external_userid=came["external_userid"])["errcode"] == 0


def test_the_quota_runs_low_out_and_up(caller, link, receiver):
    act = caller.simulator.act
    act("acquisition", action="spend_to", left=20)
    act("open_link", link_id=link["link_id"])
    assert [event["ChangeType"] for event in receiver.next(3)] == [
        "friend_request",
        "add_external_contact",
        "balance_low",
    ]
    act("acquisition", action="spend_to", left=0)
    assert receiver.next()[0]["ChangeType"] == "balance_exhausted"
    with pytest.raises(Exception, match="no acquisition quota"):
        act("open_link", link_id=link["link_id"])
    now = int(caller.simulator.get("/_sim/health")["now"])
    act("acquisition", action="top_up", amount=500, expire_date=now + 8 * DAY)
    assert receiver.next()[0]["ChangeType"] == "balance_increased"
    caller.simulator.post("/_sim/clock", {"advance_seconds": DAY + 60})
    soon = receiver.next()[0]
    assert (soon["ChangeType"], soon["ExpireQuotaNum"], soon["ExpireTime"]) == (
        "quota_expire_soon",
        "500",
        str(now + 8 * DAY),
    )
    act("acquisition", action="top_up", amount=1000)


def test_links_without_people_and_links_gone(caller, receiver):
    userid = caller.simulator.act("member", action="create", userid="link.only")["userid"]
    link_id = caller.ok(PREFIX + "create_link", {"link_name": "一人", "range": {"user_list": [userid]}})["link"][
        "link_id"
    ]
    caller.simulator.act("leave", userid=userid)
    caller.simulator.act("acquisition", action="delete_link", link_id=link_id)
    events = receiver.next(4)
    assert [event["ChangeType"] for event in events] == [
        "create_user",
        "delete_user",
        "link_unavailable",
        "delete_link",
    ]
    assert events[2]["LinkId"] == events[3]["LinkId"] == link_id


def test_an_app_off_the_list_may_not_call(caller):
    caller.simulator.act("acquisition", action="access", allowed=False)
    assert caller.errcode(PREFIX + "list_link") == 48002
    assert caller.get("externalcontact/customer_acquisition_quota")["errcode"] == 48002
    caller.simulator.act("acquisition", action="access", allowed=True)
    assert caller.errcode(PREFIX + "list_link") == 0
