"""Rule groups of customers and Moments, their tags, and the conversions of ids."""

import pytest

RIGHTS = {"view_customer_list": True, "contact_me": True}


@pytest.fixture
def strategy(caller):
    admin = caller.guides()[0]
    body = {
        "strategy_name": "华东",
        "admin_list": [admin],
        "privilege": RIGHTS,
        "range": [{"type": 2, "partyid": 2}, {"type": 1, "userid": caller.guides()[1]}],
    }
    number = caller.ok("customer_strategy/create", body)["strategy_id"]
    yield number
    caller.post("externalcontact/customer_strategy/del", {"strategy_id": number})


def test_a_rule_group_is_made_read_changed_and_deleted(caller, strategy):
    assert {"strategy_id": strategy} in caller.ok("customer_strategy/list")["strategy"]
    shown = caller.ok("customer_strategy/get", {"strategy_id": strategy})["strategy"]
    assert (shown["strategy_name"], shown["parent_id"], shown["admin_list"]) == ("华东", 0, [caller.guides()[0]])
    assert shown["privilege"]["contact_me"] is True
    assert shown["privilege"]["export_customer_data"] is False
    first = caller.ok("customer_strategy/get_range", {"strategy_id": strategy, "limit": 1})
    rest = caller.ok("customer_strategy/get_range", {"strategy_id": strategy, "cursor": first["next_cursor"]})
    assert first["range"] + rest["range"] == [{"type": 2, "partyid": 2}, {"type": 1, "userid": caller.guides()[1]}]
    change = {"strategy_id": strategy, "strategy_name": "华南", "range_del": [{"type": 2, "partyid": 2}]}
    caller.ok("customer_strategy/edit", change)
    left = caller.ok("customer_strategy/get_range", {"strategy_id": strategy})["range"]
    assert left == [{"type": 1, "userid": caller.guides()[1]}]
    caller.ok("customer_strategy/del", {"strategy_id": strategy})
    assert caller.errcode("customer_strategy/get", {"strategy_id": strategy}) == 40058


def test_a_child_has_at_most_what_its_parent_has(caller, strategy):
    child = {
        "parent_id": strategy,
        "strategy_name": "一店",
        "admin_list": [caller.guides()[1]],
        "privilege": {"contact_me": True},
        "range": [{"type": 1, "userid": caller.guides()[1]}],
    }
    number = caller.ok("customer_strategy/create", child)["strategy_id"]
    assert caller.errcode("customer_strategy/create", child | {"privilege": {"join_room": True}}) == 40058
    assert caller.errcode("customer_strategy/create", child | {"range": [{"type": 2, "partyid": 3}]}) == 40058
    for change, errcode in (
        ({"admin_list": []}, 40058),
        ({"strategy_name": ""}, 40058),
        ({"range": [{"type": 1, "userid": "nobody"}]}, 40003),
        ({"range": [{"type": 2, "partyid": 999}]}, 60003),
        ({"range": [{"type": 9}]}, 40058),
        ({"admin_list": ["x"] * 21}, 40058),
    ):
        assert caller.errcode("customer_strategy/create", child | change) == errcode
    caller.ok("customer_strategy/del", {"strategy_id": strategy})
    assert caller.errcode("customer_strategy/get", {"strategy_id": number}) == 40058


def test_moments_have_rule_groups_of_their_own(caller, strategy):
    body = {
        "strategy_name": "朋友圈",
        "admin_list": [caller.guides()[0]],
        "privilege": {"send_moment": True},
        "range": [{"type": 2, "partyid": 1}],
    }
    number = caller.ok("moment_strategy/create", body)["strategy_id"]
    shown = caller.ok("moment_strategy/get", {"strategy_id": number})["strategy"]["privilege"]
    assert shown == {"send_moment": True, "view_moment_list": False, "manage_moment_cover_and_sign": False}
    assert caller.errcode("moment_strategy/get", {"strategy_id": strategy}) == 40058


