"""wechatpy's own enterprise client, as shipped, works against the simulator; only its base URL is pointed there."""

import io
from collections.abc import Iterator

import pytest
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
