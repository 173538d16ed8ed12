"""What beat asks for every few seconds: cheap when nothing is due, and each row handed out once."""

import threading
from collections import Counter
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from kombu import Connection

from campaigns import tasks
from campaigns.confirming import reminding
from campaigns.models import Batch, Enrolment, Push, Reminder, Sop, SopVersion
from contacts.models import Contact
from scrm.lib.ids import made_id
from tenants.actors import Actor
from tenants.scope import brand_scope
from tests.campaigns.orchard import Orchard
from tests.campaigns.shop import Shop
from wecom.models import Corp, CorpApp


def hand_out(orchard: Orchard) -> None:
    tasks.hand_out(brand_id=orchard.brand_id, at=orchard.at)


def handed_out() -> list[tuple[str, str]]:
    """(task, what it is about) of the waiting messages, which are taken away."""
    found = []
    with Connection(settings.CELERY_BROKER_URL) as broker:
        for queue in ("default", "wecom", "plan"):
            while message := broker.default_channel.basic_get(queue, no_ack=True):
                about = message.decode()[1]
                name = message.headers["task"].rpartition(".")[2]
                # Another test's messages may be about something else.
                key = next((key for key in ("batch_id", "push_id", "reminder_id") if key in about), "")
                found.append((name, str(about.get(key))))
    return found


@pytest.fixture
def quiet(live_orchard) -> Orchard:
    """An orchard and no messages from before."""
    live_orchard.at = timezone.now()
    handed_out()
    return live_orchard


def sending(orchard: Orchard, guides: int = 3) -> Push:
    for number in range(guides):
        orchard.contacts(2, orchard.guide(f"g{number}"))
    return orchard.planned()


def test_nothing_due_costs_a_dozen_short_queries(quiet):
    push = sending(quiet)
    with brand_scope(quiet.brand_id):
        Batch.objects.filter(push=push).update(due_at=quiet.at + timedelta(hours=1))

    with CaptureQueriesContext(connection) as queries:
        hand_out(quiet)

    assert handed_out() == []
    assert len(queries) <= 16


def test_a_due_push_is_offered_for_planning(quiet):
    quiet.contacts(1)
    push = quiet.scheduled(scheduled_at=quiet.at)

    hand_out(quiet)

    assert handed_out() == [("plan_push", str(push.pk))]


def test_a_batch_is_handed_out_once_a_minute(quiet):
    push = sending(quiet)
    with brand_scope(quiet.brand_id):
        ids = {str(pk) for pk in Batch.objects.filter(push=push).values_list("pk", flat=True)}

    hand_out(quiet)
    hand_out(quiet)
    assert sorted(handed_out()) == sorted(("send_batch", pk) for pk in ids)

    quiet.at += timedelta(seconds=61)
    hand_out(quiet)
    assert sorted(handed_out()) == sorted(("send_batch", pk) for pk in ids), "the first message was lost"


def test_ticks_that_overlap_share_the_rows(quiet):
    push = sending(quiet, guides=30)
    start = threading.Barrier(3)

    def work() -> None:
        try:
            start.wait(timeout=30)
            hand_out(quiet)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    with brand_scope(quiet.brand_id):
        ids = {str(pk) for pk in Batch.objects.filter(push=push).values_list("pk", flat=True)}
    assert Counter(handed_out()) == {("send_batch", pk): 1 for pk in ids}


def test_a_push_whose_last_two_batches_ended_at_once_is_found(quiet):
    push = sending(quiet)
    with brand_scope(quiet.brand_id):
        # As two workers leave it that did not see each other's row.
        Batch.objects.filter(push=push).update(status=Batch.Status.FINAL)

    hand_out(quiet)

    assert quiet.again(push).status == Push.Status.DONE


def test_a_cancelled_push_is_wound_up_and_then_left_in_peace(quiet):
    push = sending(quiet)
    with brand_scope(quiet.brand_id):
        Push.objects.filter(pk=push.pk).update(status=Push.Status.CANCELLED)
    hand_out(quiet)
    assert handed_out() == [("wind_up_push", str(push.pk))]

    tasks.wind_up_push(brand_id=quiet.brand_id, push_id=push.pk)
    hand_out(quiet)

    assert handed_out() == []
    assert set(quiet.outcomes(push).values()) == {"cancelled"}
    assert set(quiet.reservations(push).values()) == {"voided"}


