"""Callbacks through the door: verified, kept once, answered at once; damaged and foreign ones leave nothing."""

import json
import threading
import time
from datetime import timedelta

import pytest
from django.db import connections
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from wechatpy.enterprise.crypto import WeChatCrypto
from wechatpy.utils import WeChatSigner

from scrm.lib.errors import Conflict
from tenants.scope import brand_scope
from tests.wecom.conftest import AES_KEY, TOKEN, callback_url, connected
from wecom import crypto, draining, errors, inbox, tasks, troubles
from wecom.health import inbox_lag
from wecom.models import InboxItem

# The classic official sample, recomputed (reference §4.1).
KAT_ENCRYPT = (
    "RypEvHKD8QQKFhvQ6QleEB4J58tiPdvo+rtK1I9qca6aM/wvqnLSV5zEPeusUiX5L5X/0lWfrf0QADHHhGd3QczcdCUpj911L3vg3W/sYYvuJTs3TUUk"
    "SUXxaccAS0qhxchrRYt66wiSpGLYL42aM6A8dTT+6k4aSknmPj48kzJs8qLjvd4Xgpue06DOdnLxAUHzM6+kDZ+HMZfJYuR+LtwGc2hgf5gsijff0ekU"
    "NXZiqATP7PF5mZxZ3Izoun1s4zG4LUMnvw2r+KqCKIw+3IQH03v+BCA9nMELNqbSf6tiWSrXJB3LAVGUcallcrw8V2t9EL4EhzJWrQUax5wLVMNS0+rU"
    "PA3k22Ncx4XXZS9o0MBH27Bo6BpNelZpS+/uh9KsNlY6bHCmJU9p8g7m3fVKn28H3KDYA5Pl/T8Z1ptDAVe0lXdQ2YoyyH2uyPIGHBZZIs2pDBS8R07+"
    "qN+E7Q=="
)
KAT_SEAL = crypto.Seal("477715d11cdb4164915debcba66cb864d751f3e6", "1409659813", "1372623149")
KAT_CORPID = "wx5823bf96d3bd56c7"


def event_xml(corpid, *, change="add_external_contact", customer="wm1", at=1700000000, extra="", event=None):
    return (
        f"<xml><ToUserName><![CDATA[{corpid}]]></ToUserName><FromUserName><![CDATA[sys]]></FromUserName>"
        f"<CreateTime>{at}</CreateTime><MsgType><![CDATA[event]]></MsgType>"
        f"<Event><![CDATA[{event or 'change_external_contact'}]]></Event>"
        f"<ChangeType><![CDATA[{change}]]></ChangeType><UserID><![CDATA[bob]]></UserID>"
        f"<ExternalUserID><![CDATA[{customer}]]></ExternalUserID>{extra}</xml>"
    )


def sealed(plain, *, corpid, token=TOKEN, aes_key=AES_KEY, nonce="n1"):
    """(query, body) as WeCom posts them."""
    envelope = WeChatCrypto(token, aes_key, corpid).encrypt_message(plain, nonce, str(int(time.time())))
    inner = crypto.message(envelope)
    query = {"msg_signature": inner["MsgSignature"], "timestamp": inner["TimeStamp"], "nonce": inner["Nonce"]}
    body = f"<xml><ToUserName><![CDATA[{corpid}]]></ToUserName><Encrypt><![CDATA[{inner['Encrypt']}]]></Encrypt></xml>"
    return query, body.encode()


class Door:
    """The callback address of alice's corp, called as WeCom calls it."""

    def __init__(self, link):
        self.link = link
        self.path = reverse("wecom-callback", args=[link.endpoint.pk])

    def post(self, query, body):
        return Client().post(self.path, data=body, content_type="text/xml", query_params=query)

    def tell(self, plain, **sealing):
        return self.post(*sealed(plain, corpid=self.link.corpid, **sealing))

    def items(self):
        with brand_scope(self.link.brand_id):
            return list(InboxItem.objects.filter(corp=self.link.corp_id).order_by("id"))


@pytest.fixture
def door(link):
    return Door(link)


