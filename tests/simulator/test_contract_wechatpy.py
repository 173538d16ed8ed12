"""wechatpy's own enterprise client, as shipped, works against the simulator; only its base URL is pointed there."""

import io
from collections.abc import Iterator

import pytest
import requests
import wechatpy.enterprise
from wechatpy.exceptions import APILimitedException, WeChatClientException

from wecom.simulator.testing import Simulator


def client_of(simulator: Simulator, *, app: int = 0, secret: str | None = None) -> wechatpy.enterprise.WeChatClient:
    class Client(wechatpy.enterprise.WeChatClient):
        API_BASE_URL = simulator.api_base

        def fetch_access_token(self):
            params = {"corpid": self.corp_id, "corpsecret": self.secret}
            return self._fetch_access_token(url=self.API_BASE_URL + "gettoken", params=params)

    corp = simulator.corps()[0]
    return Client(corp["corpid"], secret or corp["apps"][app]["secret"], timeout=10)


@pytest.fixture
def client(simulator: Simulator) -> Iterator[wechatpy.enterprise.WeChatClient]:
    yield client_of(simulator)
    simulator.post("/_sim/limits", {"per_minute": 10_000})


def test_fetches_a_token_and_gets_a_new_one_when_it_is_withdrawn(simulator, client):
    first = client.access_token
    assert client.misc.get_wechat_ips()

    simulator.post("/_sim/tokens/revoke", {"corpid": client.corp_id})

    assert client.misc.get_wechat_ips()  # 40014 → refresh → retry, all inside the client
    assert client.access_token != first


def test_gets_a_new_token_when_it_expired(simulator, client):
    first = client.access_token
    simulator.post("/_sim/tokens/revoke", {"corpid": client.corp_id, "expire": True})

    assert client.department.get()
    assert client.access_token != first


def test_wrong_secret_is_40001(simulator):
    with pytest.raises(WeChatClientException) as refusal:
        client_of(simulator, secret="nonsense").fetch_access_token()
    assert refusal.value.errcode == 40001


def test_frequency_limit_is_what_the_client_takes_for_one(simulator, client):
    client.department.get()
    simulator.post("/_sim/limits", {"per_minute": 2})
    client.department.get()
    client.department.get()
    with pytest.raises(APILimitedException):
        client.department.get()


def test_departments_and_users(client):
    departments = client.department.get()
    assert departments[0]["id"] == 1
    assert len(departments) == 7  # the root and six stores

    users = client.user.list(1, fetch_child=True)
    assert len(users) == 7  # six guides and head office
    guide = client.user.get(users[0]["userid"])
    assert guide["name"] == users[0]["name"]
    assert client.user.list(2, simple=True)[0]["department"] == [2]


def test_external_contacts(client):
    userid = client.external_contact.get_follow_user_list()["follow_user"][0]
    customers = client.external_contact.list(userid)["external_userid"]

    detail = client.external_contact.get(customers[0])

    assert detail["external_contact"]["external_userid"] == customers[0]
    assert userid in [follow["userid"] for follow in detail["follow_user"]]


def test_contact_way_round_trip(client):
    userid = client.external_contact.get_follow_user_list()["follow_user"][0]
    made = client.external_contact.add_contact_way(1, 2, state="shelf_7", user=[userid], remark="货架")

    way = client.external_contact.get_contact_way(made["config_id"])["contact_way"]
    assert (way["state"], way["user"], way["qr_code"]) == ("shelf_7", [userid], made["qr_code"])

    client.external_contact.update_contact_way(made["config_id"], "收银台", state="till_1", user=[userid])
    assert client.external_contact.get_contact_way(made["config_id"])["contact_way"]["state"] == "till_1"
    client.external_contact.del_contact_way(made["config_id"])
    with pytest.raises(WeChatClientException) as refusal:
        client.external_contact.get_contact_way(made["config_id"])
    assert refusal.value.errcode == 41044


def test_tags_are_made_and_marked(client):
    group = client.post(
        "externalcontact/add_corp_tag", data={"group_name": "兴趣", "tag": [{"name": "家纺"}, {"name": "女装"}]}
    )["tag_group"]
    userid = client.external_contact.get_follow_user_list()["follow_user"][1]
    customer = client.external_contact.list(userid)["external_userid"][0]

    client.post(
        "externalcontact/mark_tag",
        data={"userid": userid, "external_userid": customer, "add_tag": [group["tag"][0]["id"]]},
    )

    follows = {each["userid"]: each for each in client.external_contact.get(customer)["follow_user"]}
    assert "家纺" in [tag["tag_name"] for tag in follows[userid]["tags"]]


def test_customer_groups(client):
    listed = client.external_contact_group_chat.list_all()
    group = client.external_contact_group_chat.get(listed[0]["chat_id"])["group_chat"]
    owner = [each for each in group["member_list"] if each["userid"] == group["owner"]]
    assert owner[0]["type"] == 1


def test_mass_send_in_the_older_single_object_form(simulator, client):
    userid = client.external_contact.get_follow_user_list()["follow_user"][2]
    media = client.media.upload("image", ("cover.png", io.BytesIO(b"\x89PNG\r\n\x1a\n" + b"0" * 64), "image/png"))

    made = client.external_contact.add_msg_template(
        {"sender": userid, "text": {"content": "会员日"}, "image": {"media_id": media["media_id"]}}
    )
    simulator.act("settle")

    result = client.external_contact.get_group_msg_result(made["msgid"])["detail_list"]
    received = [row for row in simulator.journal() if row["msgid"] == made["msgid"]]
    assert {row["external_userid"] for row in result if row["status"] == 1} == {
        row["external_userid"] for row in received
    }
    assert received[0]["attachments"][0]["image"]["media_id"] == media["media_id"]


