"""Hand-overs, acquisition links, group codes, figures, sign-in, cards and ids, through HTTP against the simulator."""

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from django.utils import timezone

from tests.wecom.test_client import friends
from wecom import errors, reconcile
from wecom.calls.signin import MiniProgram, signature
from wecom.client import WeComClient
from wecom.models import Suite
from wecom.provider.calls import SuiteCalls
from wecom.reconcile import Doubt, Verdict, conclude
from wecom.simulator.testing import running_simulator
from wecom.types import ChatStatus, SendStatus, TaskStatus, TransferStatus

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 64


@pytest.fixture(scope="module")
def running():
    """A world of this module's own: guides leave it."""
    with running_simulator(guides=8, contacts=80, confirm_rate=1.0) as simulator:
        simulator.post("/_sim/switches", {"refuse_transfer_rate": 0.0})
        yield simulator


def now_there(simulator):
    """The simulator's now: tests move it."""
    return datetime.fromtimestamp(simulator.get("/_sim/health")["now"], UTC)


def owed(simulator, wecom, guide, other):
    """Two friends of a guide whom the other does not know."""
    known = set(friends(simulator, wecom, other))
    return [each for each in friends(simulator, wecom, guide) if each not in known][:2]


def test_hands_customers_over_between_guides_at_work(simulator, wecom):
    guide, other = wecom.follow_users()[:2]
    willing, unwilling = owed(simulator, wecom, guide, other)

    starts = wecom.transfer_customers(
        handover=guide, takeover=other, external_userids=[willing, unwilling, "wmStranger"], message="换人为您服务"
    )
    again = wecom.transfer_customers(handover=guide, takeover=other, external_userids=[willing])
    simulator.act("refuse_transfer", external_userid=unwilling)
    waiting = {row.external_userid: row.status for row in wecom.transfer_results(handover=guide, takeover=other)}
    simulator.post("/_sim/clock", {"advance_seconds": 25 * 3600})
    done = {row.external_userid: row for row in wecom.transfer_results(handover=guide, takeover=other)}

    assert [(start.errcode, start.is_under_way) for start in starts[:2]] == [(0, True), (0, True)]
    assert (starts[2].code, starts[2].is_under_way) == ("wecom.no_contact", False)
    assert again[0].is_under_way
    assert again[0].code == "wecom.transferring"
    assert waiting == {willing: TransferStatus.WAITING, unwilling: TransferStatus.REFUSED}
    assert done[willing].status is TransferStatus.DONE
    assert done[willing].taken_over_at is not None
    assert willing in wecom.external_userids(userid=other)


def test_hands_over_what_a_guide_who_left_had(simulator, wecom):
    guide, other = wecom.follow_users()[2:4]
    mine = owed(simulator, wecom, guide, other)
    group = simulator.act("create_group", userid=guide, name="老客户群")["chat_id"]
    not_yet = wecom.transfer_groups(chat_ids=[group], new_owner=other)
    simulator.act("leave", userid=guide)

    left = [row for row in wecom.unassigned() if row.handover_userid == guide]
    starts = wecom.transfer_resigned_customers(handover=guide, takeover=other, external_userids=mine)
    refused = wecom.transfer_groups(chat_ids=[group, "wrNoGroup"], new_owner=other)
    results = wecom.transfer_results(handover=guide, takeover=other, resigned=True)

    assert [(each.id, each.code) for each in not_yet] == [(group, "wecom.transfer_refused")]
    assert set(mine) <= {row.external_userid for row in left}
    assert all(row.left_at for row in left)
    assert all(start.is_under_way for start in starts)
    assert [(each.id, each.code) for each in refused] == [("wrNoGroup", "wecom.no_group")]
    assert wecom.transfer_groups(chat_ids=[group], new_owner=other) == []  # already his: no refusal
    assert {row.external_userid for row in results} == set(mine)


