"""pywxwork 1.0.21, as shipped, against the simulator; only its host name is pointed there. It hands answers through."""

from __future__ import annotations

from typing import Any

import pytest
import pywxwork.base
import pywxwork.token
import requests
from pywxwork.contact.department import department
from pywxwork.contact.tag import tag as member_tag
from pywxwork.contact.user import user
from pywxwork.customer import customer, tag
from pywxwork.externalcontact import (
    customerAcquisition,
    customerAcquisitionQuota,
    groupChat,
    groupWelcomeTemplate,
)
from pywxwork.media import media
from pywxwork.message import message


@pytest.fixture
def token(simulator, monkeypatch) -> str:
    host = simulator.api_base.rstrip("/")
    monkeypatch.setattr(pywxwork.base.base, "host_name", host)
    monkeypatch.setattr(pywxwork.token.token, "host_name", host)
    corp = simulator.corps()[0]
    return pywxwork.token.token(corp["corpid"], corp["apps"][0]["secret"]).token


def ok(answer: dict[str, Any]) -> dict[str, Any]:
    assert answer["errcode"] == 0, answer
    return answer


@pytest.fixture
def guide(token) -> str:
    return str(ok(customer(token).get_follow_user_list())["follow_user"][0])


@pytest.fixture
def friend(token, guide) -> str:
    return str(ok(customer(token).list(guide))["external_userid"][0])


def test_a_refused_token_is_handed_through(token):
    assert customer("nonsense").get_follow_user_list()["errcode"] == 40014
    assert pywxwork.token.token("ww0", "x").token_info["errcode"] == 40013


def test_debug_is_taken(simulator, token):
    corp = simulator.corps()[0]
    assert pywxwork.token.token(corp["corpid"], corp["apps"][0]["secret"], debug=True).token


def test_directory(token, guide):
    assert ok(department(token).list())["department"][0]["id"] == 1
    assert ok(department(token).simplelist())["department_id"]
    assert ok(department(token).get(2))["department"]["parentid"] == 1
    assert guide in [each["userid"] for each in ok(user(token).simplelist(1, fetch_child=1))["userlist"]]
    assert ok(user(token).list(2))["userlist"]
    assert ok(user(token).get(guide))["userid"] == guide
    tags = ok(member_tag(token).list())["taglist"]
    assert ok(member_tag(token).get(tags[0]["tagid"]))["userlist"]
    assert ok(pywxwork.base.base(token).get_api_domain_ip())["ip_list"]


def test_customers(token, guide, friend):
    assert ok(customer(token).get(friend))["external_contact"]["external_userid"] == friend
    ok(customer(token).remark(guide, friend, remark="老客", description="爱喝茶"))
    rows = [row for page in customer(token).get_all_customer([guide]) for row in page]
    assert next(each for each in rows if each["external_contact"]["external_userid"] == friend)["follow_info"][
        "description"
    ] == ("爱喝茶")


def test_tags(token):
    made = ok(tag(token).add([{"name": "早"}, {"name": "晚"}], group_name="到店时段"))["tag_group"]
    ok(tag(token).update(made["tag"][0]["id"], name="清早"))
    assert ok(tag(token).list(group_id=[made["group_id"]]))["tag_group"][0]["tag"][0]["name"] in ("清早", "晚")
    ok(tag(token).delete(group_id=[made["group_id"]]))


def test_contact_ways(token, guide):
    made = ok(customer(token).add_contact_way({"type": 2, "scene": 2, "user": [guide], "state": "s"}))
    ok(customer(token).update_contact_way({"config_id": made["config_id"], "state": "t", "user": [guide]}))
    assert ok(customer(token).get_contact_way(made["config_id"]))["contact_way"]["state"] == "t"


