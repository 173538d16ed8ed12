"""Inheritance on the job and after leaving: a day to refuse, limits, groups, and the events that tell of it."""

import itertools

import pytest

from tests.simulator.conftest import eventually

DAY = 86_400
NUMBERS = itertools.count(1)


@pytest.fixture(autouse=True)
def _nobody_refuses_by_habit(caller):
    caller.simulator.post("/_sim/switches", {"refuse_transfer_rate": 0.0, "member_contact_limit": 0})
    caller.simulator.act("settle")


def newcomer(caller, name="新客"):
    """A guide of one's own with one customer."""
    userid = caller.simulator.act("member", action="create", userid=f"new.{next(NUMBERS)}")["userid"]
    customer = caller.simulator.act("scan", userid=userid, name=name)["external_userid"]
    return userid, customer


def transfer(caller, handover, takeover, customers, **more):
    body = {"handover_userid": handover, "takeover_userid": takeover, "external_userid": customers, **more}
    answer = caller.ok("transfer_customer", body)
    return [row["errcode"] for row in answer["customer"]]


def status(caller, handover, takeover, path="transfer_result"):
    rows = caller.ok(path, {"handover_userid": handover, "takeover_userid": takeover})["customer"]
    return {row["external_userid"]: row["status"] for row in rows}


def test_a_customer_changes_hands_after_a_day(caller, receiver):
    handover, customer = newcomer(caller)
    takeover = caller.guides()[0]
    tag = caller.ok("get_corp_tag_list")["tag_group"][0]["tag"][0]["id"]
    pair = {"userid": handover, "external_userid": customer}
    caller.ok("mark_tag", {**pair, "add_tag": [tag]})
    caller.ok("remark", {**pair, "remark": "老客户"})
    receiver.next(2)

    assert transfer(caller, handover, takeover, [customer], transfer_success_msg="以后由小林为您服务") == [0]
    assert status(caller, handover, takeover) == {customer: 2}
    caller.simulator.post("/_sim/clock", {"advance_seconds": DAY - 60})
    assert status(caller, handover, takeover) == {customer: 2}
    caller.simulator.post("/_sim/clock", {"advance_seconds": 120})
    eventually(lambda: status(caller, handover, takeover) == {customer: 1})

    gone, came = receiver.next(2)
    assert (gone["ChangeType"], gone["UserID"], gone["Source"]) == (
        "del_external_contact",
        handover,
        "DELETE_BY_TRANSFER",
    )
    assert (came["ChangeType"], came["UserID"]) == ("add_external_contact", takeover)
    assert "WelcomeCode" not in came
    follow = caller.get("externalcontact/get", external_userid=customer)["follow_user"]
    assert [(each["userid"], each["add_way"], each["remark"]) for each in follow] == [(takeover, 202, "老客户")]
    assert follow[0]["tags"][0]["tag_id"] == tag
    told = caller.simulator.journal(kind="notice", external_userid=customer)
    assert [row["text"] for row in told] == ["以后由小林为您服务"]


def test_a_customer_may_refuse(caller, receiver):
    handover, customer = newcomer(caller)
    takeover = caller.guides()[1]
    receiver.next(2)
    transfer(caller, handover, takeover, [customer])
    caller.simulator.act("refuse_transfer", external_userid=customer)

    event = receiver.next()[0]
    assert (event["ChangeType"], event["UserID"], event["FailReason"]) == (
        "transfer_fail",
        takeover,
        "customer_refused",
    )
    caller.simulator.act("settle")
    assert status(caller, handover, takeover) == {customer: 3}
    assert caller.get("externalcontact/list", userid=handover)["external_userid"] == [customer]


def test_a_full_member_takes_nobody_more(caller, receiver):
    handover, customer = newcomer(caller)
    takeover, _ = newcomer(caller)
    receiver.next(4)
    transfer(caller, handover, takeover, [customer])
    caller.simulator.post("/_sim/switches", {"member_contact_limit": 1})
    caller.simulator.act("settle")
    assert receiver.next()[0]["FailReason"] == "customer_limit_exceed"
    assert status(caller, handover, takeover) == {customer: 4}
    assert transfer(caller, handover, takeover, [customer]) == [40099]


def test_each_item_has_its_own_refusal(caller):
    first, second, third = caller.guides()[:3]
    mine = next(each for each in caller.friends_of(first) if each not in caller.friends_of(second))
    strange = next(each for each in caller.friends_of(second) if each not in caller.friends_of(first))
    handover, gone = newcomer(caller)
    caller.simulator.act("delete_follow", by="customer", userid=handover, external_userid=gone)

    assert transfer(caller, first, second, [mine, "wmNobody", strange]) == [0, 40096, 40131]
    assert transfer(caller, first, second, [mine]) == [40100]
    assert transfer(caller, first, third, [mine]) == [40129]
    assert transfer(caller, first, first, [mine]) == [40130]
    assert transfer(caller, handover, first, [gone]) == [84061]
    body = {"handover_userid": first, "takeover_userid": second, "external_userid": [mine]}
    assert (
        caller.errcode("transfer_customer", body | {"external_userid": ["wm"] + [f"w{n}" for n in range(100)]}) == 40058
    )
    assert caller.errcode("transfer_customer", body | {"transfer_success_msg": "长" * 201}) == 40058
    assert caller.errcode("transfer_customer", body | {"takeover_userid": "nobody"}) == 40003
    assert caller.errcode("transfer_customer", body | {"takeover_userid": "yunying"}) == 84074
    assert caller.errcode("resigned/transfer_customer", body) == 40097