def test_an_unclear_hand_over_is_found_by_its_customers(simulator, wecom):
    guide, other = wecom.follow_users()[:2]
    begun, not_begun = owed(simulator, wecom, other, guide)
    asked_at = now_there(simulator)
    simulator.post("/_sim/faults", {"path": "externalcontact/transfer_customer", "mode": "reset_after", "count": 1})
    with pytest.raises(errors.OutcomeUnknown):
        wecom.transfer_customers(handover=other, takeover=guide, external_userids=[begun])

    found = reconcile.find_transfers(
        wecom, handover=other, takeover=guide, external_userids=[begun, not_begun], asked_at=asked_at
    )

    assert (found.under_way, found.missing, found.unclear) == ((begun,), (not_begun,), ())
    assert simulator.get("/_sim/counters")["calls"]["externalcontact/transfer_customer"] == 1


def test_what_is_not_listed_is_believed_only_late_and_twice():
    asked_at = datetime(2026, 5, 1, 12, tzinfo=UTC)
    early, late = asked_at + timedelta(minutes=14), asked_at + timedelta(minutes=16)

    verdict, doubt = conclude(Doubt(asked_at), is_made=False, at=early)
    assert (verdict, doubt.listings) == (Verdict.UNKNOWN, 0)
    verdict, doubt = conclude(doubt, is_made=False, is_sure=False, at=late)
    assert (verdict, doubt.listings) == (Verdict.UNKNOWN, 0)
    verdict, doubt = conclude(doubt, is_made=False, at=late)
    assert (verdict, doubt.listings) == (Verdict.UNKNOWN, 1)
    assert conclude(doubt, is_made=False, at=late)[0] is Verdict.NOT_MADE
    assert conclude(doubt, is_made=True, at=early)[0] is Verdict.MADE


def test_unclear_creates_are_found_in_wecoms_lists(simulator, wecom):
    guides, asked_at = wecom.follow_users()[:2], now_there(simulator)
    other = wecom.add_contact_way(userids=guides, state="another")
    for path in ("add_contact_way", "customer_acquisition/create_link", "add_corp_tag"):
        simulator.post("/_sim/faults", {"path": f"externalcontact/{path}", "mode": "http_500_after", "count": 1})
    with pytest.raises(errors.OutcomeUnknown):
        wecom.add_contact_way(userids=guides, state="lost")
    with pytest.raises(errors.OutcomeUnknown):
        wecom.create_acquisition_link(name="丢失的链接", userids=guides)
    with pytest.raises(errors.OutcomeUnknown):
        wecom.add_corp_tag(group="丢失", names=["甲", "乙"])

    way = reconcile.find_contact_way(wecom, userids=guides, state="lost", asked_at=asked_at, known=[])
    link = reconcile.find_acquisition_link(wecom, name="丢失的链接", userids=guides, asked_at=asked_at, known=[])
    tags = reconcile.find_corp_tags(wecom, group="丢失", names=["甲", "乙", "丙"])

    assert way is not None
    assert way.config_id != other.config_id
    assert link is not None
    assert [tag.name for tag in tags] == ["甲", "乙"]
    nothing = reconcile.find_contact_way(wecom, userids=guides, state="lost", asked_at=asked_at, known=[way.config_id])
    assert nothing is None


def test_an_acquisition_link_from_click_to_customer(simulator, wecom):
    guides = wecom.follow_users()[:2]
    simulator.act("acquisition", action="top_up", amount=50)
    before = wecom.acquisition_quota()
    link = wecom.create_acquisition_link(name="直播间", userids=guides, priority=2, priority_userids=guides[:1])
    came = simulator.act("open_link", link_id=link.link_id, state="live-7")
    wecom.update_acquisition_link(link_id=link.link_id, name="直播间二", userids=guides[:1])

    known = wecom.acquisition_link(link_id=link.link_id)
    customers = wecom.acquisition_customers(link_id=link.link_id).items
    assert link.url.startswith("https://work.weixin.qq.com/ca/")
    assert (known.name, known.userids, known.priority_userids) == ("直播间二", (guides[0],), (guides[0],))
    assert [(each.external_userid, each.state) for each in customers] == [(came["external_userid"], "live-7")]
    assert customers[0].chat_status is ChatStatus.SILENT
    assert wecom.acquisition_quota().balance == before.balance - 1
    assert before.parts
    assert link.link_id in wecom.acquisition_links().items
    at = now_there(simulator)
    simulator.post("/_sim/clock", {"advance_seconds": 2 * 86_400})
    figures = wecom.acquisition_statistic(link_id=link.link_id, start=at, end=at)
    assert (figures.clicked, figures.new_customers) == (1, 1)
    wecom.delete_acquisition_link(link_id=link.link_id)
    assert link.link_id not in wecom.acquisition_links().items
    assert wecom.acquisition_chat(chat_key="NoSuchKey") is None


