"""From planned batches to tasks at WeCom: each at most once, whatever the network and WeCom do."""

import threading
from datetime import timedelta

import pytest
from django.db import connection

from campaigns.dispatch import dispatch
from campaigns.models import Batch, Push
from campaigns.pushes import pushes
from contacts.models import Follow, Staff
from tenants.actors import SYSTEM
from tenants.scope import brand_scope
from tests.campaigns.shop import Shop
from wecom.models import Corp, CorpApp

UNKNOWN, PENDING, CREATED = Batch.Status.UNKNOWN, Batch.Status.PENDING, Batch.Status.CREATED


def test_each_customer_hears_once_from_their_guide(shop: Shop):
    push = shop.sent()

    assert set(shop.statuses(push)) == {CREATED}
    assert push.dispatched_at == shop.at
    assert shop.journal(kind="single") == [], "guides have to confirm first"

    shop.people_confirm()

    assert shop.received() == dict.fromkeys(shop.reachable(push), 1)
    guides = {row.external_userid: row.staff.userid for row in shop.deliveries(push) if row.staff}
    assert all(guides[row["external_userid"]] == row["sender"] for row in shop.journal(kind="single"))


def test_a_batch_delivered_twice_by_the_queue_is_sent_once(shop: Shop):
    push = shop.planned()
    batch = shop.batches(push)[0]

    for _again in range(2):
        dispatch.send(brand_id=shop.brand_id, batch_id=batch.pk, wecom=shop.wecom, at=shop.at)
    shop.people_confirm()

    assert len({row["msgid"] for row in shop.journal(kind="single")}) == 1


def test_who_left_since_the_plan_is_not_written_to(shop: Shop):
    push = shop.planned()
    reachable = shop.reachable(push)
    gone = next(row for row in shop.deliveries(push) if row.external_userid in reachable)
    with brand_scope(shop.brand_id):
        Follow.objects.filter(contact_id=gone.contact_id).update(lost_at=shop.at)

    shop.send(push)
    shop.people_confirm()

    assert gone.external_userid not in shop.received()
    assert shop.outcomes(push)[gone.contact_id] == "contact_gone"
    assert shop.reservations(push)[gone.contact_id] == "voided"
    assert (gone.contact_id, "contact_gone") in [(who, props["reason"]) for who, props in shop.events("message_failed")]


def test_who_deleted_the_guide_unheard_is_lost_when_the_send_comes_back(shop: Shop):
    push = shop.planned()
    reachable = shop.reachable(push)
    gone = next(row for row in shop.deliveries(push) if row.external_userid in reachable)
    with brand_scope(shop.brand_id):
        userid = Staff.objects.values_list("userid", flat=True).get(pk=gone.staff_id)
    shop.simulator.act(
        "delete_follow", corpid=shop.corpid, userid=userid, external_userid=gone.external_userid, by="customer"
    )

    shop.send(push)
    shop.people_confirm()
    shop.follow_up(push)

    assert shop.outcomes(push)[gone.contact_id] == "contact_gone"
    with brand_scope(shop.brand_id):
        (follow,) = Follow.objects.filter(staff=gone.staff_id, external_userid=gone.external_userid)
    assert (follow.lost_by, follow.lost_at is None) == ("contact", False)


def test_a_guide_whose_customers_have_all_left_sends_nothing(shop: Shop):
    push = shop.planned()
    batch = shop.batches(push)[0]
    with brand_scope(shop.brand_id):
        Follow.objects.filter(staff_id=batch.staff_id).update(lost_at=shop.at)

    shop.send(push)

    assert {each.pk: each.status for each in shop.batches(push)}[batch.pk] == Batch.Status.FINAL


def test_a_cancelled_push_is_not_sent(shop: Shop):
    push = shop.planned()
    batch = shop.batches(push)[0]
    with brand_scope(shop.brand_id):
        pushes.cancel(push_id=push.pk, actor=SYSTEM, at=shop.at)

    dispatch.send(brand_id=shop.brand_id, batch_id=batch.pk, wecom=shop.wecom, at=shop.at)
    shop.people_confirm()

    assert shop.journal(kind="single") == []


