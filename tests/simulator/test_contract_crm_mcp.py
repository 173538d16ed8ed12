"""wecom-crm-mcp 0.1.0, as shipped, against the simulator. Where it deviates from WeCom it is refused, as there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from wecom_crm_mcp.client import WecomClient
from wecom_crm_mcp.config import WecomConfig
from wecom_crm_mcp.exceptions import WecomAPIError, WecomAuthError
from wecom_crm_mcp.modules.acquisition import AcquisitionModule
from wecom_crm_mcp.modules.contact_way import ContactWayModule
from wecom_crm_mcp.modules.customer import CustomerModule
from wecom_crm_mcp.modules.group_chat import GroupChatModule
from wecom_crm_mcp.modules.media import MediaModule
from wecom_crm_mcp.modules.misc import MiscModule
from wecom_crm_mcp.modules.moment import MomentModule
from wecom_crm_mcp.modules.msg_template import MsgTemplateModule
from wecom_crm_mcp.modules.statistics import StatisticsModule
from wecom_crm_mcp.modules.tag import TagModule
from wecom_crm_mcp.modules.transfer_active import TransferActiveModule
from wecom_crm_mcp.modules.transfer_resigned import TransferResignedModule

from wecom.simulator.testing import Simulator

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 64


class Crm:
    """Runs one call of a client after another, in a loop and a thread of its own: this one's belongs to the browser."""

    def __init__(self, simulator: Simulator, cache: Path, **config: str) -> None:
        corp = simulator.corps()[0]
        given = {"corpid": corp["corpid"], "corpsecret": corp["apps"][0]["secret"], "base_url": simulator.base_url}
        self.config = WecomConfig(**{**given, "cache_dir": str(cache), **config})
        self.loop, self.thread = asyncio.new_event_loop(), ThreadPoolExecutor(1)
        self.client = WecomClient(self.config)

    def __call__(self, use: Callable[[WecomClient], Awaitable[Any]]) -> Any:
        return self._run(asyncio.wait_for(use(self.client), 60))

    def close(self) -> None:
        """Close connections and loop."""
        self._run(self.client.aclose())
        self.loop.close()
        self.thread.shutdown()

    def _run(self, act: Coroutine[Any, Any, Any]) -> Any:
        return self.thread.submit(self.loop.run_until_complete, act).result()

    def refused(self, use: Callable[[WecomClient], Awaitable[Any]]) -> int:
        """The errcode that the client raises."""
        with pytest.raises(WecomAPIError) as refusal:
            self(use)
        return int(refusal.value.errcode)


@pytest.fixture(scope="module")
def crm(simulator, tmp_path_factory) -> Iterator[Crm]:
    made = Crm(simulator, tmp_path_factory.mktemp("tokens"))
    yield made
    made.close()


@pytest.fixture
def guide(crm) -> str:
    return str(crm(lambda client: CustomerModule(client).list_followers())["follow_user"][0])


@pytest.fixture
def customer(crm, guide) -> str:
    return str(crm(lambda client: CustomerModule(client).list(guide))["external_userid"][0])


def test_tokens_are_cached_and_fetched_anew_when_withdrawn(crm, simulator, tmp_path):
    first = crm(lambda client: client.get_access_token())
    simulator.post("/_sim/tokens/revoke", {"corpid": crm.config.corpid})
    assert crm(lambda client: CustomerModule(client).list_followers())["follow_user"]
    assert crm(lambda client: client.get_access_token()) != first
    stranger = Crm(simulator, tmp_path, corpsecret="nonsense")
    with pytest.raises(WecomAuthError, match="40001"):
        stranger(lambda client: client.get_access_token())
    stranger.close()


def test_customers(crm, guide, customer):
    shown = crm(lambda client: CustomerModule(client).get(customer))
    assert shown["external_contact"]["external_userid"] == customer
    crm(lambda client: CustomerModule(client).remark(guide, customer, remark="常客", remark_mobiles=["13800000000"]))
    page = crm(lambda client: CustomerModule(client).batch_get([guide], limit=100))
    mine = {each["external_contact"]["external_userid"]: each["follow_info"] for each in page["external_contact_list"]}
    assert mine[customer]["remark"] == "常客"