def test_a_group_code_opens_the_next_group(simulator, wecom):
    guide = wecom.follow_users()[0]
    group = simulator.act("create_group", userid=guide, name="福利群")["chat_id"]
    config_id = wecom.add_join_way(chat_ids=[group], state="g-7", room_base_name="福利群", room_base_id=2)
    joined = simulator.act("scan_join_way", config_id=config_id)
    way = wecom.join_way(config_id=config_id)
    member = next(each for each in wecom.group_chat(chat_id=group).members if each.kind == 2)
    wecom.update_join_way(config_id=config_id, chat_ids=[group], state="g-8", creates_rooms=False)
    changed = wecom.join_way(config_id=config_id)
    wecom.delete_join_way(config_id=config_id)
    wecom.delete_join_way(config_id=config_id)

    assert way.qr_code.startswith("http")
    assert (way.chat_ids, way.creates_rooms, way.room_base_id) == ((group,), True, 2)
    assert joined["chat_id"] == group
    assert member.state == "g-7"
    assert (changed.state, changed.creates_rooms) == ("g-8", False)
    with pytest.raises(errors.Rejected):
        wecom.join_way(config_id=config_id)


def test_a_group_welcome_is_kept_and_changed(wecom):
    link = {"msgtype": "link", "link": {"title": "群规", "url": "https://example.com/rules"}}
    template_id = wecom.add_group_welcome(text="欢迎入群", attachment=link)
    known = wecom.group_welcome(template_id=template_id)
    wecom.update_group_welcome(template_id=template_id, text="欢迎")

    assert known.text == "欢迎入群"
    assert known.attachment is not None
    assert known.attachment["link"]["title"] == "群规"
    changed = wecom.group_welcome(template_id=template_id)
    assert (changed.text, changed.attachment) == ("欢迎", None)
    wecom.delete_group_welcome(template_id=template_id)
    with pytest.raises(errors.Rejected):
        wecom.group_welcome(template_id=template_id)


def test_a_contact_way_is_read_back_and_listed(simulator, wecom):
    guides, since = wecom.follow_users()[:2], now_there(simulator)
    way = wecom.add_contact_way(userids=guides, state="store-2", is_exclusive=True)
    single = wecom.add_temporary_contact_way(userid=guides[0], state="once", chat_expires_in=3600)
    wecom.update_contact_way(config_id=way.config_id, skip_verify=False, remark="二店")

    known = wecom.contact_way(config_id=way.config_id)
    assert (known.state, known.remark, known.skip_verify, known.is_exclusive) == ("store-2", "二店", False, True)
    assert set(known.userids) == set(guides)
    assert wecom.contact_way(config_id=single.config_id).is_temporary
    listed = wecom.contact_ways(start=since - timedelta(minutes=1)).items
    assert way.config_id in listed
    assert single.config_id not in listed  # temporary ones never are
    came = simulator.act("scan", config_id=single.config_id)
    wecom.close_temporary_chat(userid=guides[0], external_userid=came["external_userid"])
    wecom.delete_contact_way(config_id=way.config_id)
    with pytest.raises(errors.Gone):
        wecom.contact_way(config_id=way.config_id)


def test_wecoms_figures_say_what_happened(simulator, wecom):
    guide = wecom.follow_users()[0]
    customer = friends(simulator, wecom, guide)[0]
    group = simulator.act("create_group", userid=guide, name="统计群")["chat_id"]
    simulator.act("chat", userid=guide, external_userid=customer, by="customer", text="有货吗")
    simulator.act("chat", userid=guide, external_userid=customer, by="guide", text="有的")
    simulator.act("group_message", chat_id=group, userid=guide)
    at = now_there(simulator)
    simulator.post("/_sim/clock", {"advance_seconds": 2 * 86_400})

    (day,) = wecom.behaviour(start=at, end=at, userids=[guide])
    owners = wecom.group_statistic(start=at, end=at, owners=[guide])
    (by_day,) = wecom.group_statistic_by_day(start=at, end=at, owners=[guide])

    assert day.chats >= 1
    assert day.messages >= 1
    assert day.reply_percentage is not None
    assert [each.owner for each in owners.items] == [guide]
    assert owners.next_offset == 0
    assert by_day.numbers.chats >= 1
    assert by_day.numbers.messages >= 1
    assert owners.items[0].numbers.chats == by_day.numbers.chats