def test_twice_in_90_days_is_enough(caller):
    handover, customer = newcomer(caller)
    first, second = caller.guides()[:2]
    for giver, taker in ((handover, first), (first, second)):
        assert transfer(caller, giver, taker, [customer]) == [0]
        caller.simulator.act("settle")
    assert transfer(caller, second, handover, [customer]) == [40128]
    caller.simulator.post("/_sim/clock", {"advance_seconds": 91 * DAY})
    assert transfer(caller, second, handover, [customer]) == [0]


def test_who_leaves_leaves_customers_behind(caller, receiver):
    handover, customer = newcomer(caller)
    refused = caller.simulator.act("scan", userid=handover, name="不愿意")["external_userid"]
    takeover = caller.guides()[0]
    receiver.next(3)
    assert caller.simulator.act("leave", userid=handover)["unassigned"] == 2
    assert receiver.next()[0]["ChangeType"] == "delete_user"

    page = caller.ok("get_unassigned_list", {"page_size": 1})
    assert (page["is_last"], page["info"][0]["handover_userid"]) == (False, handover)
    rest = caller.ok("get_unassigned_list", {"page_size": 1, "cursor": page["next_cursor"]})
    assert {each["info"][0]["external_userid"] for each in (page, rest)} == {customer, refused}
    assert caller.ok("get_unassigned_list", {"page_size": 1, "page_id": 1})["info"] == rest["info"]

    body = {"handover_userid": handover, "takeover_userid": takeover, "external_userid": [customer, refused]}
    assert caller.errcode("transfer_customer", body) == 40003
    started = caller.ok("resigned/transfer_customer", body)["customer"]
    assert [row["errcode"] for row in started] == [0, 0]
    caller.simulator.act("refuse_transfer", external_userid=refused)
    caller.simulator.act("settle")

    assert status(caller, handover, takeover, "resigned/transfer_result") == {customer: 1, refused: 3}
    left = [row["external_userid"] for row in caller.ok("get_unassigned_list")["info"]]
    assert refused in left
    assert customer not in left
    assert [event["ChangeType"] for event in receiver.next(2)] == ["transfer_fail", "add_external_contact"]


def test_groups_of_who_left_are_inherited(caller, receiver):
    owner, customer = newcomer(caller)
    heir = caller.guides()[0]
    chat_id = caller.simulator.act("create_group", userid=owner, name="要继承", external_userids=[customer])["chat_id"]
    body = {"chat_id_list": [chat_id], "new_owner": heir}

    def only(path):
        return [row["errcode"] for row in caller.ok(path, body)["failed_chat_list"]]

    def listed(status_filter):
        rows = caller.ok("groupchat/list", {"limit": 1000, "status_filter": status_filter})["group_chat_list"]
        return chat_id in [row["chat_id"] for row in rows]

    assert only("groupchat/transfer") == [90500]
    caller.simulator.act("leave", userid=owner)
    assert listed(1)
    assert only("groupchat/onjob_transfer") == [90502]
    assert only("groupchat/transfer") == []
    assert listed(2)
    assert only("groupchat/transfer") == [90507]
    caller.simulator.act("settle")
    assert listed(3)
    assert only("groupchat/transfer") == [90508]
    group = caller.ok("groupchat/get", {"chat_id": chat_id})["group_chat"]
    assert group["owner"] == heir
    assert owner not in [each["userid"] for each in group["member_list"]]


def test_a_group_changes_hands_on_the_job_at_once(caller):
    first, second = caller.guides()[:2]
    chat_id = caller.simulator.act("create_group", userid=first, name="换群主", external_userids=[])["chat_id"]

    def hand(owner):
        answer = caller.ok("groupchat/onjob_transfer", {"chat_id_list": [chat_id, "wrNone"], "new_owner": owner})
        return [row["errcode"] for row in answer["failed_chat_list"]]

    assert hand(first) == [90504, 90501]
    assert hand(second) == [90501]
    group = caller.ok("groupchat/get", {"chat_id": chat_id})["group_chat"]
    assert (group["owner"], {each["userid"] for each in group["member_list"]}) == (second, {first, second})
    assert hand(first) == [90501]
    assert hand(second) == [40128, 90501]


def test_two_transfers_of_one_member_at_once_conflict(caller):
    handover, customer = newcomer(caller)
    body = {"handover_userid": handover, "takeover_userid": caller.guides()[0], "external_userid": [customer]}
    slow = caller.begin_slowly("POST", "externalcontact/transfer_customer", body)
    assert caller.errcode("transfer_customer", body) == 45035
    caller.simulator.delete("/_sim/faults")
    slow.join()
    assert caller.ok("transfer_customer", body)["customer"] == [{"external_userid": customer, "errcode": 40100}]