@pytest.fixture
def greeted(heard):
    """The events that a greeter of this test got."""
    events = []

    def greet(some):
        events.extend(some)
        return []

    inbox.register_greeter(greet)
    return events


def drain(link, at=None):
    while draining.drain_some(brand_id=link.brand_id, clock=lambda: at or timezone.now()):
        pass


# -- crypto -----------------------------------------------------------------------------------------------------------


def test_known_answer():
    plain = crypto.opened(KAT_ENCRYPT, KAT_SEAL, token=TOKEN, aes_key=AES_KEY, corpid=KAT_CORPID)
    fields = crypto.message(plain)

    assert len(plain.encode()) == 284
    assert (fields["Content"], fields["MsgId"], fields["AgentID"]) == ("hello", "4561255354251345929", "218")


@pytest.mark.parametrize(
    ("_case", "changed"),
    [
        ("other token", {"token": "other"}),
        ("other receiver", {"corpid": "wwother"}),
        ("other key", {"aes_key": "a" * 43}),
        ("malformed key", {"aes_key": "short"}),
        ("cut ciphertext", {"sealed": KAT_ENCRYPT[:100]}),
        ("no ciphertext", {"sealed": ""}),
        ("not base64", {"sealed": "%%%"}),
    ],
)
def test_what_is_not_right_is_a_bad_callback(_case, changed):
    keys = {"sealed": KAT_ENCRYPT, "token": TOKEN, "aes_key": AES_KEY, "corpid": KAT_CORPID, **changed}
    seal = KAT_SEAL
    if "sealed" in changed:  # signed rightly all the same: a body cut before it was signed
        signer = WeChatSigner()
        signer.add_data(TOKEN, seal.timestamp, seal.nonce, changed["sealed"])
        seal = crypto.Seal(signer.signature, seal.timestamp, seal.nonce)

    with pytest.raises(errors.BadCallback):
        crypto.opened(keys.pop("sealed"), seal, **keys)


def test_entities_do_not_expand():
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;">]><xml><Encrypt>&b;</Encrypt></xml>'
    with pytest.raises(errors.BadCallback):
        crypto.envelope(bomb)


# -- the door ---------------------------------------------------------------------------------------------------------


def test_answers_the_handshake_with_the_plain_echo(door):
    crypto_of_wecom = WeChatCrypto(TOKEN, AES_KEY, door.link.corpid)
    inner = crypto.message(crypto_of_wecom.encrypt_message("4711", "n", "1700000000"))
    query = {
        "msg_signature": inner["MsgSignature"],
        "timestamp": inner["TimeStamp"],
        "nonce": inner["Nonce"],
        "echostr": inner["Encrypt"],
    }

    good = Client().get(door.path, query_params=query)
    forged = Client().get(door.path, query_params={**query, "msg_signature": "0" * 40})
    bare = Client().get(door.path)

    assert (good.status_code, good.content) == (200, b"4711")
    assert (forged.status_code, bare.status_code) == (400, 400)


def test_keeps_an_event_and_says_success(door):
    answer = door.tell(event_xml(door.link.corpid, extra="<State><![CDATA[qr_42]]></State>"))

    assert (answer.status_code, answer.content) == (200, b"success")
    (item,) = door.items()
    assert (item.event, item.change_type, item.status) == (
        "change_external_contact",
        "add_external_contact",
        InboxItem.Status.PENDING,
    )
    assert item.payload["State"] == "qr_42"


def test_the_same_change_twice_is_one_row(door):
    plain = event_xml(door.link.corpid)
    query, body = sealed(plain, corpid=door.link.corpid)

    replayed = [door.post(query, body).status_code for _time in range(2)]  # to the letter
    again = door.tell(plain, nonce="n2")  # encrypted anew, as WeCom's second attempt
    other = door.tell(event_xml(door.link.corpid, at=1700000001))

    assert [*replayed, again.status_code, other.status_code] == [200, 200, 200, 200]
    assert len(door.items()) == 2