def test_rule_groups_are_read(simulator, wecom):
    corp = simulator.corps()[0]
    guide = wecom.follow_users()[0]
    made = simulator.session.post(
        f"{simulator.api_base}externalcontact/customer_strategy/create?access_token={simulator.token()}",
        json={
            "strategy_name": "一店",
            "admin_list": [guide],
            "privilege": {"view_customer_list": True},
            "range": [{"type": 1, "userid": guide}, {"type": 2, "partyid": 1}],
        },
        timeout=10,
    ).json()
    assert made["errcode"] == 0, (made, corp)

    (strategy_id,) = [each for each in wecom.strategies() if each == made["strategy_id"]]
    strategy = wecom.strategy(strategy_id=strategy_id)
    covered = wecom.strategy_range(strategy_id=strategy_id).items

    assert (strategy.name, strategy.admins) == ("一店", (guide,))
    assert "view_customer_list" in strategy.privileges
    assert {(each.userid, each.department_id) for each in covered} == {(guide, 0), ("", 1)}


def test_who_opened_the_page(simulator, wecom):
    guide = wecom.follow_users()[0]
    customer = friends(simulator, wecom, guide)[0]
    url = wecom.authorize_url(redirect_uri="https://orchard.example/sidebar?a=1", state="s1", private=True)
    code = simulator.post(
        "/_sim/logins/code", {"corpid": wecom.corpid, "userid": guide, "scope": "snsapi_privateinfo"}
    )["code"]
    other = simulator.post("/_sim/logins/code", {"corpid": wecom.corpid, "external_userid": customer})["code"]

    member = wecom.signed_in(code=code)
    person = wecom.signed_in(code=other)

    assert f"appid={wecom.corpid}" in url
    assert "redirect_uri=https%3A%2F%2Forchard.example%2Fsidebar%3Fa%3D1" in url
    assert url.endswith("#wechat_redirect")
    assert (member.userid, member.external_userid) == (guide, "")
    assert (person.userid, person.external_userid) == ("", customer)
    assert person.openid
    assert wecom.member_detail(user_ticket=member.user_ticket).mobile
    assert member.user_ticket not in repr(member)
    with pytest.raises(errors.Rejected) as used:
        wecom.signed_in(code=code)
    assert used.value.problem_code == "wecom.code_expired"


def test_page_signatures_share_a_ticket(simulator, link, settings):
    wecom, url = link.wecom, "https://orchard.example/sidebar?a=1"
    at = now_there(simulator)
    for purpose in ("config", "agentConfig"):
        signed = [wecom.page_signature(url=f"{url}#top", at=at, purpose=purpose) for _page in range(3)]
        checked = simulator.post(
            "/_sim/jssdk/check",
            {
                "corpid": link.corpid,
                **({"agentid": wecom.agent_id} if purpose == "agentConfig" else {}),
                "url": url,
                "timestamp": signed[0].timestamp,
                "nonceStr": signed[0].nonce,
                "signature": signed[0].signature,
            },
        )
        assert checked["errcode"] == 0
    calls = simulator.get("/_sim/counters")["calls"]
    assert (calls["get_jsapi_ticket"], calls["ticket/get"]) == (1, 1)
    wecom.forget_tickets()
    wecom.page_signature(url=url, at=at)
    assert simulator.get("/_sim/counters")["calls"]["get_jsapi_ticket"] == 2


def test_the_signature_is_the_references():
    ticket = "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg"

    signed = signature(
        ticket=ticket, nonce="Wm3WZYTPz0wzccnW", timestamp=1414587457, url="http://mp.weixin.qq.com?params=value"
    )

    assert signed == "0f9de62fce790f9a083d5c99e95740ceb90c27ed"


