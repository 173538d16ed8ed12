"""Customers who write back, click, order and live by themselves; the directory's events; what a restart keeps."""

import requests

from tests.simulator.conftest import Caller, eventually
from wecom.simulator.testing import running_simulator

LINK = {"msgtype": "link", "link": {"title": "婴童女装家纺个护母婴", "url": "https://example.com/p/1"}}


def deeds(caller, **query):
    return caller.simulator.get(f"/_sim/corps/{caller.corpid}/deeds", limit=5000, **query)["items"]


def send(caller, userid):
    body = {"sender": userid, "text": {"content": "新品到店"}, "attachments": [LINK]}
    msgid = caller.ok("add_msg_template", body)["msgid"]
    caller.simulator.act("confirm", userid=userid, msgid=msgid)
    caller.simulator.act("settle")
    return msgid


def test_customers_write_back_and_guides_answer(caller):
    userid = caller.guides()[0]
    caller.simulator.post("/_sim/switches", {"reply_rate": 1.0, "click_rate": 0.0})
    msgid = send(caller, userid)
    caller.simulator.post("/_sim/switches", {"reply_rate": 0.02})

    reached = {row["external_userid"] for row in caller.simulator.journal(kind="single") if row["msgid"] == msgid}
    wrote = {deed["external_userid"] for deed in deeds(caller, kind="reply")}
    assert reached
    assert wrote == reached
    customer = min(reached)
    where = {"userid": userid, "external_userid": customer}
    chat = caller.simulator.get(f"/_sim/corps/{caller.corpid}/chat", **where)["items"]
    assert [message["by"] for message in chat] == ["customer", "guide"]
    query = {"corpid": caller.corpid, "external_userid": customer}
    page = requests.get(f"{caller.simulator.base_url}/_sim/phone", params=query, timeout=10).text
    assert chat[0]["text"] in page
    assert chat[1]["text"] in page


def test_who_cares_clicks_more_and_some_order(caller):
    caller.simulator.post("/_sim/switches", {"click_rate": 0.3, "order_rate": 1.0})
    sources = [send(caller, userid) for userid in caller.guides()]
    caller.simulator.post("/_sim/switches", {"click_rate": 0.05, "order_rate": 0.1})

    clicks = [deed for deed in deeds(caller, kind="click") if deed["source_id"] in sources]
    orders = [deed for deed in deeds(caller, kind="order") if deed["source_id"] in sources]
    interests = {person["external_userid"]: person["interests"] for person in caller.people()}
    reached = [row["external_userid"] for row in caller.simulator.journal(kind="single") if row["msgid"] in sources]
    caring = [who for who in reached if interests[who]]
    clicked = [deed["external_userid"] for deed in clicks]
    share = sum(1 for who in clicked if interests[who]) / len(caring)
    others = sum(1 for who in clicked if not interests[who]) / (len(reached) - len(caring))
    assert share > 2 * others > 0
    assert len(orders) == len(clicks)
    assert all(deed["detail"]["amount_fen"] > 0 for deed in orders)


def test_the_same_seed_leads_to_the_same_deeds():
    def story():
        with running_simulator(guides=3, contacts=120, seed=5, confirm_rate=1.0) as simulator:
            caller = Caller(simulator)
            simulator.post("/_sim/switches", {"reply_rate": 0.3, "click_rate": 0.3})
            for userid in caller.guides():
                send(caller, userid)
            return sorted((deed["kind"], deed["external_userid"], deed["userid"]) for deed in deeds(caller))

    first = story()
    assert {kind for kind, *_ in first} >= {"reply", "click"}
    assert story() == first


def test_customers_live_by_themselves_and_settling_ends(caller):
    caller.simulator.post("/_sim/clock", {"pace": 3_600_000})
    caller.simulator.post("/_sim/switches", {"daily_rate": 3.0})
    kinds = {"add", "reply", "join_group", "leave", "order", "deleted"}
    eventually(lambda: {deed["kind"] for deed in deeds(caller)} >= kinds)
    caller.simulator.post("/_sim/switches", {"daily_rate": 0.0})
    caller.simulator.post("/_sim/clock", {"pace": 1})
    caller.simulator.act("settle")