def test_tags(crm, guide, customer):
    made = crm(
        lambda client: TagModule(client).add_corp_tag(group_name="会员等级", tag=[{"name": "金"}, {"name": "银"}])
    )
    gold, silver = (each["id"] for each in made["tag_group"]["tag"])
    crm(lambda client: TagModule(client).mark_tag(guide, customer, add_tag=[gold]))
    crm(lambda client: TagModule(client).edit_corp_tag(silver, name="白银", order=3))
    listed = crm(lambda client: TagModule(client).list_corp_tags(tag_id=[silver]))
    assert listed["tag_group"][0]["tag"][0]["name"] == "白银"
    crm(lambda client: TagModule(client).del_corp_tag(tag_id=[gold, silver]))
    assert crm.refused(lambda client: TagModule(client).mark_tag(guide, customer, add_tag=[gold])) == 40068


def test_contact_ways(crm, guide):
    made = crm(lambda client: ContactWayModule(client).add_contact_way(1, 2, state="s", user=[guide], skip_verify=True))
    shown = crm(lambda client: ContactWayModule(client).get_contact_way(made["config_id"]))["contact_way"]
    assert (shown["state"], shown["user"]) == ("s", [guide])
    crm(lambda client: ContactWayModule(client).update_contact_way(made["config_id"], state="t"))
    assert made["config_id"] in str(crm(lambda client: ContactWayModule(client).list_contact_way()))
    crm(lambda client: ContactWayModule(client).del_contact_way(made["config_id"]))
    assert crm.refused(lambda client: ContactWayModule(client).get_contact_way(made["config_id"])) == 41044
    assert crm.refused(lambda client: ContactWayModule(client).close_temp_chat(guide, "wm-nobody")) == 40096


def test_groups_and_join_ways(crm):
    group = crm(lambda client: GroupChatModule(client).list_groupchats())["group_chat_list"][0]["chat_id"]
    assert crm(lambda client: GroupChatModule(client).get_groupchat(group))["group_chat"]["member_list"]
    assert crm.refused(lambda client: GroupChatModule(client).opengid_to_chatid("nonsense")) == 90511
    ways = ContactWayModule
    made = crm(lambda client: ways(client).groupchat_add_join_way(scene=2, chat_id_list=[group], state="入口"))
    shown = crm(lambda client: ways(client).groupchat_get_join_way(made["config_id"]))["join_way"]
    assert shown["chat_id_list"] == [group]
    crm(
        lambda client: ways(client).groupchat_update_join_way(
            made["config_id"], scene=2, chat_id_list=[group], remark="改"
        )
    )
    crm(lambda client: ways(client).groupchat_del_join_way(made["config_id"]))


def test_a_mass_send_and_its_results(crm, simulator, guide, customer, tmp_path):
    picture = tmp_path / "cover.png"
    picture.write_bytes(PNG)
    media = crm(lambda client: MediaModule(client).upload(picture))["media_id"]
    made = crm(
        lambda client: MsgTemplateModule(client).add_msg_template(
            "single",
            external_userid=[customer],
            sender=guide,
            text={"content": "会员日"},
            attachments=[{"msgtype": "image", "image": {"media_id": media}}],
        )
    )
    simulator.post("/_sim/clock", {"advance_seconds": 5})
    simulator.act("confirm", userid=guide, msgid=made["msgid"])
    templates = MsgTemplateModule
    task = crm(lambda client: templates(client).get_groupmsg_task(made["msgid"]))["task_list"]
    assert [(each["userid"], each["status"]) for each in task] == [(guide, 2)]
    rows = crm(lambda client: templates(client).get_groupmsg_send_result(made["msgid"], guide))["send_list"]
    assert [(each["external_userid"], each["status"]) for each in rows] == [(customer, 1)]
    now = int(simulator.get("/_sim/health")["now"])
    listed = crm(lambda client: templates(client).get_groupmsg_list_v2("single", now - 3600, now))
    assert made["msgid"] in [each["msgid"] for each in listed["group_msg_list"]]


def test_a_welcome(crm, simulator, guide):
    code = simulator.act("scan", userid=guide)["welcome_code"]
    hello = {"content": "你好 %NICKNAME%"}
    crm(lambda client: MsgTemplateModule(client).send_welcome_msg(code, text=hello))
    assert crm.refused(lambda client: MsgTemplateModule(client).send_welcome_msg(code, text=hello)) == 41051