def test_a_mini_program_customer_is_the_corps_customer(simulator, wecom, settings):
    settings.WECHAT_API_BASE = f"{simulator.base_url}/api.weixin.qq.com/"
    guide = wecom.follow_users()[0]
    customer = friends(simulator, wecom, guide)[0]
    program = simulator.post("/_sim/mini_programs", {"corpid": wecom.corpid})
    opened = simulator.post(f"/_sim/mini_programs/{program['appid']}/login", {"external_userid": customer})
    by_guide = simulator.post(f"/_sim/mini_programs/{program['appid']}/login", {"userid": guide})
    shop = MiniProgram(appid=program["appid"], secret=program["secret"])

    session = shop.session(js_code=opened["js_code"])
    identity = wecom.external_userid_of(unionid=session.unionid, openid=session.openid)
    member = wecom.member_session(js_code=by_guide["js_code"])

    assert session.session_key
    assert session.session_key not in repr(session)
    assert identity.external_userid == customer
    assert member.userid == guide
    with pytest.raises(errors.Rejected) as used:
        shop.session(js_code=opened["js_code"])
    assert used.value.problem_code == "wecom.code_expired"


def test_ids_are_converted(simulator, wecom):
    guide = wecom.follow_users()[0]
    customer = friends(simulator, wecom, guide)[0]

    assert wecom.openid_of(external_userid=customer)
    with pytest.raises(errors.Rejected):
        wecom.chat_of(opengid="NoSuchGroup")
    converted = wecom.pending_ids(external_userids=[customer])
    assert set(converted.found) | set(converted.unknown) == {customer}


def test_a_providers_ids_and_the_corps_own(simulator, wecom):
    guide = wecom.follow_users()[0]
    customer = friends(simulator, wecom, guide)[0]
    (tag,) = wecom.add_corp_tag(group="服务商", names=["通用"])
    made = simulator.post("/_sim/suites", {"kind": "customized", "name": "果园"})
    granted = simulator.post(f"/_sim/suites/{made['suite_id']}/authorise", {"corpid": wecom.corpid})
    ticket = simulator.post(f"/_sim/suites/{made['suite_id']}/ticket")["suite_ticket"]
    suite = SuiteCalls(Suite(suite_id=made["suite_id"], secret=made["secret"], ticket=ticket, ticket_at=timezone.now()))
    app = suite.exchange(auth_code=granted["auth_code"])
    provider = WeComClient(corpid=app.corpid, secret=app.permanent_code, provider=True)

    theirs = provider.open_userids(userids=[guide, "nobody"])
    tags = provider.open_tag_ids(tag_ids=[tag.id, "etNoSuchTag"])
    seen = provider.contacts_of(userids=[theirs.found[guide]]).items

    assert app.corpid != wecom.corpid
    assert theirs.found[guide] != guide
    assert theirs.unknown == ("nobody",)
    assert tags.found[tag.id] in {each.id for group in provider.corp_tags() for each in group.tags}
    assert tags.unknown == ("etNoSuchTag",)
    assert {each.person.unionid for each in seen} == {""}
    back = wecom.userids_from_provider(open_userids=[theirs.found[guide]], agent_id=app.agent_id)
    assert back.found == {theirs.found[guide]: guide}
    upgraded = provider.upgraded_external_userids(external_userids=[customer]).found[customer]
    assert upgraded in {each.person.external_userid for each in seen}
    assert wecom.external_userid_from_provider(external_userid=upgraded, agent_id=app.agent_id) == customer


def test_a_moment_is_cancelled_and_cancelled_again(simulator, wecom):
    jobid = wecom.add_moment(text="作废", userids=wecom.follow_users()[:1])
    simulator.post("/_sim/clock", {"advance_seconds": 600})
    moment_id = wecom.moment_job(jobid=jobid).moment_id

    wecom.cancel_moment(moment_id=moment_id)
    wecom.cancel_moment(moment_id=moment_id)

    assert all(task.status is TaskStatus.NOT_SENT for task in wecom.moment_tasks(moment_id=moment_id))


