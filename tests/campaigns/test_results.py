"""What came of a push: outcomes reach the deliveries, the budget and the log, once."""

from datetime import timedelta

from campaigns.dispatch import results
from campaigns.models import Batch, GroupDelivery, Push
from campaigns.pushes import pushes
from tenants.scope import brand_scope
from tests.campaigns.shop import Shop


def test_a_push_from_plan_to_done(shop: Shop):
    push = shop.sent()
    assert push.status == Push.Status.SENDING

    shop.people_confirm()
    shop.later(minutes=1)
    shop.follow_up(push)

    push = shop.again(push)
    assert (push.status, push.done_at) == (Push.Status.DONE, shop.at)
    delivered = {row.external_userid: row for row in shop.deliveries(push) if row.status == "delivered"}
    assert set(delivered) == set(shop.received()) == shop.reachable(push)
    assert all(row.delivered_at for row in delivered.values())
    # WeCom's lists still have those who deleted their guide; only the send tells.
    failed = [row for row in shop.deliveries(push) if row.batch_id and row.status != "delivered"]
    assert failed
    assert {row.reason for row in failed} == {"contact_gone"}
    assert shop.ledger(push) == {"posted": len(delivered), "voided": len(failed)}


def test_outcomes_are_events_of_the_contacts(shop: Shop):
    push = shop.sent()
    shop.people_confirm()
    for _look in range(2):
        shop.later(minutes=1)
        shop.follow_up(push)

    rows = [row for row in shop.deliveries(push) if row.batch_id]
    props = {"push_id": push.pk, "channel": "single"}
    assert dict(shop.events("message_delivered")) == {
        row.contact_id: {**props, "staff_id": row.staff_id} for row in rows if row.status == "delivered"
    }
    assert len(shop.events("message_delivered")) == len(shop.received())
    assert dict(shop.events("message_failed")) == {
        row.contact_id: {**props, "reason": "contact_gone"} for row in rows if row.status == "failed"
    }


def test_the_quota_that_wecom_counts_is_told(shop: Shop):
    shop.simulator.post(f"/_sim/corps/{shop.corpid}/quota", {"mode": "day_1"})
    first = shop.sent()
    shop.people_confirm()
    second = shop.sent()  # we believe the corp's mode is the usual one
    shop.people_confirm()
    shop.later(minutes=1)
    shop.follow_up(first)
    shop.follow_up(second)

    got = len(shop.reachable(first))
    assert shop.tally(first)["delivered"] == got
    assert shop.tally(second)["wecom_quota"] == got
    assert shop.tally(second)["delivered"] == 0
    assert shop.ledger(second) == {"voided": sum(shop.ledger(second).values())}


def test_some_confirm_and_the_push_goes_on(shop: Shop):
    push = shop.sent()
    prompt, *others = shop.batches(push)
    shop.simulator.act("confirm", userid=prompt.staff.userid, msgid=prompt.msgid)
    shop.later(minutes=1)
    shop.follow_up(push)

    assert shop.again(push).status == Push.Status.SENDING
    assert shop.batches(push, pk=prompt.pk)[0].status == Batch.Status.FINAL
    assert {batch.status for batch in shop.batches(push) if batch.pk != prompt.pk} == {Batch.Status.CREATED}
    assert shop.ledger(push)["reserved"] == sum(batch.size for batch in others)


def test_each_look_is_later_than_the_last(shop: Shop, settings):
    settings.ORCHARD_POLL_SECONDS = 60
    delays = [results.poll_delay(polls) for polls in range(30)]

    assert delays[0] == timedelta(minutes=1)
    assert delays == sorted(delays)
    assert delays[-1] == timedelta(hours=6)


def test_a_task_still_being_handed_out_is_asked_later(shop: Shop):
    shop.simulator.post("/_sim/switches", {"dispatch_seconds": 3600.0})
    push = shop.sent()

    shop.follow_up(push)

    assert set(shop.statuses(push)) == {Batch.Status.CREATED}
    assert all(batch.poll_due_at > shop.at for batch in shop.batches(push))


def test_results_longer_than_a_page(shop: Shop, monkeypatch):
    push = shop.sent()
    shop.people_confirm()
    real = type(shop.wecom).message_results

    def short_pages(self, **asked):
        return real(self, **asked, limit=3)

    monkeypatch.setattr("wecom.client.WeComClient.message_results", short_pages)
    shop.follow_up(push)

    assert shop.tally(push)["delivered"] == len(shop.reachable(push)) > 12


def test_a_group_push_reaches_each_group_once(shop: Shop):
    for userid in shop.guides():
        shop.new_group(userid)
    push = shop.sent(channel="group")

    shop.people_confirm()
    shop.later(minutes=1)
    shop.follow_up(push)

    with brand_scope(shop.brand_id):
        rows = list(GroupDelivery.objects.filter(push=push).select_related("chat"))
    sent = [row["chat_id"] for row in shop.journal(kind="group")]
    assert len(sent) == len(set(sent)) > 1
    assert {row.chat.chat_id for row in rows if row.status == "delivered"} == set(sent)
    assert {row.status for row in rows} == {"delivered"}
    assert shop.again(push).status == Push.Status.DONE


def test_a_group_task_whose_answer_was_lost_is_found(shop: Shop):
    shop.new_group(shop.guides()[0])
    push = shop.planned(channel="group")
    shop.fault("add_msg_template", "reset_after")
    shop.send(push)
    shop.no_faults()

    shop.later(minutes=1)
    assert {shop.reconcile(batch) for batch in shop.batches(push)} == {"created"}

    shop.people_confirm()
    assert len(shop.journal(kind="group")) == len({row["chat_id"] for row in shop.journal(kind="group")}) > 0


def test_two_group_tasks_of_one_text_are_not_mixed_up(shop: Shop):
    guide = shop.guides()[0]
    shop.new_group(guide)
    said = [pushes.VariantDraft(shop.content("群里说一句", "group").pk)]
    first = shop.planned(channel="group", variants=said)
    second = shop.planned(channel="group", variants=said)
    shop.fault("add_msg_template", "reset_after", count=len(shop.batches(first)))
    shop.send(first)
    shop.no_faults()
    shop.fault("add_msg_template", "reset")
    shop.send(second)
    shop.no_faults()

    shop.later(minutes=16)

    mine = next(batch for batch in shop.batches(second) if batch.staff.userid == guide)
    assert shop.reconcile(mine) == "unknown", "the listed task may be the first push's"