def test_content_that_wecom_refuses_fails_the_push_and_frees_the_budget(shop: Shop):
    push = shop.planned()
    shop.fault("add_msg_template", "errcode", errcode=40201)

    shop.send(push)

    push = shop.again(push)
    assert push.status == Push.Status.FAILED
    assert "安全检查" in push.error
    assert set(shop.statuses(push)) == {Batch.Status.REFUSED}
    assert set(shop.tally(push)) <= {"refused", "not_friend"}
    assert set(shop.ledger(push)) == {"voided"}
    assert len(shop.events("message_failed")) == shop.tally(push)["refused"]


def test_one_refused_guide_does_not_stop_the_others(shop: Shop):
    push = shop.planned()
    shop.fault("add_msg_template", "errcode", errcode=84074, count=1)

    shop.send(push)
    shop.people_confirm()
    shop.later(minutes=1)
    shop.follow_up(push)

    assert shop.again(push).status == Push.Status.DONE
    assert shop.statuses(push)[Batch.Status.REFUSED] == 1
    assert shop.tally(push)["delivered"] == len(shop.received()) > 0


def test_a_permission_withdrawn_keeps_the_batch_and_tells_the_operator(shop: Shop):
    push = shop.planned()
    batch = shop.batches(push)[0]
    shop.fault("add_msg_template", "errcode", errcode=48002)

    dispatch.send(brand_id=shop.brand_id, batch_id=batch.pk, wecom=shop.wecom, at=shop.at)

    kept = shop.batches(push, pk=batch.pk)[0]
    assert (kept.status, kept.error_code) == (PENDING, "wecom.permission_withdrawn")
    assert kept.due_at > shop.at
    with brand_scope(shop.brand_id):
        assert Corp.objects.get(pk=shop.cast.corp.pk).trouble_code == "wecom.permission_withdrawn"
    shop.no_faults()
    shop.send(push)
    assert set(shop.statuses(push)) == {CREATED}


def test_a_reset_secret_stops_the_corp_until_the_operator_enters_the_new_one(shop: Shop):
    push = shop.planned()
    with brand_scope(shop.brand_id):
        app = CorpApp.objects.get(corp=shop.cast.corp)
        right, app.secret = app.secret, "no longer this"
        app.save(update_fields=["secret"])

    shop.send(push)

    assert set(shop.statuses(push)) == {PENDING}
    with brand_scope(shop.brand_id):
        assert Corp.objects.get(pk=shop.cast.corp.pk).trouble_code == "wecom.bad_secret"
        CorpApp.objects.filter(pk=app.pk).update(secret=right)
    shop.send(push)
    shop.people_confirm()
    assert shop.received() == dict.fromkeys(shop.reachable(push), 1)


def test_nothing_listens_and_later_it_is_sent(shop: Shop, settings):
    push = shop.planned()
    there = settings.WECOM_API_BASE
    shop.wecom.departments()  # a token is at hand
    settings.WECOM_API_BASE = "http://127.0.0.1:21699/cgi-bin/"
    shop.send(push)
    assert set(shop.statuses(push)) == {PENDING}

    settings.WECOM_API_BASE = there
    shop.send(push)
    shop.people_confirm()

    assert set(shop.received().values()) == {1}


@pytest.mark.parametrize("mode", ["reset_after", "http_500_after"])
def test_a_lost_answer_is_found_again(shop: Shop, mode: str):
    push = shop.planned()
    shop.fault("add_msg_template", mode)
    shop.send(push)
    assert set(shop.statuses(push)) == {UNKNOWN}
    shop.no_faults()
    shop.people_confirm()  # guides do not wait for us

    shop.later(minutes=1)
    assert {shop.reconcile(batch) for batch in shop.batches(push)} == {CREATED}
    shop.send(push)
    shop.people_confirm()
    shop.follow_up(push)

    assert set(shop.received().values()) == {1}
    assert shop.tally(push)["delivered"] == len(shop.received())
    assert shop.again(push).status == Push.Status.DONE


def test_a_timeout_after_the_effect_is_not_repeated(shop: Shop, settings):
    settings.WECOM_TIMEOUT_SECONDS = 1
    push = shop.planned()
    shop.fault("add_msg_template", "timeout_after", count=1)
    shop.send(push)
    unsure = shop.batches(push, status=UNKNOWN)
    assert len(unsure) == 1

    shop.later(minutes=20)
    assert shop.reconcile(unsure[0]) == CREATED
    shop.people_confirm()

    assert set(shop.received().values()) == {1}
    assert set(shop.received()) == shop.reachable(push)