def test_application_message_reaches_members(simulator, client):
    userid = client.external_contact.get_follow_user_list()["follow_user"][0]
    sent = client.message.send_text(client.agent.list()[0]["agentid"], [userid, "Nobody.Here"], "请确认群发")
    assert sent["invaliduser"] == "nobody.here"
    assert [row["userid"] for row in simulator.journal(kind="app") if row["msgid"] == sent["msgid"]] == [userid]


def refused(client, use) -> int:
    """The errcode the client raises."""
    with pytest.raises(WeChatClientException) as refusal:
        use(client)
    return int(refusal.value.errcode)


@pytest.fixture
def guide(client) -> str:
    return str(client.external_contact.get_follow_user_list()["follow_user"][0])


@pytest.fixture
def friend(client, guide) -> str:
    return str(client.external_contact.list(guide)["external_userid"][0])


def test_its_own_tag_calls(client, guide, friend):
    # Its add_corp_tag always sends group_id, group_name and order; an empty group_id counts as none.
    made = client.external_contact.add_corp_tag("", "季节", 5, [{"name": "春"}, {"name": "秋"}])["tag_group"]
    spring = made["tag"][0]["id"]
    assert client.external_contact.get_corp_tag_list([spring])["tag_group"][0]["group_id"] == made["group_id"]
    client.external_contact.edit_corp_tag(spring, "早春", 9)
    client.external_contact.mark_tag(guide, friend, add_tag=[spring])
    tags = {each["userid"]: each for each in client.external_contact.get(friend)["follow_user"]}[guide]["tags"]
    assert "早春" in [each["tag_name"] for each in tags]
    client.external_contact.mark_tag(guide, friend, remove_tag=[spring])
    client.external_contact.del_corp_tag(group_id=[made["group_id"]])
    assert refused(client, lambda it: it.external_contact.mark_tag(guide, friend, add_tag=[spring])) == 40068


def test_welcome(simulator, client, guide):
    code = simulator.act("scan", userid=guide)["welcome_code"]
    client.external_contact.send_welcome_msg({"welcome_code": code, "text": {"content": "欢迎"}})
    again = {"welcome_code": code, "text": {"content": "欢迎"}}
    assert refused(client, lambda it: it.external_contact.send_welcome_msg(again)) == 41051


def test_behaviour_of_a_member(simulator, client, guide):
    midnight = (int(simulator.get("/_sim/health")["now"]) + 8 * 3600) // 86_400 * 86_400 - 8 * 3600
    told = midnight - 2 * 86_400  # yesterday's figures come some hours after midnight
    day = client.external_contact.get_user_behavior_data([guide], told, told)
    assert day["behavior_data"][0]["stat_time"] == told


def test_every_kind_of_message_it_sends(simulator, client, guide):
    agentid = client.agent.list()[0]["agentid"]
    picture = ("a.png", io.BytesIO(b"\x89PNG\r\n\x1a\n" + b"0" * 64), "image/png")
    media = client.media.upload("image", picture)["media_id"]
    paper = client.media.upload("file", ("a.txt", io.BytesIO(b"what to say today"), "text/plain"))["media_id"]
    address = client.media.get_url(media).replace(
        "https://qyapi.weixin.qq.com", simulator.base_url
    )  # it is fixed there
    assert requests.get(address, timeout=10).content.startswith(b"\x89PNG")
    sent = [
        client.message.send_text_card(agentid, guide, "任务", "十二位", "https://orchard.example/t"),
        client.message.send_image(agentid, guide, media),
        client.message.send_file(agentid, guide, paper),
        client.message.send_markdown(agentid, guide, "**早会**"),
        client.message.send_articles(
            agentid, guide, [{"title": "周报", "description": "", "url": "https://orchard.example", "image": ""}]
        ),
    ]
    assert len({each["msgid"] for each in sent}) == 5
    assert client.agent.get(agentid)["agentid"] == agentid


def test_tags_of_members(client):
    tagid = client.tag.list()[0]["tagid"]
    assert client.tag.get_users(tagid)["userlist"]


def test_log_in_and_tickets(simulator, client, guide):
    code = simulator.post("/_sim/logins/code", {"corpid": client.corp_id, "userid": guide})["code"]
    assert client.oauth.get_user_info(code)["UserId"] == guide
    ticket = client.jsapi.get_jsapi_ticket()
    page = {"url": "https://orchard.example/sidebar", "timestamp": 1700000000, "nonceStr": "abc"}
    mark = client.jsapi.get_jsapi_signature("abc", ticket, 1700000000, page["url"])
    checked = simulator.post("/_sim/jssdk/check", {"corpid": client.corp_id, "signature": mark, **page})
    assert checked["errcode"] == 0
    assert client.jsapi.get_agent_ticket()["ticket"]


def test_provider_tokens(simulator, client):
    suite = simulator.post("/_sim/suites", {"kind": "third_party"})
    ticket = simulator.post(f"/_sim/suites/{suite['suite_id']}/ticket")["suite_ticket"]
    got = client.service.get_suite_token(suite["suite_id"], suite["secret"], ticket)
    assert got["suite_access_token"]
    simulator.delete(f"/_sim/suites/{suite['suite_id']}")