def test_bad_signature_truncation_and_strangers_leave_nothing(door, cast):
    plain = event_xml(door.link.corpid)
    query, body = sealed(plain, corpid=door.link.corpid)
    refused = [
        door.post({**query, "msg_signature": "0" * 40}, body),
        door.post({}, body),
        door.post(query, body[: len(body) // 2]),
        door.post(query, b""),
        door.post(query, b"<xml></xml>"),
        door.post(query, b"\xff\xfe"),
        door.tell(plain, token="guessed"),
        door.post(*sealed(plain, corpid="wwother")),
    ]

    assert [answer.status_code for answer in refused] == [400] * len(refused)
    assert door.items() == []
    unknown = reverse("wecom-callback", args=["00000000-0000-4000-8000-000000000000"])
    assert Client().post(unknown, data=body, content_type="text/xml", query_params=query).status_code == 404
    assert Client().put(door.path).status_code == 405


@pytest.mark.parametrize(
    ("plain", "event", "kept"),
    [
        ("<xml><Event>change_external_contact</Event><UserID>bo", "unreadable", "<xml><Event>"),
        ('{"Event": "change_external_contact", "UserID": ', "unreadable", '{"Event"'),
        ("[1, 2]", "unreadable", "[1, 2]"),
        ("<xml>" + "<a>" * 900 + "</a>" * 900 + "</xml>", "unreadable", "<xml><a>"),
        ("<xml><Nothing>1</Nothing></xml>", "unnamed", "1"),
        ("<xml><Event><Deep>x</Deep></Event></xml>", "unnamed", "x"),
        ('{"Event": "some_event", "CreateTime": 1700000000, "Name": "a\\u0000b"}', "some_event", "1700000000"),
        (f"<xml><Event>{'e' * 500}</Event><ExternalUserID>{'w' * 5000}</ExternalUserID></xml>", "e" * 64, "w" * 5000),
    ],
)
def test_what_is_sealed_rightly_is_kept_and_named_whatever_it_says(door, heard, plain, event, kept):
    assert door.tell(plain).status_code == 200
    drain(door.link)

    (item,) = door.items()
    assert (item.event, item.status) == (event, InboxItem.Status.IGNORED)
    assert kept in str(item.payload)


def test_both_envelopes_tell_the_same_change(door, heard):
    own = event_xml(door.link.corpid)
    third_party = (
        f"<xml><SuiteId><![CDATA[dk1]]></SuiteId><AuthCorpId><![CDATA[{door.link.corpid}]]></AuthCorpId>"
        "<InfoType><![CDATA[change_external_contact]]></InfoType><TimeStamp>1700000000</TimeStamp>"
        "<ChangeType><![CDATA[add_external_contact]]></ChangeType><UserID><![CDATA[bob]]></UserID>"
        "<ExternalUserID><![CDATA[wm1]]></ExternalUserID></xml>"
    )
    as_json = json.dumps(
        {
            "ToUserName": door.link.corpid,
            "FromUserName": "sys",
            "CreateTime": 1700000000,
            "Event": "change_external_contact",
            "ChangeType": "add_external_contact",
            "UserID": "bob",
            "ExternalUserID": "wm1",
        }
    )
    assert [door.tell(each).status_code for each in (third_party, own, as_json)] == [200] * 3
    drain(door.link)

    assert [(event.event, event.text("UserID"), inbox.told_at(event.payload)) for event in heard] == [
        ("change_external_contact", "bob", "1700000000")
    ]


def test_callbacks_that_are_refused_are_noted_once_and_until_a_right_one_comes(door, caplog):
    plain = event_xml(door.link.corpid)
    for _attempt in range(30):
        assert door.tell(plain, token="another").status_code == 400

    assert sum("wecom.callback.refused" in record.message for record in caplog.records) == 1
    with brand_scope(door.link.brand_id):
        (refused,) = troubles.refused_callbacks(at=timezone.now())
    assert refused.corp.pk == door.link.corp_id
    assert "Token" in refused.text
    assert "EncodingAESKey" in refused.remedy
    door.tell(plain)
    with brand_scope(door.link.brand_id):
        assert troubles.refused_callbacks(at=timezone.now()) == []


def test_a_broker_that_is_away_costs_no_event(door, settings, django_capture_on_commit_callbacks):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    with django_capture_on_commit_callbacks(execute=True) as called:
        answer = door.tell(event_xml(door.link.corpid))

    assert (answer.status_code, len(called), len(door.items())) == (200, 1, 1)


def test_too_large_a_body_is_refused_unread(door):
    answer = door.post({}, b"<xml>" + b"x" * 300_000)
    assert answer.status_code == 413


def test_an_unknown_event_is_kept_and_acknowledged(door, heard):
    answer = door.tell(event_xml(door.link.corpid, event="something_new", change="never_heard_of"))
    drain(door.link)

    (item,) = door.items()
    assert answer.status_code == 200
    assert (item.event, item.status) == ("something_new", InboxItem.Status.IGNORED)
    assert item.payload["ExternalUserID"] == "wm1"
    assert heard == []


# -- draining ---------------------------------------------------------------------------------------------------------


def test_a_handler_gets_the_event_with_its_lists(door, heard):
    extra = "<MemChangeList><Item>wm1</Item><Item>wm2</Item></MemChangeList><ChatId>wr1</ChatId>"
    door.tell(event_xml(door.link.corpid, event="change_external_chat", change="update", extra=extra))
    door.tell(event_xml(door.link.corpid, extra="<MemChangeList><Item>wm1</Item></MemChangeList>"))
    drain(door.link)

    assert [event.items("MemChangeList") for event in heard] == [["wm1", "wm2"], ["wm1"]]
    assert (heard[0].text("ChatId"), heard[0].text("WelcomeCode"), heard[0].corpid) == ("wr1", "", door.link.corpid)
    assert [item.status for item in door.items()] == [InboxItem.Status.DONE] * 2


def test_a_handler_that_fails_is_tried_later_then_given_up_then_replayed(door, heard):
    calls = []

    def broken(event):
        calls.append(event.item_id)
        raise KeyError("Name")

    inbox.register("change_external_tag", broken)
    door.tell(event_xml(door.link.corpid, event="change_external_tag"))
    at = timezone.now()
    drain(door.link, at)
    (item,) = door.items()
    assert (item.status, item.attempts, item.due_at - at) == (InboxItem.Status.PENDING, 1, timedelta(seconds=5))
    for _attempt in range(10):
        at += timedelta(hours=3)
        drain(door.link, at)

    (item,) = door.items()
    assert (item.status, len(calls)) == (InboxItem.Status.FAILED, 7)
    assert "KeyError" in item.error
    inbox._handlers["change_external_tag"].remove(inbox.OneByOne(broken))
    with brand_scope(door.link.brand_id):
        inbox.replay(item.pk, at=at)
    drain(door.link, at)
    assert [each.status for each in door.items()] == [InboxItem.Status.DONE]


def test_waiting_for_wecom_never_gives_up(door, heard):
    refusals = [errors.Throttled(retry_after=900), *[errors.Unreachable()] * 20]

    def waiting(event):
        if refusals:
            raise refusals.pop(0)

    inbox.register("change_external_tag", waiting)
    door.tell(event_xml(door.link.corpid, event="change_external_tag"))
    at = timezone.now()
    drain(door.link, at)
    assert door.items()[0].due_at == at + timedelta(seconds=900)
    for _attempt in range(25):
        at += timedelta(hours=3)
        drain(door.link, at)

    assert door.items()[0].status == InboxItem.Status.DONE


def test_an_item_of_a_killed_worker_comes_back(door, heard):
    door.tell(event_xml(door.link.corpid))
    at = timezone.now()
    draining._claim(brand_id=door.link.brand_id, at=at, limit=10)  # and the worker dies here

    drain(door.link, at + timedelta(seconds=30))
    assert heard == []
    drain(door.link, at + draining.LEASE)
    assert len(heard) == 1


def test_a_handler_of_many_gets_neighbours_at_once_and_fails_single_ones(door, heard):
    calls = []

    def many(events):
        calls.append([event.text("ExternalUserID") for event in events])
        return {event.item_id: errors.Unreachable() for event in events if event.text("ExternalUserID") == "wm1"}

    inbox.register_many("change_contact", many)
    for number in range(3):
        door.tell(event_xml(door.link.corpid, event="change_contact", customer=f"wm{number}"))
    door.tell(event_xml(door.link.corpid, event="change_external_chat"))
    door.tell(event_xml(door.link.corpid, event="change_contact", customer="wm3"))
    drain(door.link)

    assert calls == [["wm0", "wm1", "wm2"], ["wm3"]]
    assert [item.status for item in door.items()] == ["done", "pending", "done", "done", "done"]


def test_a_welcome_is_offered_once_whatever_waits_before_it(door, heard, greeted):
    for number in range(3):
        door.tell(event_xml(door.link.corpid, change="edit_external_contact", customer=f"wm{number}"))
    door.tell(event_xml(door.link.corpid, customer="wmNew", extra="<WelcomeCode>CODE</WelcomeCode>"))

    tasks.greet_inbox(brand_id=door.link.brand_id)
    tasks.greet_inbox(brand_id=door.link.brand_id)
    assert [(event.text("ExternalUserID"), event.text("WelcomeCode")) for event in greeted] == [("wmNew", "CODE")]
    assert heard == []
    drain(door.link)
    assert [event.text("ExternalUserID") for event in heard] == ["wm0", "wm1", "wm2", "wmNew"]


def test_what_is_stuck_is_replayed_one_or_all(door, heard):
    def broken(event):
        raise KeyError("Name")

    inbox.register("change_external_tag", broken)
    for number in range(3):
        door.tell(event_xml(door.link.corpid, event="change_external_tag", customer=f"wm{number}"))
    at = timezone.now()
    for _attempt in range(10):
        drain(door.link, at)
        at += timedelta(hours=3)
    assert {item.status for item in door.items()} == {InboxItem.Status.FAILED}
    inbox._handlers["change_external_tag"].remove(inbox.OneByOne(broken))

    one = door.items()[0].pk
    with brand_scope(door.link.brand_id):
        assert inbox.replay_all(status="failed", event="something_else", at=at) == 0
        assert inbox.replay_all(status="failed", event="change_external_tag", at=at) == 3
        with pytest.raises(Conflict):
            inbox.replay(one, at=at)
    drain(door.link, at)
    assert {item.status for item in door.items()} == {InboxItem.Status.DONE}


def test_handled_callbacks_are_swept_after_their_time_and_failed_ones_stay(door, heard, monkeypatch):
    monkeypatch.setattr(inbox, "SWEPT_AT_ONCE", 2)
    for number in range(7):
        door.tell(event_xml(door.link.corpid, customer=f"wm{number}"))
    drain(door.link)
    with brand_scope(door.link.brand_id):
        InboxItem.objects.filter(payload__ExternalUserID="wm3").update(status=InboxItem.Status.FAILED)
        young = InboxItem.objects.get(payload__ExternalUserID="wm5")
    later = timezone.now() + inbox.KEPT
    with brand_scope(door.link.brand_id):
        InboxItem.objects.filter(pk=young.pk).update(received_at=later)

    assert inbox.sweep_old(brand_id=door.link.brand_id, at=later) == 5
    assert [item.payload["ExternalUserID"] for item in door.items()] == ["wm3", "wm5"]


def test_lag_is_the_age_of_the_oldest_waiting(door, heard):
    door.tell(event_xml(door.link.corpid))
    (item,) = door.items()
    at = item.received_at + timedelta(seconds=90)

    with brand_scope(door.link.brand_id):
        lag = inbox_lag(brand_id=door.link.brand_id, at=at)
    assert (lag.brand_id, lag.pending, lag.failed, lag.oldest_seconds) == (door.link.brand_id, 1, 0, 90.0)
    drain(door.link)
    with brand_scope(door.link.brand_id):
        lag = inbox_lag(brand_id=door.link.brand_id, at=at)
    assert (lag.pending, lag.oldest_seconds) == (0, None)


def test_two_drains_at_once_handle_each_item_once(live_cast, simulator, heard):
    door = Door(connected(live_cast, simulator))
    for number in range(20):
        door.tell(event_xml(door.link.corpid, customer=f"wm{number}"))

    def run():
        drain(door.link)
        connections.close_all()

    both_at_once(run)

    assert sorted(event.item_id for event in heard) == [item.pk for item in door.items()]
    assert {item.status for item in door.items()} == {InboxItem.Status.DONE}


def test_two_tasks_at_once_keep_the_order(live_cast, simulator, heard, inline):
    door = Door(connected(live_cast, simulator))
    with brand_scope(door.link.brand_id):
        for number in range(60):  # more than one task takes in one go
            InboxItem.objects.create(
                corp_id=door.link.corp_id,
                dedupe_key=str(number),
                event="change_external_contact",
                payload={"ExternalUserID": f"wm{number}"},
                received_at=timezone.now(),
                due_at=timezone.now(),
            )

    def run():
        tasks.drain_inbox(brand_id=door.link.brand_id)
        connections.close_all()

    both_at_once(run)

    assert [event.text("ExternalUserID") for event in heard] == [f"wm{number}" for number in range(60)]


def both_at_once(run):
    threads = [threading.Thread(target=run) for _thread in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)


# -- from the simulator, through a real server ------------------------------------------------------------------------


@pytest.fixture
def outside(live_cast, simulator, live_server, settings, inline, heard):
    """The simulator calls back into a live server, where tasks run at once."""
    link = connected(live_cast, simulator)
    settings.PUBLIC_URL = live_server.url
    hook = {"url": callback_url(link.endpoint.pk), "token": TOKEN, "aes_key": AES_KEY, "timeout": 10}
    answer = simulator.post(f"/_sim/corps/{link.corpid}/callback", hook)
    assert answer == {"ok": True, "error": None}
    yield Door(link)
    simulator.post(f"/_sim/corps/{link.corpid}/callback", {"url": ""})


def delivered(simulator):
    """Wait until the simulator has nothing left to send."""
    deadline = time.monotonic() + 60
    while simulator.get("/_sim/counters")["callbacks"].get("pending"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return simulator.get("/_sim/counters")["callbacks"]


def test_a_scan_in_wecom_reaches_a_handler_which_greets(outside, simulator, heard):
    link = outside.link

    def greet(events):
        for event in events:
            link.wecom.send_welcome(code=event.text("WelcomeCode"), text="欢迎来果园")
        return []

    inbox.register_greeter(greet)
    simulator.post("/_sim/switches", {"callback_duplicate_rate": 1.0})
    try:
        made = simulator.act("scan", corpid=link.corpid, userid=link.wecom.follow_users()[0], state="store-2")
        counters = delivered(simulator)
    finally:
        simulator.post("/_sim/switches", {"callback_duplicate_rate": 0.0})

    assert counters["delivered"] == 2  # each was acknowledged
    (item,) = outside.items()
    assert (item.status, item.error) == (InboxItem.Status.DONE, "")
    assert [event.text("ExternalUserID") for event in heard] == [made["external_userid"]]
    assert heard[0].text("State") == "store-2"
    greeted = simulator.journal(corpid=link.corpid, kind="welcome", external_userid=made["external_userid"])
    assert [row["text"] for row in greeted] == ["欢迎来果园"]


def test_the_handshake_fails_with_another_token(outside, simulator):
    hook = {"url": callback_url(outside.link.endpoint.pk), "token": "other", "aes_key": AES_KEY, "timeout": 10}
    answer = simulator.post(f"/_sim/corps/{outside.link.corpid}/callback", hook)

    assert answer["ok"] is False
    assert "400" in answer["error"]


def test_a_sweep_finds_what_nobody_woke_up_for(outside, simulator, heard):
    link = outside.link
    query, body = sealed(event_xml(link.corpid), corpid=link.corpid)
    seal = crypto.Seal(query["msg_signature"], query["timestamp"], query["nonce"])
    inbox.receive(
        endpoint_id=link.endpoint.pk, seal=seal, body=body, at=timezone.now(), wake=lambda _brand, _is_welcome: None
    )  # the message to the worker was lost

    tasks.sweep_inbox()

    assert [event.text("ExternalUserID") for event in heard] == ["wm1"]
