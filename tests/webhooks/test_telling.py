"""From an event in the log to a brand's own system."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from contacts.models import Identity
from contacts.personal_data import erasure, export
from events import log, reactors
from events.log import NewEvent
from events.models import ReactorCursor
from scrm.lib.errors import Invalid
from scrm.lib.ids import made_id
from tenants.actors import SYSTEM
from tenants.scope import brand_scope
from tests.cast import Cast
from tests.webhooks.conftest import Receiver
from webhooks import endpoints, queue, sending
from webhooks.models import Webhook, WebhookDelivery
from webhooks.post import post

NOW = datetime.now(UTC)


def make(cast: Cast, receiver: Receiver, *types: str) -> endpoints.Made:
    with brand_scope(cast.brand.pk):
        return endpoints.make(
            name="商城", url=receiver.url, types=types or ("sign_in",), actor=SYSTEM, at=NOW - timedelta(hours=1)
        )


def happen(cast: Cast, *happened: tuple[str, int], fires: bool = True, start: int = 0) -> list[uuid.UUID]:
    """Events a second apart, and the queue has read them."""
    events = [
        NewEvent(kind, NOW + timedelta(seconds=start + n), contact_id=contact, id=uuid.uuid4(), fires=fires)
        for n, (kind, contact) in enumerate(happened)
    ]
    with brand_scope(cast.brand.pk):
        log.write(events, at=NOW)
        horizon = log.current_txid() + 1
    with brand_scope(cast.brand.pk):
        ReactorCursor.objects.filter(reactor="webhooks.queue").delete()
    reactors.react(brand_id=cast.brand.pk, reactor="webhooks.queue", at=NOW, horizon=horizon)
    return [event.id for event in events if event.id]


def send(cast: Cast, webhook: Webhook, **later: float) -> None:
    at = datetime.now(UTC) + timedelta(**later)
    while sending.send_due(brand_id=cast.brand.pk, webhook_id=webhook.pk, at=at):
        pass


def rows(cast: Cast) -> list[dict[str, Any]]:
    with brand_scope(cast.brand.pk):
        return list(WebhookDelivery.objects.order_by("pk").values("status", "attempts", "outcome", "contact_id"))


def test_an_event_is_told_with_who_it_is_and_a_signature_that_others_can_check(cast, receiver) -> None:
    made = make(cast, receiver)
    contact = cast.contact()
    with brand_scope(cast.brand.pk):
        key = made_id(cast.brand.pk, "identity", "unionid", "o-1")
        Identity.objects.create(id=key, contact=contact, type="unionid", value="o-1", first_seen_at=NOW)
    (event_id,) = happen(cast, ("sign_in", contact.pk))
    send(cast, made.webhook)
    headers, body = receiver.raw[0]
    said = Verifier(made.secret).verify(body.decode(), headers)
    assert said["type"] == "sign_in"
    assert said["data"] == {
        "id": str(event_id),
        "contact": {"id": contact.pk, "identities": {"unionid": ["o-1"]}},
        "props": {},
    }
    assert headers["webhook-id"] == str(event_id)
    assert rows(cast)[0]["status"] == "delivered"


def test_types_not_asked_for_silent_imports_and_repeats_are_not_told(cast, receiver) -> None:
    made = make(cast, receiver, "sign_in")
    contact = cast.contact()
    happen(cast, ("share", contact.pk))
    happen(cast, ("sign_in", contact.pk), fires=False)
    happen(cast, ("sign_in", contact.pk))
    happen(cast)  # everything is read once more
    send(cast, made.webhook)
    assert receiver.told() == [("sign_in", contact.pk)]


def test_what_was_received_before_the_webhook_is_not_told(cast, receiver) -> None:
    contact = cast.contact()
    with brand_scope(cast.brand.pk):
        made = endpoints.make(
            name="商城", url=receiver.url, types=["sign_in"], actor=SYSTEM, at=NOW + timedelta(seconds=1)
        )
    happen(cast, ("sign_in", contact.pk))
    send(cast, made.webhook)
    assert receiver.got == []


def test_a_failure_holds_back_the_same_contact_only_and_order_is_kept(cast, receiver) -> None:
    made = make(cast, receiver, "sign_in", "share", "draw")
    unlucky, lucky = cast.contact("甲").pk, cast.contact("乙").pk
    receiver.answer = lambda said: 500 if said["data"]["contact"]["id"] == unlucky else 200
    happen(cast, ("sign_in", unlucky), ("sign_in", lucky), ("share", unlucky), ("share", lucky))
    send(cast, made.webhook)
    assert receiver.told() == [("sign_in", lucky), ("share", lucky)]
    receiver.answer = 200
    send(cast, made.webhook, seconds=6)
    assert receiver.told()[2:] == [("sign_in", unlucky), ("share", unlucky)]
    assert {row["status"] for row in rows(cast)} == {"delivered"}


def test_a_receiver_that_is_down_is_slowed_and_caught_up_when_it_is_back(cast, receiver) -> None:
    made = make(cast, receiver)
    people = [cast.contact(f"客户{n}").pk for n in range(12)]
    receiver.answer = 503
    happen(cast, *(("sign_in", person) for person in people))
    send(cast, made.webhook)
    asked = len(receiver.raw)
    assert asked == 12
    send(cast, made.webhook, seconds=10)
    assert len(receiver.raw) == asked, "it rests"
    send(cast, made.webhook, hours=1)
    assert len(receiver.raw) == asked + 1, "after the rest one event tries"
    receiver.answer = 200
    send(cast, made.webhook, hours=2)
    assert sorted(contact for _, contact in receiver.told()) == sorted(people)
    with brand_scope(cast.brand.pk):
        webhook = Webhook.objects.get()
    assert (webhook.failures, webhook.trouble, webhook.rests_until) == (0, "", None)


def test_after_a_day_it_has_failed_and_a_replay_tells_it(cast, receiver) -> None:
    made = make(cast, receiver)
    contact = cast.contact().pk
    receiver.answer = 500
    happen(cast, ("sign_in", contact))
    for hours in range(26):
        send(cast, made.webhook, hours=hours)
    (row,) = rows(cast)
    assert row["status"] == "failed"
    assert 5 <= row["attempts"] <= 12
    receiver.answer = 200
    with brand_scope(cast.brand.pk):
        assert queue.replay_failed(webhook=made.webhook, actor=SYSTEM, at=NOW + timedelta(hours=30)) == 1
    send(cast, made.webhook, hours=31)
    assert receiver.told() == [("sign_in", contact)]
    assert len({headers["webhook-id"] for headers, _ in receiver.raw}) == 1, "the receiver knows it again"


def test_a_replay_of_a_time_tells_what_was_missed_while_it_was_off(cast, receiver) -> None:
    made = make(cast, receiver)
    contact = cast.contact().pk
    with brand_scope(cast.brand.pk):
        endpoints.change(
            webhook_id=made.webhook.pk, name="商城", url=receiver.url, types=["sign_in"], enabled=False,
            actor=SYSTEM, at=NOW,
        )  # fmt: skip
    happen(cast, ("sign_in", contact), ("sign_in", contact))
    assert rows(cast) == []
    with brand_scope(cast.brand.pk):
        webhook = endpoints.change(
            webhook_id=made.webhook.pk, name="商城", url=receiver.url, types=["sign_in"], enabled=True,
            actor=SYSTEM, at=NOW,
        )  # fmt: skip
        queued = queue.replay_between(
            webhook=webhook, start=NOW - timedelta(hours=1), end=NOW + timedelta(hours=1), actor=SYSTEM, at=NOW
        )
    assert queued == 2
    send(cast, made.webhook)
    assert [each["timestamp"] for each in receiver.got] == sorted(each["timestamp"] for each in receiver.got)
    assert len(receiver.got) == 2


def test_a_dead_workers_events_are_told_by_another_under_the_same_id(cast, receiver) -> None:
    made = make(cast, receiver, "sign_in", "share")
    contact = cast.contact().pk
    happen(cast, ("sign_in", contact), ("share", contact))
    with brand_scope(cast.brand.pk):
        taken = sending._claim(made.webhook, limit=10, at=datetime.now(UTC))
    assert [each.event_type for each in taken] == ["sign_in"]
    send(cast, made.webhook)
    assert receiver.got == [], "another worker holds the first, and the second waits for it"
    send(cast, made.webhook, minutes=6)
    assert receiver.told() == [("sign_in", contact), ("share", contact)]


def test_410_switches_it_off(cast, receiver) -> None:
    made = make(cast, receiver)
    receiver.answer = 410
    happen(cast, ("sign_in", cast.contact().pk))
    send(cast, made.webhook)
    with brand_scope(cast.brand.pk):
        webhook = Webhook.objects.get()
    assert (webhook.enabled, webhook.trouble) == (False, "gone")


def test_secrets_change_over(cast, receiver) -> None:
    made = make(cast, receiver)
    with brand_scope(cast.brand.pk):
        newer = endpoints.new_secret(webhook_id=made.webhook.pk, actor=SYSTEM, at=datetime.now(UTC))
    happen(cast, ("sign_in", cast.contact().pk))
    send(cast, made.webhook)
    headers, body = receiver.raw[0]
    for secret in (made.secret, newer.secret):
        assert Verifier(secret).verify(body.decode(), headers)


def test_forgotten_people_leave_the_queue(cast, receiver) -> None:
    made = make(cast, receiver)
    gone, stays = cast.contact("甲").pk, cast.contact("乙").pk
    happen(cast, ("sign_in", gone), ("sign_in", stays))
    with brand_scope(cast.brand.pk):
        assert len(export.everything(contact_id=gone, actor=SYSTEM, at=NOW)["tables"]["webhooks_webhookdelivery"]) == 1
        erasure.erase(contact_id=gone, typed_name="甲", reason="本人要求", actor=SYSTEM, at=NOW)
    send(cast, made.webhook)
    assert receiver.told() == [("sign_in", stays)]


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://shop.example.com/", "url.https"),
        ("ftp://shop.example.com/", "url.https"),
        ("https://", "url.https"),
        ("https://user:word@shop.example.com/", "url.extras"),
        ("https://shop.example.com:99999/", "url.malformed"),
        ("https://商城.中国/", "url.characters"),
        ("https://" + "a" * 500, "too_long"),
    ],
)
def test_an_address_that_cannot_be_is_refused_by_name(cast, url, code) -> None:
    with pytest.raises(Invalid) as refused, brand_scope(cast.brand.pk):
        endpoints.make(name="商城", url=url, types=["sign_in"], actor=SYSTEM, at=NOW)
    assert [error.code for error in refused.value.errors] == [code]


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "10.1.2.3", "192.168.1.1", "169.254.169.254", "[::1]", "[::ffff:10.0.0.1]", "[fd00::1]"],
)
def test_our_own_network_is_out_of_reach(settings, host) -> None:
    settings.ORCHARD_WEBHOOKS_PRIVATE = False
    assert post(f"https://{host}/", body=b"{}", headers={}).outcome == "forbidden_address"


def test_redirects_are_not_followed_and_closed_ports_are_named(cast, receiver) -> None:
    receiver.answer, receiver.location = 302, receiver.url
    assert post(receiver.url, body=b'{"type": "ping"}', headers={}).outcome == "redirected"
    assert len(receiver.raw) == 1
    assert post("http://127.0.0.1:1/", body=b"{}", headers={}).outcome == "unreachable"
    assert post("http://no-such-name.invalid/", body=b"{}", headers={}).outcome == "no_address"