def test_one_brands_trouble_is_not_the_next_ones(quiet, caplog):
    with brand_scope(quiet.brand_id):
        broken = Sop.objects.create(name="坏", enabled=True, created_at=quiet.at)
        version = SopVersion.objects.create(
            sop=broken, number=1, trigger={}, steps=[{"content_id": 1}], published_at=quiet.at
        )
        contact = Contact.objects.create(name="客户", created_at=quiet.at)
        Enrolment.objects.create(
            id=made_id(1), sop_version=version, contact=contact, due_at=quiet.at, entered_at=quiet.at
        )
    with brand_scope(quiet.cast.other.id):
        corp = Corp.objects.create(corpid="ww-charlie", name="茵之")
        Push.objects.create(name="好", corp=corp, status="scheduled", scheduled_at=quiet.at, created_at=quiet.at)

    tasks.tick()

    assert [name for name, _about in handed_out()] == ["plan_push"]
    assert "campaigns.tick.failed" in caplog.text


def test_a_corp_without_its_app_is_put_off_and_not_an_error(quiet):
    push = sending(quiet, guides=1)
    with brand_scope(quiet.brand_id):
        batch = Batch.objects.filter(push=push).first()

    tasks.send_batch(brand_id=quiet.brand_id, batch_id=str(batch.pk))

    with brand_scope(quiet.brand_id):
        assert Batch.objects.get(pk=batch.pk).status == Batch.Status.PENDING


def test_the_tasks_bring_moments_from_plan_to_done(live_shop: Shop):
    shop = live_shop
    push = shop.planned(channel="moments")
    (batch,) = shop.batches(push)
    handed_out()
    tasks.send_batch(brand_id=shop.brand_id, batch_id=str(batch.pk))
    while ("send_batch", str(batch.pk)) in handed_out():
        tasks.send_batch(brand_id=shop.brand_id, batch_id=str(batch.pk))
    tasks.send_batch(brand_id=shop.brand_id, batch_id=str(batch.pk))  # as tick does when the job should be done
    shop.people_confirm()
    tasks.follow_batch(brand_id=shop.brand_id, batch_id=str(batch.pk))

    assert shop.received("moment") == dict.fromkeys(shop.reachable(push), 1)
    assert shop.tally(push)["delivered"] == len(shop.received("moment"))


def asked_to_remind(shop: Shop, push: Push) -> Reminder:
    with brand_scope(shop.brand_id):
        return reminding.ask(push_id=push.pk, actor=Actor("user:1", "alice"), at=timezone.now())


def test_reminding_is_a_task_too(live_shop: Shop):
    push = live_shop.sent()

    reminder = asked_to_remind(live_shop, push)
    assert asked_to_remind(live_shop, push) == reminder  # a double click
    handed_out()
    live_shop.at = timezone.now()

    hand_out(live_shop)
    assert ("remind_push", str(reminder.pk)) in handed_out()
    for _delivered_twice in range(2):
        tasks.remind_push(brand_id=live_shop.brand_id, reminder_id=reminder.pk)

    assert {batch.reminders for batch in live_shop.batches(push)} == {1}
    with brand_scope(live_shop.brand_id):
        reminder.refresh_from_db()
    assert (reminder.tasks, reminder.problem_code) == (len(live_shop.batches(push)), "")
    assert asked_to_remind(live_shop, push).pk != reminder.pk


def test_a_corp_that_was_disconnected_stops_no_task_and_is_asked_nothing(live_shop: Shop):
    shop = live_shop
    push = shop.sent()
    batch = shop.batches(push)[0]
    with brand_scope(shop.brand_id):
        CorpApp.objects.update(secret="")
    shop.simulator.delete("/_sim/counters")

    tasks.remind_push(brand_id=shop.brand_id, reminder_id=asked_to_remind(shop, push).pk)
    for task in (tasks.send_batch, tasks.reconcile_batch, tasks.follow_batch):
        task(brand_id=shop.brand_id, batch_id=str(batch.pk))

    assert shop.simulator.get("/_sim/counters")["calls"] == {}
    assert {each.reminders for each in shop.batches(push)} == {0}