def test_departments_and_member_tags_have_events(caller, receiver):
    act = caller.simulator.act
    number = act("department", action="create", name="直播间", parentid=1)["id"]
    act("department", action="update", id=number, name="直播部")
    assert caller.get("department/get", id=number)["department"]["name"] == "直播部"
    act("department", action="delete", id=number)
    guide = caller.guides()[-1]
    act("member_tag", tagid=1, add_users=[guide], add_parties=[3])
    made, changed, gone, tagged = receiver.next(4)
    assert (made["ChangeType"], made["Id"], made["Name"], made["ParentId"]) == (
        "create_party",
        str(number),
        "直播间",
        "1",
    )
    assert (changed["ChangeType"], changed["Name"]) == ("update_party", "直播部")
    assert (gone["ChangeType"], gone["Id"]) == ("delete_party", str(number))
    assert (tagged["ChangeType"], tagged["TagId"], tagged["AddPartyItems"]) == ("update_tag", "1", "3")
    shown = caller.get("tag/get", tagid=1)
    assert (guide in [each["userid"] for each in shown["userlist"]], shown["partylist"]) == (True, [3])
    assert caller.get("department/get", id=number)["errcode"] == 60003


def test_tags_in_another_order_are_an_event(caller, receiver):
    group = caller.ok("get_corp_tag_list")["tag_group"][0]
    turned = [tag["id"] for tag in group["tag"]][::-1]
    caller.simulator.act("tag", action="shuffle", id=group["group_id"], order=turned)
    event = receiver.next()[0]
    assert (event["ChangeType"], event["Id"]) == ("shuffle", group["group_id"])
    again = caller.ok("get_corp_tag_list", {"group_id": [group["group_id"]]})["tag_group"][0]
    assert [tag["id"] for tag in again["tag"]] == turned


def test_a_restart_keeps_what_was_set_up(tmp_path):
    path = tmp_path / "world.json.gz"
    with running_simulator(guides=3, contacts=60, snapshot=path) as simulator:
        caller = Caller(simulator)
        simulator.post("/_sim/switches", {"refuse_transfer_rate": 0.0})
        first, second, third = caller.guides()
        mine = next(each for each in caller.friends_of(first) if each not in caller.friends_of(second))
        caller.ok("transfer_customer", {"handover_userid": first, "takeover_userid": second, "external_userid": [mine]})
        made = caller.ok("customer_acquisition/create_link", {"link_name": "存", "range": {"user_list": [first]}})
        link_id = made["link"]["link_id"]
        simulator.act("open_link", link_id=link_id, state="s")
        chat_id = simulator.act("create_group", userid=first, name="存", external_userids=[mine])["chat_id"]
        config_id = caller.ok("groupchat/add_join_way", {"scene": 2, "chat_id_list": [chat_id]})["config_id"]
        simulator.act("chat", userid=first, external_userid=mine, by="customer")
        simulator.act("leave", userid=third)

        def state(caller):
            return {
                "transfer": caller.ok("transfer_result", {"handover_userid": first, "takeover_userid": second}),
                "unassigned": caller.ok("get_unassigned_list"),
                "link": caller.ok("customer_acquisition/customer", {"link_id": link_id}),
                "quota": caller.get("externalcontact/customer_acquisition_quota"),
                "way": caller.ok("groupchat/get_join_way", {"config_id": config_id}),
                "behaviour": caller.ok(
                    "get_user_behavior_data",
                    {"partyid": [1], "start_time": now - 20 * 86_400, "end_time": now},
                ),
            }

        now = int(simulator.get("/_sim/health")["now"])
        before = state(caller)
    with running_simulator(guides=3, contacts=60, snapshot=path) as simulator:
        caller = Caller(simulator)
        assert state(caller) == before
        simulator.act("settle")
        result = caller.ok("transfer_result", {"handover_userid": first, "takeover_userid": second})
        assert [row["status"] for row in result["customer"]] == [1]


def test_days_that_the_clock_jumps_over_are_lived(caller):
    before = len(deeds(caller))
    caller.simulator.post("/_sim/switches", {"daily_rate": 0.5})
    caller.simulator.post("/_sim/clock", {"advance_seconds": 2 * 86_400})
    contacts = caller.simulator.corps()[0]["contacts"]
    eventually(lambda: len(deeds(caller)) - before > 0.5 * contacts)
    caller.simulator.post("/_sim/switches", {"daily_rate": 0.0})
    caller.simulator.act("settle")