def test_welcome_and_transfer(simulator, token, guide, friend):
    scan = simulator.act("scan", userid=guide)
    ok(customer(token).send_welcome_msg({"welcome_code": scan["welcome_code"], "text": {"content": "欢迎"}}))
    other = ok(customer(token).get_follow_user_list())["follow_user"][1]
    same = ok(customer(token).transfer_customer([friend], guide, guide, transfer_success_msg=""))
    assert [each["errcode"] for each in same["customer"]] == [40130]
    assert customer(token).resigned_transfer_customer([friend], guide, other)["errcode"] == 40097
    ok(customer(token).transfer_result(guide, other))
    assert customer(token).resigned_transfer_result(guide, other)["errcode"] in (0, 40097)


def test_groups(token):
    chat_id = ok(groupChat(token).list())["group_chat_list"][0]["chat_id"]
    assert ok(groupChat(token).get(chat_id, need_name=1))["group_chat"]["chat_id"] == chat_id
    way = ok(groupChat(token).add_join_way({"scene": 2, "chat_id_list": [chat_id]}))["config_id"]
    assert ok(groupChat(token).get_join_way(way))["join_way"]["scene"] == 2
    ok(groupChat(token).update_join_way({"config_id": way, "scene": 2, "chat_id_list": [chat_id]}))
    ok(groupChat(token).del_join_way(way))
    assert "failed_chat_list" in groupChat(token).transfer([chat_id], "nobody")
    template = ok(groupWelcomeTemplate(token).add({"text": {"content": "欢迎进群"}}))["template_id"]
    assert ok(groupWelcomeTemplate(token).get(template))["text"]["content"] == "欢迎进群"
    ok(groupWelcomeTemplate(token).edit({"template_id": template, "text": {"content": "进群有礼"}}))
    ok(groupWelcomeTemplate(token).delete(template))


def test_acquisition(token, guide):
    made = ok(customerAcquisition(token).create_link({"link_name": "门店", "range": {"user_list": [guide]}}))["link"]
    assert ok(customerAcquisition(token).get(made["link_id"]))["link"]["link_name"] == "门店"
    ok(customerAcquisition(token).update_link({"link_id": made["link_id"], "link_name": "总店"}))
    assert "balance" in ok(customerAcquisitionQuota(token).get_quota())
    assert made["link_id"] in ok(customerAcquisition(token).list_link(cursor=""))["link_id_list"]
    ok(customerAcquisition(token).delete_link(made["link_id"]))


def test_messages(simulator, token, guide):
    agentid = simulator.corps()[0]["apps"][0]["agentid"]
    sent = ok(message(token).send_text(agentid, "请确认群发", touser=[guide]))
    assert sent["msgid"] in {row["msgid"] for row in simulator.journal(kind="app")}
    card = {"title": "任务", "description": "今天 12 位", "url": "https://orchard.example/t"}
    ok(message(token).send(agentid, "textcard", card, touser=[guide]))
    assert message(token).send_text(agentid, "x", touser=["nobody"])["errcode"] == 81013


# -- where this client is wrong about WeCom ----------------------------------------------------------------------------


def test_it_sends_the_literal_cursor_of_the_manual(token):
    assert customerAcquisition(token).list_link()["errcode"] == 50100


def test_its_default_success_message_is_a_boolean(token, guide, friend):
    other = ok(customer(token).get_follow_user_list())["follow_user"][1]
    assert customer(token).transfer_customer([friend], guide, other)["errcode"] == 40058


def test_its_demo_contact_way_asks_for_three_users_and_a_placeholder(token):
    assert customer(token).add_contact_way_demo()["errcode"] in (40007, 40058)


@pytest.mark.parametrize(
    "use",
    [
        lambda token: groupChat(token).transfer_result(),
        lambda token: customer(token).customer_strategy_list(),
        lambda token: customer(token).customer_strategy_get("1"),
    ],
    ids=["groupchat/transfer_result", "customer_strategy/list", "customer_strategy/get"],
)
def test_paths_that_do_not_exist_are_an_empty_404(token, use):
    with pytest.raises(requests.JSONDecodeError):
        use(token)


def test_it_names_the_part_of_an_upload_otherwise(token, tmp_path):
    picture = tmp_path / "a.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 64)
    assert media(token).upload("image", str(picture))["errcode"] == 44001
    assert media(token).uploadimg(str(picture))["errcode"] == 44001