def test_a_card_is_sent_changed_once_and_recalled(wecom):
    guide = wecom.follow_users()[0]
    card = {
        "card_type": "button_interaction",
        "main_title": {"title": "3 个任务待确认"},
        "button_list": [{"text": "完成", "style": 1, "key": "done"}],
        "task_id": "orchard-task-1",
    }

    sent = wecom.send_card(userids=[guide], card=card)
    assert sent.response_code
    assert wecom.update_card(response_code=sent.response_code, button="已完成", userids=[guide]) == ()
    with pytest.raises(errors.Rejected):
        wecom.update_card(response_code=sent.response_code, button="再来")
    text = wecom.send_text_card(userids=[guide], title="日报", description="昨天", url="https://orchard.example/d")
    assert wecom.recall_app_message(msgid=text.msgid)
    assert not wecom.recall_app_message(msgid="NoSuchMessage")


def test_a_file_comes_back_as_it_went(simulator, wecom):
    media = wecom.upload_media(kind="image", filename="海报.png", data=PNG)

    file = wecom.media(media_id=media.media_id)

    assert (file.data, file.filename) == (PNG, "海报.png")
    simulator.post("/_sim/clock", {"advance_seconds": 4 * 86_400})
    with pytest.raises(errors.Gone) as expired:
        wecom.media(media_id=media.media_id)
    assert expired.value.problem_code == "wecom.media_expired"


def test_tags_are_renamed_and_remarks_written_and_cleared(simulator, wecom):
    guide = wecom.follow_users()[0]
    customer = friends(simulator, wecom, guide)[0]
    (tag,) = wecom.add_corp_tag(group="改名", names=["旧名"])
    wecom.update_corp_tag(tag_id=tag.id, name="新名", order=7)
    wecom.remark(userid=guide, external_userid=customer, remark="王女士", description="爱喝茶", mobiles=["13800000000"])

    def shown():
        follows = wecom.external_contact(external_userid=customer).follows
        return next(each for each in follows if each.userid == guide)

    assert [(each.name, each.order) for each in wecom.corp_tags(tag_ids=[tag.id])[0].tags] == [("新名", 7)]
    assert (shown().remark, shown().description, shown().remark_mobiles) == ("王女士", "爱喝茶", ("13800000000",))
    wecom.remark(userid=guide, external_userid=customer, description="", mobiles=[])
    assert (shown().remark, shown().description, shown().remark_mobiles) == ("王女士", "", ())


def test_the_directory_by_ids_and_addresses(simulator, link):
    told = simulator.corps()[0]
    directory = next(app for app in told["apps"] if app["kind"] == "directory_sync")
    everybody = WeComClient(corpid=told["corpid"], secret=directory["secret"])

    assert {each.userid for each in everybody.memberships()} >= set(link.wecom.follow_users())
    assert link.wecom.callback_addresses() is not None
    assert link.wecom.api_addresses() is not None


def test_a_number_that_wecom_adds_later_is_kept():
    assert SendStatus(9) == 9
    assert SendStatus(9) not in list(SendStatus)
    assert TransferStatus(1) is TransferStatus.DONE


class Damaged(BaseHTTPRequestHandler):
    """Answers every call with what the test says, and every gettoken properly."""

    said: ClassVar[dict] = {}

    def do_GET(self):
        known = {"access_token": "good", "expires_in": 7200} if "gettoken" in self.path else self.said
        body = json.dumps({"errcode": 0, **known}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *_given):
        pass


@pytest.fixture(scope="module")
def damaged():
    """A WeCom whose answers lack what they must have."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Damaged) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield WeComClient(corpid="ww1", secret="s", api_base=f"http://127.0.0.1:{server.server_port}/cgi-bin/")
        server.shutdown()


@pytest.mark.parametrize("said", [{}, {"customer": 7}, {"customer": [{}]}, {"userid": None, "department": "x"}])
def test_an_answer_without_what_it_must_have_is_no_answer(damaged, said, monkeypatch):
    monkeypatch.setattr(Damaged, "said", said)

    with pytest.raises(errors.OutcomeUnknown):
        damaged.transfer_customers(handover="a", takeover="b", external_userids=["wm1"])
    with pytest.raises(errors.Busy):
        damaged.group_chat(chat_id="wr1")


def test_a_mistake_of_ours_is_no_answer_of_wecoms(damaged):
    with pytest.raises(AttributeError):
        damaged.behaviour(start="yesterday", end="today", userids=["a"])
