"""Customers, their lists, tags and groups as the API tells them."""

import pytest


def pairs_of(caller, userids, *, limit=100):
    """(pairs, calls) of a full run of batch/get_by_user."""
    found, calls, cursor = [], 0, ""
    while True:
        page = caller.ok("batch/get_by_user", {"userid_list": userids, "cursor": cursor, "limit": limit})
        calls += 1
        found += page["external_contact_list"]
        cursor = page["next_cursor"]
        if not cursor:
            return found, calls


def test_the_batch_tells_every_pair_once_in_as_few_calls_as_it_can(caller):
    pairs, calls = pairs_of(caller, caller.guides())
    keys = [(each["follow_info"]["userid"], each["external_contact"]["external_userid"]) for each in pairs]
    expected = {
        (follow["userid"], person["external_userid"]) for person in caller.people() for follow in person["follows"]
    }
    assert len(keys) == len(set(keys))
    assert set(keys) == expected
    assert calls == -(-len(pairs) // 100)


def test_the_batch_clamps_its_limit(caller):
    page = caller.ok("batch/get_by_user", {"userid_list": caller.guides(), "limit": 5000})
    assert len(page["external_contact_list"]) == 100


def test_a_cursor_survives_changes_behind_it(caller):
    userid = caller.guides()[0]
    before, _ = pairs_of(caller, [userid], limit=100)
    first = caller.ok("batch/get_by_user", {"userid_list": [userid], "limit": 10})
    gone = first["external_contact_list"][0]["external_contact"]["external_userid"]
    caller.simulator.act("delete_follow", userid=userid, external_userid=gone, by="guide")

    seen, cursor = first["external_contact_list"], first["next_cursor"]
    while cursor:
        page = caller.ok("batch/get_by_user", {"userid_list": [userid], "limit": 10, "cursor": cursor})
        seen, cursor = seen + page["external_contact_list"], page["next_cursor"]

    assert [each["external_contact"]["external_userid"] for each in seen] == [
        each["external_contact"]["external_userid"] for each in before
    ]


def test_batch_and_detail_agree_but_for_their_shapes(caller):
    pair = next(each for each in pairs_of(caller, caller.guides())[0] if each["follow_info"]["tag_id"])
    detail = caller.get("externalcontact/get", external_userid=pair["external_contact"]["external_userid"])
    follow = next(each for each in detail["follow_user"] if each["userid"] == pair["follow_info"]["userid"])

    assert detail["external_contact"] == pair["external_contact"]
    assert [tag["tag_id"] for tag in follow.pop("tags")] == pair["follow_info"].pop("tag_id")
    assert follow == pair["follow_info"]


def test_one_way_customers_stay_in_every_list(caller):
    person = next(each for each in caller.people() if any(f["deleted_by_customer"] for f in each["follows"]))
    userid = next(follow["userid"] for follow in person["follows"] if follow["deleted_by_customer"])

    assert person["external_userid"] in caller.get("externalcontact/list", userid=userid)["external_userid"]
    detail = caller.get("externalcontact/get", external_userid=person["external_userid"])
    assert userid in [follow["userid"] for follow in detail["follow_user"]]


def test_deleted_by_the_guide_is_gone_and_the_last_one_leaves_84061(caller):
    person = next(each for each in caller.people() if len(each["follows"]) == 1)
    userid, external_userid = person["follows"][0]["userid"], person["external_userid"]

    caller.simulator.act("delete_follow", userid=userid, external_userid=external_userid, by="guide")

    assert external_userid not in caller.get("externalcontact/list", userid=userid)["external_userid"]
    assert caller.get("externalcontact/get", external_userid=external_userid)["errcode"] == 84061
    assert caller.get("externalcontact/get", external_userid="wmUnknown")["errcode"] == 40096


def test_a_member_without_customers_is_84061_with_an_empty_list(caller):
    caller.simulator.act("member", action="create", userid="Newcomer", name="新人", department=[2])
    answer = caller.get("externalcontact/list", userid="newcomer")
    assert (answer["errcode"], answer["external_userid"]) == (84061, [])
    assert caller.ok("batch/get_by_user", {"userid_list": ["newcomer"]})["external_contact_list"] == []
    caller.simulator.act("member", action="delete", userid="newcomer")
    assert caller.get("externalcontact/list", userid="newcomer")["errcode"] == 40003


def test_half_added_is_84061_until_the_guide_adds_back(caller):
    userid = caller.guides()[0]
    visitor = caller.simulator.act("scan", userid=userid, half=True)["external_userid"]
    assert caller.get("externalcontact/get", external_userid=visitor)["errcode"] == 84061

    caller.simulator.act("accept", userid=userid, external_userid=visitor)

    assert caller.get("externalcontact/get", external_userid=visitor)["errcode"] == 0


def test_who_comes_back_has_a_later_follow_and_keeps_the_remark(caller):
    userid = caller.guides()[1]
    customer = caller.friends_of(userid)[0]
    caller.ok("remark", {"userid": userid, "external_userid": customer, "remark": "老客户"})
    before = follow_of(caller, userid, customer)
    caller.simulator.act("delete_follow", userid=userid, external_userid=customer, by="customer")
    again = caller.simulator.act("scan", userid=userid, external_userid=customer)

    after = follow_of(caller, userid, customer)
    assert again["welcome_code"] is None  # they were friends before
    assert after["createtime"] > before["createtime"]
    assert after["remark"] == "老客户"


@pytest.mark.parametrize(
    ("change", "errcode"),
    [
        ({"remark": "小林" * 10}, 0),
        ({"remark": "小林" * 10 + "x"}, 40058),
        ({"description": "x" * 151}, 40058),
        ({"remark_mobiles": ["13800000000"]}, 0),
        ({"remark_mobiles": [""]}, 0),
        ({}, 40058),
    ],
)
def test_remark_limits(caller, change, errcode):
    userid = caller.guides()[0]
    customer = caller.friends_of(userid)[0]
    assert caller.errcode("remark", {"userid": userid, "external_userid": customer, **change}) == errcode
    if change.get("remark_mobiles") == [""]:
        assert follow_of(caller, userid, customer)["remark_mobiles"] == []


def test_unionid_leads_to_the_customer_or_to_a_pending_id(caller):
    person = next(each for each in caller.people() if each["unionid"] and each["follows"])
    body = {"unionid": person["unionid"], "openid": "oSomebody", "subject_type": 0}
    assert caller.post("idconvert/unionid_to_external_userid", body)["external_userid"] == person["external_userid"]
    unknown = caller.post("idconvert/unionid_to_external_userid", body | {"unionid": "oNobodyYet"})
    assert unknown["pending_id"]
    assert "external_userid" not in unknown


def test_groups_page_and_tell_their_members(caller):
    corp = caller.simulator.corps()[0]
    seen, cursor = [], ""
    while True:
        page = caller.ok("groupchat/list", {"limit": 1, "cursor": cursor})
        seen += [each["chat_id"] for each in page["group_chat_list"]]
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert len(seen) == len(set(seen)) == corp["groups"]
    assert caller.errcode("groupchat/list", {}) == 40058

    group = caller.ok("groupchat/get", {"chat_id": seen[0], "need_name": 1})["group_chat"]
    externals = [each for each in group["member_list"] if each["type"] == 2]
    assert externals
    assert all(each["name"] for each in group["member_list"])
    nameless = caller.ok("groupchat/get", {"chat_id": seen[0]})["group_chat"]["member_list"]
    assert not any("name" in each for each in nameless)
    assert caller.errcode("groupchat/get", {"chat_id": "wrUnknown"}) == 40058


def test_member_version_changes_with_the_members(caller):
    chat_id = caller.ok("groupchat/list", {"limit": 1})["group_chat_list"][0]["chat_id"]
    before = caller.ok("groupchat/get", {"chat_id": chat_id})["group_chat"]
    members = {each["userid"] for each in before["member_list"]}
    newcomer = next(each["external_userid"] for each in caller.people() if each["external_userid"] not in members)

    caller.simulator.act("join_group", chat_id=chat_id, external_userid=newcomer)

    after = caller.ok("groupchat/get", {"chat_id": chat_id})["group_chat"]
    assert after["member_version"] != before["member_version"]
    assert {each["userid"] for each in after["member_list"]} - members == {newcomer}


def test_tags_belong_to_the_pair_and_go_with_the_library(caller):
    group = caller.ok("add_corp_tag", {"group_name": "兴趣标签", "tag": [{"name": "个护"}]})["tag_group"]
    tag_id = group["tag"][0]["id"]
    person = next(each for each in caller.people() if len(each["follows"]) == 2)
    first, second = (follow["userid"] for follow in person["follows"])
    body = {"userid": first, "external_userid": person["external_userid"]}

    caller.ok("mark_tag", body | {"add_tag": [tag_id]})
    caller.ok("mark_tag", body | {"add_tag": [tag_id]})  # repeats are harmless

    assert [t["tag_id"] for t in follow_of(caller, first, person["external_userid"])["tags"]].count(tag_id) == 1
    assert tag_id not in [t["tag_id"] for t in follow_of(caller, second, person["external_userid"])["tags"]]

    caller.ok("del_corp_tag", {"tag_id": [tag_id]})

    assert tag_id not in [t["tag_id"] for t in follow_of(caller, first, person["external_userid"])["tags"]]
    names = [each["group_name"] for each in caller.ok("get_corp_tag_list")["tag_group"]]
    assert "兴趣标签" not in names  # the last tag took the group along
    assert caller.errcode("mark_tag", body | {"add_tag": [tag_id]}) == 40068


def test_tag_refusals(caller):
    caller.ok("add_corp_tag", {"group_name": "重名组", "tag": [{"name": "甲"}]})
    console_tag = next(
        group["tag"][0]["id"]
        for group in caller.ok("get_corp_tag_list")["tag_group"]
        if group["group_name"] == "会员等级"
    )
    assert caller.errcode("add_corp_tag", {"group_name": "重名组", "tag": [{"name": "甲"}]}) == 40071
    assert caller.errcode("add_corp_tag", {"group_name": "长", "tag": [{"name": "长" * 31}]}) == 40072
    assert caller.errcode("add_corp_tag", {"group_name": "空", "tag": []}) == 40063
    assert caller.errcode("edit_corp_tag", {"id": console_tag, "name": "改"}) == 81011
    assert caller.errcode("del_corp_tag", {"tag_id": [console_tag]}) == 81011
    assert caller.errcode("del_corp_tag", {}) == 40063
    twice = caller.ok("add_corp_tag", {"group_name": "重名组", "tag": [{"name": "乙"}, {"name": "乙"}]})
    assert len(twice["tag_group"]["tag"]) == 1


def follow_of(caller, userid, external_userid):
    detail = caller.get("externalcontact/get", external_userid=external_userid)
    return next(each for each in detail["follow_user"] if each["userid"] == userid)


def test_owners_of_groups_are_found_however_their_userid_is_spelt(caller):
    owner = caller.simulator.get(f"/_sim/corps/{caller.corpid}/groups")["items"][0]["owner"]
    asked = {"limit": 100, "owner_filter": {"userid_list": [owner]}}
    spelt = {"limit": 100, "owner_filter": {"userid_list": [owner.upper()]}}
    found = caller.ok("groupchat/list", asked)["group_chat_list"]
    assert caller.ok("groupchat/list", spelt)["group_chat_list"] == found != []
    assert caller.errcode("groupchat/list", {"limit": 100, "owner_filter": {"userid_list": [1]}}) == 40058


def test_who_comes_back_is_still_known(caller):
    userid = caller.guides()[0]
    customer = caller.simulator.act("scan", userid=userid)["external_userid"]
    pair = {"userid": userid, "external_userid": customer}
    noted = {"remark": "王姐", "description": "喜欢家纺", "remark_company": "远山", "remark_mobiles": ["13800000000"]}
    caller.ok("remark", pair | noted)
    caller.simulator.act("edit", personal_tags=["老友"], **pair)
    caller.simulator.act("delete_follow", by="customer", **pair)
    caller.simulator.act("scan", **pair)
    follow = caller.get("externalcontact/get", external_userid=customer)["follow_user"][0]
    assert (follow["remark"], follow["description"], follow["remark_corp_name"]) == ("王姐", "喜欢家纺", "远山")
    assert (follow["remark_mobiles"], follow["tags"][0]["tag_name"]) == (["13800000000"], "老友")


def test_everybody_served_is_listed_once_over_pages(caller):
    rows, cursor = [], ""
    while True:
        page = caller.ok("contact_list", {"limit": 70, "cursor": cursor})
        rows += page["info_list"]
        cursor = page["next_cursor"]
        if not cursor:
            break
    pairs = [(each["follow_userid"], each["external_userid"]) for each in rows if each["is_customer"]]
    follows = {(f["userid"], each["external_userid"]) for each in caller.people() for f in each["follows"]}
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == follows
