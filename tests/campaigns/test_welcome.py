"""The welcome: said once to who has just added a guide, never too late, never twice, and its outcome is in the log."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from campaigns.models import Content, Welcome
from campaigns.welcome import welcome
from events.models import Event
from scrm.lib.errors import Invalid
from tenants.actors import Actor
from tenants.models import AuditEntry
from tenants.scope import brand_scope
from tests.contacts.world import World, connect
from wecom import draining
from wecom.models import Corp, CorpApp, InboxItem

ALICE = Actor("user:1", "Alice")


@pytest.fixture
def world(cast, simulator) -> World:
    return connect(cast.brand, simulator)


def say(world, text="%NICKNAME%，欢迎来到果园", *, is_on=True, content=None):
    with world.scope():
        return welcome.save(
            corp_id=world.corp.pk,
            is_on=is_on,
            text=text,
            content_id=content.pk if content else None,
            actor=ALICE,
            at=timezone.now(),
        )


def told(world, *, age=0.0, change="add_external_contact", code=""):
    """Somebody new adds a guide, and the callback is in the inbox. The customer's external_userid."""
    guide = world.simulator.get(f"/_sim/corps/{world.corp.corpid}/guides")["items"][0]["userid"]
    made = world.simulator.act("scan", userid=guide)
    payload = {
        "Event": "change_external_contact",
        "ChangeType": change,
        "UserID": guide,
        "ExternalUserID": made["external_userid"],
        "WelcomeCode": code or made["welcome_code"],
    }
    at = timezone.now() - timedelta(seconds=age)
    with world.scope():
        InboxItem.objects.create(
            corp=world.corp,
            dedupe_key=uuid4().hex,
            event=payload["Event"],
            change_type=change,
            payload=payload,
            received_at=at,
            due_at=at,
            welcome_due=True,
        )
    return made["external_userid"]


def greet(world):
    while draining.greet_some(brand_id=world.brand.pk):
        pass


def heard(world, external_userid):
    rows = world.simulator.journal(kind="welcome", external_userid=external_userid)
    return [row["text"] for row in rows]


def outcomes(world):
    with world.scope():
        rows = Event.objects.filter(type__startswith="welcome_").order_by("occurred_at")
        return [(row.type, row.props.get("reason", "")) for row in rows]


def test_who_adds_a_guide_is_greeted_once(world):
    say(world)
    customers = [told(world) for _number in range(3)]
    greet(world)
    greet(world)

    assert [len(heard(world, each)) for each in customers] == [1, 1, 1]
    assert outcomes(world) == [("welcome_sent", "")] * 3
    with world.scope():
        saved = Welcome.objects.get()
        assert welcome.outcomes_of(saved, at=timezone.now() + timedelta(minutes=1)) == {"": 3}


def test_the_outcome_becomes_the_contacts_when_the_contact_is_known(world):
    say(world)
    external = told(world)
    greet(world)
    with world.scope():
        payload = InboxItem.objects.get().payload
    world.tell("change_external_contact", "add_external_contact", **payload)

    with world.scope():
        event = Event.objects.get(type="welcome_sent")
    assert event.contact_id == world.follow(payload["UserID"], external).contact_id


def test_a_code_that_is_over_is_not_used(world):
    say(world)
    world.simulator.delete("/_sim/counters")
    told(world, age=21)
    greet(world)

    assert outcomes(world) == [("welcome_failed", "wecom.welcome_too_late")]
    assert "externalcontact/send_welcome_msg" not in world.simulator.get("/_sim/counters")["calls"]


def test_nothing_is_said_while_it_is_off_or_for_other_events(world):
    told(world)
    greet(world)
    say(world, is_on=False)
    told(world)
    greet(world)
    say(world)
    told(world, change="msg_audit_approved")
    greet(world)

    with world.scope():
        assert not InboxItem.objects.filter(welcome_due=True).exists()
    assert outcomes(world) == []


def test_a_content_of_the_house_brings_its_attachments(world):
    link = {"msgtype": "link", "link": {"title": "新人礼", "url": "https://example.com/gift"}}
    with world.scope():
        content = Content.objects.create(name="新人", text="送您新人礼", attachments=[link], created_at=timezone.now())
    say(world, "", content=content)
    external = told(world)
    greet(world)

    (row,) = world.simulator.journal(kind="welcome", external_userid=external)
    assert row["text"] == "送您新人礼"
    assert [each["msgtype"] for each in row["attachments"]] == ["link"]


@pytest.mark.parametrize(
    ("fault", "sent", "ended"),
    [
        ({"mode": "reset_after", "count": 1}, 1, ("welcome_failed", "wecom.outcome_unknown")),
        ({"mode": "http_500", "count": 1}, 0, ("welcome_failed", "wecom.outcome_unknown")),
        ({"mode": "errcode", "errcode": 41051, "count": 1}, 0, ("welcome_failed", "wecom.welcome_too_late")),
        ({"mode": "errcode", "errcode": 45033, "count": 2}, 1, ("welcome_sent", "")),
    ],
)
def test_an_unclear_end_is_not_repeated_and_a_busy_wecom_is_asked_again(world, fault, sent, ended):
    say(world)
    external = told(world)
    world.simulator.post("/_sim/faults", {"path": "externalcontact/send_welcome_msg", **fault})
    greet(world)
    greet(world)

    assert len(heard(world, external)) == sent
    assert outcomes(world) == [ended]


def test_what_wecom_would_refuse_is_refused_when_saved(world):
    for text, is_on, code in [("", True, "welcome.empty"), ("长" * 1400, False, "content.text_too_long")]:
        with world.scope(), pytest.raises(Invalid) as refused:
            welcome.save(corp_id=world.corp.pk, is_on=is_on, text=text, actor=ALICE, at=timezone.now())
        assert [error.code for error in refused.value.errors] == [code]
    with world.scope():
        assert not Welcome.objects.exists()


def test_another_brands_customers_hear_nothing_of_ours(world, cast):
    say(world)
    with brand_scope(cast.other.pk):
        assert not Welcome.objects.exists()
    with world.scope():
        assert AuditEntry.objects.filter(action="welcome.save").count() == 1


def test_a_disconnected_corp_costs_the_others_customers_nothing(world):
    say(world)
    unheard = told(world)
    with world.scope():
        gone = Corp.objects.create(corpid="ww0", name="断开的企业")
        CorpApp.objects.create(corp=gone, agent_id=1)
        Welcome.objects.create(corp=gone, text="欢迎", is_on=True, updated_at=timezone.now())
        InboxItem.objects.update(corp=gone)
    external = told(world)
    greet(world)

    assert heard(world, external) != []
    assert heard(world, unheard) == []
    assert sorted(outcomes(world)) == [("welcome_failed", "wecom.disconnected"), ("welcome_sent", "")]