def test_what_never_arrived_is_offered_again_only_after_a_quarter_of_an_hour_and_two_listings(shop: Shop):
    push = shop.planned()
    shop.fault("add_msg_template", "reset", count=1)
    shop.send(push)
    (lost,) = shop.batches(push, status=UNKNOWN)

    for minutes in (1, 5, 8):
        shop.later(minutes=minutes)
        assert shop.reconcile(lost) == UNKNOWN
        shop.send(push)
    shop.later(minutes=2)
    assert shop.reconcile(lost) == UNKNOWN
    shop.later(minutes=1)
    assert shop.reconcile(lost) == PENDING
    shop.people_confirm()
    assert not set(shop.received()) & shop.reachable(push, batch=lost)

    shop.send(push)
    shop.people_confirm()

    assert set(shop.received().values()) == {1}
    assert set(shop.received()) == shop.reachable(push)


def test_a_failed_listing_proves_nothing(shop: Shop):
    push = shop.planned()
    shop.fault("add_msg_template", "reset_after", count=1)
    shop.send(push)
    (lost,) = shop.batches(push, status=UNKNOWN)
    shop.fault("get_groupmsg_list_v2", "errcode", errcode=45009, count=1)
    shop.later(minutes=30)

    with pytest.raises(dispatch.WeComError):
        shop.reconcile(lost)

    assert shop.batches(push, pk=lost.pk)[0].status == UNKNOWN


def test_another_push_with_the_same_text_is_not_taken_for_ours(shop: Shop):
    said = [pushes.VariantDraft(shop.content("同一句话").pk)]
    first = shop.planned(variants=said)
    shop.fault("add_msg_template", "reset", count=1)
    shop.send(first)
    (lost,) = shop.batches(first, status=UNKNOWN)
    shop.no_faults()
    shop.sent(variants=said)

    shop.later(minutes=16)

    assert shop.reconcile(lost) == UNKNOWN


def test_a_task_cancelled_in_wecom_is_never_sent_again(shop: Shop):
    push = shop.planned()
    shop.fault("add_msg_template", "reset_after", count=1)
    shop.send(push)
    (lost,) = shop.batches(push, status=UNKNOWN)
    known = {batch.msgid for batch in shop.batches(push)}
    listed = shop.wecom.group_messages(
        start=shop.at - timedelta(hours=1), end=shop.at + timedelta(hours=1), chat_type="single"
    )
    (orphan,) = [message.msgid for message in listed if message.msgid not in known]
    shop.wecom.cancel_message(msgid=orphan)

    for _look in range(5):
        shop.later(minutes=10)
        assert shop.reconcile(lost) == UNKNOWN
    shop.later(days=1)

    assert shop.reconcile(lost) == Batch.Status.REFUSED
    assert {shop.outcomes(push)[row.contact_id] for row in shop.deliveries(push) if row.batch_id == lost.pk} == {
        "unknown"
    }


def test_who_wakes_up_after_losing_the_claim_changes_nothing(shop: Shop):
    push = shop.planned()
    batch = shop.batches(push)[0]
    with brand_scope(shop.brand_id):
        sleeper = dispatch.claim(batch_id=batch.pk, at=shop.at)
    assert sleeper
    for minutes in (3, 14, 1):
        shop.later(minutes=minutes)
        shop.reconcile(batch)
    assert shop.batches(push, pk=batch.pk)[0].status == PENDING
    dispatch.send(brand_id=shop.brand_id, batch_id=batch.pk, wecom=shop.wecom, at=shop.at)
    before = shop.batches(push, pk=batch.pk)[0]

    with brand_scope(shop.brand_id):
        dispatch.record_error(batch=sleeper, error=dispatch.OutcomeUnknown("…"), at=shop.at)
        dispatch.record_created(batch=sleeper, msgid="of nobody", failed=[], at=shop.at)

    after = shop.batches(push, pk=batch.pk)[0]
    assert (after.status, after.msgid) == (CREATED, before.msgid)


@pytest.mark.slow
def test_two_workers_at_one_batch_send_it_once(live_shop: Shop):
    shop = live_shop
    push = shop.planned()
    start = threading.Barrier(2)
    wecom = shop.wecom

    def work() -> None:
        try:
            start.wait(timeout=30)
            for batch in shop.batches(push):
                dispatch.send(brand_id=shop.brand_id, batch_id=batch.pk, wecom=wecom, at=shop.at)
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
    shop.people_confirm()

    assert set(shop.statuses(push)) == {CREATED}
    assert set(shop.received().values()) == {1}
