"""What an operator does with a corp that is connected: further apps, new secrets and keys, checks, disconnection."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from contacts.models import SyncRun
from contacts.tasks import sync_corp
from scrm.lib.errors import Conflict, Invalid, NotFound
from tenants.actors import Actor
from tenants.scope import brand_scope
from tests.wecom.test_callbacks import event_xml, sealed
from wecom import callback_keys, corps, errors, transport, troubles
from wecom.client import client_for
from wecom.models import CallbackEndpoint, Corp, CorpApp, InboxItem

ALICE = Actor("user:1", "alice")


@pytest.fixture
def told(simulator):
    return simulator.corps()[0]


@pytest.fixture
def form(cast, told):
    app = told["apps"][0]
    return {
        "brand_id": cast.brand.id,
        "corpid": told["corpid"],
        "name": "全棉生活",
        "agent_id": app["agentid"],
        "secret": app["secret"],
        "actor": ALICE,
        "at": timezone.now(),
    }


@pytest.fixture
def at_hand(form):
    """brand_id, corp_id, actor and at of a connected corp."""
    connected = corps.connect(**form)
    return {"brand_id": form["brand_id"], "corp_id": connected.corp_id, "actor": ALICE, "at": timezone.now()}


def corp_of(at_hand):
    with brand_scope(at_hand["brand_id"]):
        return Corp.objects.get(pk=at_hand["corp_id"])


def verdicts_of(at_hand):
    found = corps.check(brand_id=at_hand["brand_id"], corp_id=at_hand["corp_id"], at=timezone.now())
    return {verdict.step: verdict for verdict in found}


def test_keys_that_wecom_has_already_can_be_typed_in(form):
    key = callback_keys.new_aes_key()
    connected = corps.connect(**form, callback_token="mine123", callback_aes_key=key)
    assert (connected.token, connected.aes_key) == ("mine123", key)

    kept = corps.connect(**form)
    assert (kept.token, kept.aes_key) == ("mine123", key)


@pytest.mark.parametrize(
    ("token", "aes_key", "field"),
    [
        ("mine", "", "callback_aes_key"),
        ("", "A" * 43, "callback_token"),
        ("t" * 33, "A" * 43, "callback_token"),
        ("令牌", "A" * 43, "callback_token"),
        ("mine", "A" * 42, "callback_aes_key"),
        ("mine", "A" * 42 + "=", "callback_aes_key"),
        ("mine", "Ａ" * 43, "callback_aes_key"),
    ],
)
def test_keys_that_cannot_be_right_are_refused_at_their_field(cast, form, token, aes_key, field):
    with pytest.raises(Invalid) as refusal:
        corps.connect(**form, callback_token=token, callback_aes_key=aes_key)
    assert [error.field for error in refusal.value.errors] == [field]
    with brand_scope(cast.brand.id):
        assert not CorpApp.objects.exists()


def test_a_further_app_is_tried_and_kept_beside_the_first(at_hand, told):
    plain = told["apps"][1]
    given = {**at_hand, "agent_id": plain["agentid"], "name": "侧边栏", "kind": "sidebar"}
    for wrong, field in (
        ({"secret": "wrong"}, "secret"),
        ({"secret": plain["secret"], "agent_id": 9_999_999}, "agent_id"),
        ({"secret": plain["secret"], "agent_id": told["apps"][0]["agentid"]}, "agent_id"),
        ({"secret": plain["secret"], "kind": "contact"}, "kind"),
        ({"secret": plain["secret"], "kind": "x"}, "kind"),
    ):
        with pytest.raises(Invalid) as refusal:
            corps.add_app(**{**given, **wrong})
        assert refusal.value.errors[0].field == field

    app = corps.add_app(**given, secret=plain["secret"])
    ids = {"brand_id": at_hand["brand_id"], "corp_id": at_hand["corp_id"]}
    assert client_for(**ids, kind="sidebar").agent_id == plain["agentid"]
    assert client_for(**ids).follow_users()
    corps.remove_app(**at_hand, app_id=app.pk)
    with pytest.raises(NotFound):
        client_for(**ids, kind="sidebar")
    with brand_scope(at_hand["brand_id"]):
        speaker = CorpApp.objects.get()
    with pytest.raises(Conflict):
        corps.remove_app(**at_hand, app_id=speaker.pk)


def test_a_secret_is_replaced_only_by_one_that_wecom_takes(at_hand, told):
    with brand_scope(at_hand["brand_id"]):
        app = CorpApp.objects.get()
        CorpApp.objects.update(secret="reset meanwhile")
    with pytest.raises(Invalid):
        corps.rotate_secret(**at_hand, app_id=app.pk, secret="wrong")
    with brand_scope(at_hand["brand_id"]):
        assert CorpApp.objects.get().secret == "reset meanwhile"

    corps.rotate_secret(**at_hand, app_id=app.pk, secret=told["apps"][0]["secret"])
    assert client_for(brand_id=at_hand["brand_id"], corp_id=at_hand["corp_id"]).follow_users()


def test_another_brand_can_do_nothing_with_the_corp(at_hand, cast):
    theirs = {**at_hand, "brand_id": cast.other.id}
    with brand_scope(cast.brand.id):
        app = CorpApp.objects.get()
    for act in (
        lambda: corps.disconnect(**theirs, confirm="全棉生活"),
        lambda: corps.rotate_secret(**theirs, app_id=app.pk, secret="x"),
        lambda: corps.rotate_callback_keys(**theirs),
        lambda: corps.remove_app(**theirs, app_id=app.pk),
        lambda: corps.add_app(**theirs, agent_id=1, secret="x", name="x", kind="sidebar"),
    ):
        with pytest.raises(NotFound):
            act()
    assert corp_of(at_hand).connected_at


def test_our_own_look_at_the_address_is_not_wecoms_handshake(at_hand, live_server, settings, simulator, cast, told):
    settings.PUBLIC_URL = live_server.url
    assert verdicts_of(at_hand)["handshake"].partial
    endpoint = CallbackEndpoint.objects.get(corp_id=at_hand["corp_id"])
    corp = corp_of(at_hand)
    for echo, verified in (("orchard-self-check-1", False), ("1234567", True)):
        query, body = sealed(echo, corpid=corp.corpid, token=corp.callback_token, aes_key=corp.callback_aes_key)
        echostr = body.decode().split("<Encrypt><![CDATA[")[1].split("]]>")[0]
        answer = Client().get(f"/callbacks/wecom/{endpoint.pk}/", {**query, "echostr": echostr})
        assert answer.content.decode() == echo
        assert bool(corp_of(at_hand).callback_verified_at) is verified
    assert verdicts_of(at_hand)["handshake"].ok

    corps.rotate_callback_keys(**at_hand)
    renewed = corp_of(at_hand)
    assert renewed.callback_token != corp.callback_token
    assert renewed.callback_verified_at is None


def test_an_address_that_does_not_answer_is_told(at_hand, settings):
    settings.PUBLIC_URL = "http://127.0.0.1:9"
    verdict = verdicts_of(at_hand)["address"]
    assert (verdict.ok, verdict.partial) == (False, True)
    assert "ORCHARD_PUBLIC_URL" in verdict.remedy


def test_an_untrusted_address_is_named_on_the_corp(at_hand, told, simulator):
    path = f"/_sim/corps/{told['corpid']}/trusted_ips"
    simulator.post(path, {"ips": ["203.0.113.9"]})
    try:
        wecom = client_for(brand_id=at_hand["brand_id"], corp_id=at_hand["corp_id"])
        with pytest.raises(errors.Misconfigured):
            wecom.follow_users()
    finally:
        simulator.post(path, {"ips": None})

    assert "127.0.0.1" in corp_of(at_hand).trouble_remedy
    assert troubles.ends_with(corp_of(at_hand), api="externalcontact/get_follow_user_list")
    verdicts_of(at_hand)
    assert corp_of(at_hand).trouble_code == ""


def test_a_check_says_each_missing_permission_and_creates_nothing(at_hand, simulator):
    for path in ("externalcontact/groupchat/list", "externalcontact/customer_acquisition/list_link"):
        simulator.post("/_sim/faults", {"path": path, "mode": "errcode", "errcode": 48002, "count": 1})
    simulator.delete("/_sim/counters")

    found = verdicts_of(at_hand)

    missing = {step for step, verdict in found.items() if not verdict.ok} - {"address", "handshake", "callback"}
    assert missing == {"groups", "acquisition"}
    assert all(found[step].partial for step in missing)
    assert "可调用接口的应用" in found["groups"].remedy
    assert "获客链接" in found["acquisition"].remedy
    assert corp_of(at_hand).trouble_code == ""  # the rest works
    calls = simulator.get("/_sim/counters")["calls"]
    asked = {path.rsplit("/", 1)[-1] for path in calls}
    assert not {name for name in asked if name.startswith(("add", "create", "send", "mark", "edit", "update", "del"))}
    assert "get_groupmsg_list_v2" in asked


def test_a_disconnected_corp_is_asked_nothing_and_keeps_what_was_synced(at_hand, form, simulator):
    endpoint = CallbackEndpoint.objects.get(corp_id=at_hand["corp_id"])
    corp = corp_of(at_hand)
    keys = {"token": corp.callback_token, "aes_key": corp.callback_aes_key}
    query, body = sealed(event_xml(corp.corpid), corpid=corp.corpid, **keys)
    address = f"/callbacks/wecom/{endpoint.pk}/"
    assert Client().post(address, data=body, content_type="text/xml", query_params=query).status_code == 200
    with pytest.raises(Invalid):
        corps.disconnect(**at_hand, confirm="全棉")
    corps.disconnect(**at_hand, confirm="全棉生活")
    simulator.delete("/_sim/counters")

    with pytest.raises(errors.Misconfigured) as refusal:
        client_for(brand_id=at_hand["brand_id"], corp_id=at_hand["corp_id"])
    assert refusal.value.problem_code == "wecom.disconnected"
    assert verdicts_of(at_hand)["credentials"].code == "wecom.disconnected"
    assert Client().post(address, data=body, content_type="text/xml", query_params=query).status_code == 404
    sync_corp(brand_id=at_hand["brand_id"], corp_id=at_hand["corp_id"])  # a message that was under way
    with brand_scope(at_hand["brand_id"]):
        assert list(InboxItem.objects.values_list("status", flat=True)) == [InboxItem.Status.IGNORED]
        assert not SyncRun.objects.exists()
    assert simulator.get("/_sim/counters")["calls"] == {}

    again = corps.connect(**{**form, "at": timezone.now() + timedelta(seconds=1)})
    assert again.corp_id == at_hand["corp_id"]
    assert client_for(brand_id=at_hand["brand_id"], corp_id=again.corp_id).follow_users()


def test_without_redis_a_corp_is_disconnected_all_the_same(at_hand, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"

    corps.disconnect(**at_hand, confirm="全棉生活")

    assert corp_of(at_hand).connected_at is None


@pytest.mark.parametrize("errcode", [-1, 45009])
def test_a_wecom_that_wants_a_pause_is_no_fault_of_the_secret(form, at_hand, simulator, errcode, monkeypatch):
    """Nothing was saved and nothing is tried again by itself: whoever pressed the button is told so."""
    monkeypatch.setattr(transport, "BACKOFF_SECONDS", 0)
    simulator.post("/_sim/faults", {"path": "gettoken", "mode": "errcode", "errcode": errcode})
    for act in (lambda: corps.connect(**form), lambda: verdicts_of(at_hand)):
        with pytest.raises(errors.WeComError) as refusal:
            act()
        assert str(refusal.value.remedy) == "请过几分钟再试。"


def test_a_permission_that_wecom_will_not_show_just_now_is_said_as_such(at_hand, simulator):
    path = "externalcontact/customer_acquisition/list_link"
    simulator.post("/_sim/faults", {"path": path, "mode": "errcode", "errcode": 45009})

    verdict = verdicts_of(at_hand)["acquisition"]

    assert (verdict.ok, verdict.partial, verdict.code) == (False, True, "wecom.throttled")
    assert verdict.remedy == "请过几分钟再试。"  # and not where to allow what may be allowed already


def test_a_disabled_app_is_not_told_that_its_secret_is_wrong(at_hand, simulator):
    simulator.post("/_sim/faults", {"path": "agent/get", "mode": "errcode", "errcode": 50003})

    verdict = verdicts_of(at_hand)["agent"]

    assert verdict.detail == "应用已停用。"
    assert "启用" in verdict.remedy


def test_a_callback_for_another_corp_is_not_told_as_a_wrong_key(at_hand):
    with brand_scope(at_hand["brand_id"]):
        Corp.objects.filter(pk=at_hand["corp_id"]).update(
            callback_refused_code="wecom.wrong_receiver", callback_refused_at=timezone.now()
        )

    verdict = verdicts_of(at_hand)["handshake"]

    assert "这个回调属于另一个企业" in verdict.detail
    assert "回调 URL" in verdict.remedy