def test_tags_of_a_rule_group_are_not_the_corps(caller, strategy):
    before = caller.ok("get_corp_tag_list")["tag_group"]
    body = {"strategy_id": strategy, "group_name": before[0]["group_name"], "tag": [{"name": "重点"}]}
    made = caller.ok("add_strategy_tag", body)["tag_group"]
    tag_id = made["tag"][0]["id"]
    assert (made["strategy_id"], made["group_id"][:2], tag_id[:2]) == (strategy, "st", "st")
    assert caller.ok("get_corp_tag_list")["tag_group"] == before
    listed = caller.ok("get_strategy_tag_list", {"strategy_id": strategy})["tag_group"]
    assert [each["group_id"] for each in listed] == [made["group_id"]]

    userid = caller.guides()[0]
    customer = caller.friends_of(userid)[0]
    caller.ok("mark_tag", {"userid": userid, "external_userid": customer, "add_tag": [tag_id]})
    follow = caller.get("externalcontact/get", external_userid=customer)["follow_user"]
    kinds = {tag["tag_id"]: tag["type"] for each in follow for tag in each["tags"]}
    assert kinds[tag_id] == 3
    assert caller.errcode("edit_corp_tag", {"id": tag_id, "name": "x"}) == 40068
    caller.ok("edit_strategy_tag", {"id": tag_id, "name": "特别"})
    caller.ok("del_strategy_tag", {"tag_id": [tag_id]})
    assert caller.ok("get_strategy_tag_list", {"strategy_id": strategy})["tag_group"] == []
    assert caller.errcode("add_strategy_tag", body | {"strategy_id": 99_999}) == 40058


def test_ids_of_other_kinds(caller):
    person = next(each for each in caller.people() if each["unionid"])
    assert caller.ok("convert_to_openid", {"external_userid": person["external_userid"]})["openid"] == person["openid"]
    assert caller.errcode("convert_to_openid", {"external_userid": "wmNobody"}) == 40096

    asked = {"unionid": "oSomebodyNew1", "openid": "oOpen1"}
    pending = caller.post("idconvert/unionid_to_external_userid", asked)["pending_id"]
    came = caller.simulator.act("scan", userid=caller.guides()[0], unionid="oSomebodyNew1")["external_userid"]
    body = {"external_userid": [came, person["external_userid"]]}
    result = caller.post("idconvert/batch/external_userid_to_pending_id", body)["result"]
    assert result == [{"external_userid": came, "pending_id": pending}]
    unknown = {"business_type": 1, "user_type": 1, "tmp_external_userid_list": ["tmpNobody"]}
    answer = caller.post("idconvert/convert_tmp_external_userid", unknown)
    assert (answer["results"], answer["invalid_tmp_external_userid_list"]) == ([], ["tmpNobody"])


def test_everybody_served_is_listed_strangers_with_half_a_name(caller):
    chat_id = caller.ok("groupchat/list", {"limit": 1})["group_chat_list"][0]["chat_id"]
    config_id = caller.ok("groupchat/add_join_way", {"scene": 2, "chat_id_list": [chat_id]})["config_id"]
    stranger = caller.simulator.act("scan_join_way", config_id=config_id, name="王小明")
    rows, cursor = [], ""
    while True:
        page = caller.ok("contact_list", {"cursor": cursor, "limit": 150})
        rows += page["info_list"]
        cursor = page["next_cursor"]
        if not cursor:
            break
    pairs = {(each["userid"], person["external_userid"]) for person in caller.people() for each in person["follows"]}
    assert {(row["follow_userid"], row["external_userid"]) for row in rows if row["is_customer"]} == pairs
    others = [row for row in rows if not row["is_customer"]]
    assert [(row["chat_id"], row["name"]) for row in others] == [(chat_id, "王**")]
    assert stranger["external_userid"] not in [row.get("external_userid") for row in rows]