def test_moments(crm, simulator, tmp_path):
    picture = tmp_path / "moment.png"
    picture.write_bytes(PNG)
    media = crm(lambda client: MediaModule(client).upload_attachment(picture, media_type="image", attachment_type=1))
    attachment = {"msgtype": "image", "image": {"media_id": media["media_id"]}}
    job = crm(lambda client: MomentModule(client).add_moment_task({"content": "新品"}, [attachment]))["jobid"]
    simulator.post("/_sim/clock", {"advance_seconds": 30})
    while (result := crm(lambda client: MomentModule(client).get_moment_task_result(job)))["status"] != 3:
        pass
    moment = result["result"]["moment_id"]
    now = int(simulator.get("/_sim/health")["now"])
    listed = crm(lambda client: MomentModule(client).get_moment_list(now - 3600, now + 60))["moment_list"]
    assert moment in [each["moment_id"] for each in listed]
    members = crm(lambda client: MomentModule(client).get_moment_task(moment))["task_list"]
    seen = crm(lambda client: MomentModule(client).get_moment_customer_list(moment, members[0]["userid"]))
    assert seen["customer_list"]
    crm(lambda client: MomentModule(client).cancel_moment_task(moment))


def test_statistics(crm, simulator, guide):
    midnight = (int(simulator.get("/_sim/health")["now"]) + 8 * 3600) // 86_400 * 86_400 - 8 * 3600
    told = midnight - 2 * 86_400  # yesterday's figures come some hours after midnight
    day = crm(
        lambda client: StatisticsModule(client).get_user_behavior_data(userid=[guide], start_time=told, end_time=told)
    )
    assert day["behavior_data"][0]["stat_time"] == told
    owners = {"userid_list": [guide]}
    crm(lambda client: StatisticsModule(client).groupchat_statistic(told, owner_filter=owners))
    crm(lambda client: StatisticsModule(client).groupchat_statistic_group_by_day(told, told, owner_filter=owners))


def test_transfers(crm, guide, customer):
    other = crm(lambda client: CustomerModule(client).list_followers())["follow_user"][1]
    moved = crm(lambda client: TransferActiveModule(client).transfer_customer(guide, other, [customer]))
    assert [each["errcode"] for each in moved["customer"]] == [0]
    result = crm(lambda client: TransferActiveModule(client).transfer_result(guide, other))["customer"]
    assert [(each["external_userid"], each["status"]) for each in result] == [(customer, 2)]
    assert "info" in crm(lambda client: TransferResignedModule(client).get_unassigned_list())
    refused = crm.refused(
        lambda client: TransferResignedModule(client).resigned_transfer_customer(guide, other, [customer])
    )
    assert refused == 40097


def test_acquisition_links_that_need_no_body(crm):
    listed = crm(lambda client: AcquisitionModule(client).list_links(limit=10))
    assert listed["link_id_list"] == []
    assert crm.refused(lambda client: AcquisitionModule(client).get_link("ca-none")) == 40058


# -- where this client is wrong about WeCom ----------------------------------------------------------------------------

DEVIATIONS: list[tuple[str, Callable[[WecomClient], Awaitable[Any]], str]] = [
    (
        "wraps the body of create_link in `link`, so that nothing is where it belongs",
        lambda client: AcquisitionModule(client).create_link({"link_name": "x", "range": {"user_list": []}}),
        "errcode=4",
    ),
    (
        "POSTs a quota path that does not exist",
        lambda client: AcquisitionModule(client).get_quota(),
        "404",
    ),
    (
        "takes groupchat/onjob_transfer for the one of those who left: the owner works here",
        lambda client: TransferResignedModule(client).groupchat_transfer(["wr-none"], "nobody"),
        "errcode=4",
    ),
    (
        "sends external_userid to get_new_external_userid, which is for providers anyway",
        lambda client: MiscModule(client).get_new_external_userid(["wm-none"]),
        "errcode=48002",
    ),
]


@pytest.mark.parametrize(("use", "said"), [each[1:] for each in DEVIATIONS], ids=[each[0] for each in DEVIATIONS])
def test_its_deviations_are_refused(crm, use, said):
    with pytest.raises(Exception, match=said):
        crm(use)
