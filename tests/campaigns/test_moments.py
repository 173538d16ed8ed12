"""Moments, end to end: aimed by a tag on the chosen pair, made by a job, published by guides, seen once."""

from collections import Counter

import pytest

from campaigns.confirming import confirm
from campaigns.models import Batch, Delivery, Push
from campaigns.moments import moments
from campaigns.pushes import pushes
from tenants.actors import SYSTEM
from tenants.scope import brand_scope
from tests.campaigns.shop import Shop

UNKNOWN, PENDING, CREATED, FINAL = "unknown", "pending", "created", "final"


def batch_of(shop: Shop, push: Push) -> Batch:
    (batch,) = shop.batches(push)
    return batch


def made(shop: Shop, **fields: object) -> Push:
    """A Moments push that waits for its guides."""
    push = shop.sent(channel="moments", **fields)
    shop.advance(batch_of(shop, push))  # the job is done at once
    return push


def marked(shop: Shop, tag_id: str) -> set[tuple[str, str]]:
    """(guide, customer) pairs that carry a tag in WeCom."""
    people = shop.simulator.get(f"/_sim/corps/{shop.corpid}/people", limit=5000)["items"]
    return {
        (follow["userid"], person["external_userid"])
        for person in people
        for follow in person["follows"]
        if tag_id in follow["tags"]
    }


def tags(shop: Shop) -> list[str]:
    return [tag.name for group in shop.wecom.corp_tags() if group.name == moments.TAG_GROUP for tag in group.tags]


def test_a_post_reaches_each_customer_once(shop: Shop):
    push = made(shop)
    batch = batch_of(shop, push)
    assert (batch.status, bool(batch.msgid)) == (CREATED, True)

    shop.people_confirm()
    shop.later(minutes=1)
    shop.follow_up(push)

    followed_twice = [
        person
        for person in shop.simulator.get(f"/_sim/corps/{shop.corpid}/people", limit=5000)["items"]
        if len(person["follows"]) > 1
    ]
    assert followed_twice
    assert shop.received("moment") == dict.fromkeys(shop.reachable(push), 1)
    assert shop.tally(push)["delivered"] == len(shop.received("moment"))
    assert len(shop.events("message_delivered")) == len(shop.received("moment"))


def test_only_the_chosen_guides_pair_is_marked(shop: Shop):
    push = made(shop)

    chosen = {(row.staff.userid, row.external_userid) for row in shop.deliveries(push) if row.batch_id and row.staff}
    assert marked(shop, batch_of(shop, push).tag_id) == chosen


def test_each_variant_is_seen_by_its_own_customers(shop: Shop):
    ladies = {"kind": "profile", "field": "gender", "op": "eq", "value": 2}
    said = [
        pushes.VariantDraft(shop.content("婴童上新", "moments").pk, ladies),
        pushes.VariantDraft(shop.content("家纺上新", "moments").pk),
    ]
    push = shop.sent(channel="moments", variants=said)
    for batch in shop.batches(push):
        shop.advance(batch)
    shop.people_confirm()
    shop.follow_up(push)

    with brand_scope(shop.brand_id):
        wanted = dict(Delivery.objects.filter(push=push).values_list("external_userid", "variant__content__text"))
    assert {row["external_userid"]: row["text"] for row in shop.journal(kind="moment")} == {
        who: wanted[who] for who in shop.reachable(push)
    }
    assert set(shop.received("moment").values()) == {1}


def test_the_tag_goes_when_everybody_has_seen_it(shop: Shop):
    push = made(shop)
    reachable = shop.reachable(push)
    assert tags(shop)
    with brand_scope(shop.brand_id):  # but for those who deleted their guide, and never will
        never = Delivery.objects.filter(push=push).exclude(external_userid__in=reachable)
        never.update(status="failed", reason="contact_gone")

    shop.people_confirm()
    shop.follow_up(push)

    assert batch_of(shop, push).status == FINAL
    assert shop.again(push).status == Push.Status.DONE
    assert tags(shop) == []


def test_marking_stops_and_goes_on_where_it_was(shop: Shop, monkeypatch):
    monkeypatch.setattr(moments, "PAIRS_A_TURN", 10)
    push = shop.planned(channel="moments")
    shop.fault("mark_tag", "errcode", errcode=45009, count=1)
    shop.fault("mark_tag", "errcode", errcode=84061, count=1)
    shop.advance(batch_of(shop, push))
    halted = batch_of(shop, push)
    assert (halted.status, halted.tagged_at, halted.error_code) == (PENDING, None, "wecom.throttled")
    shop.no_faults()
    shop.unblock()

    shop.advance(halted)
    shop.advance(batch_of(shop, push))
    shop.people_confirm()

    assert batch_of(shop, push).status == CREATED
    assert shop.tally(push)["contact_gone"] <= 1
    assert set(shop.received("moment").values()) == {1}


def test_a_friendship_that_ended_does_not_stop_the_others(shop: Shop):
    push = shop.planned(channel="moments")
    shop.fault("mark_tag", "errcode", errcode=84061, count=1)

    shop.send(push)

    assert shop.tally(push)["contact_gone"] == 1
    assert shop.ledger(push)["voided"] == 1
    assert len(shop.events("message_failed")) == 1


def test_a_tag_deleted_in_wecom_is_made_again(shop: Shop):
    push = shop.planned(channel="moments")
    batch = batch_of(shop, push)
    moments.advance(brand_id=shop.brand_id, batch_id=batch.pk, wecom=shop.wecom, at=shop.at)
    shop.wecom.delete_corp_tags(tag_ids=[batch_of(shop, push).tag_id])

    for _turn in range(3):
        shop.advance(batch)
    shop.people_confirm()

    assert set(shop.received("moment")) == shop.reachable(push)
    assert shop.tally(push)["contact_gone"] == 0


def test_a_tag_whose_answer_was_lost_is_not_made_twice(shop: Shop):
    push = shop.planned(channel="moments")
    shop.fault("add_corp_tag", "reset_after", count=1)
    shop.send(push)
    assert batch_of(shop, push).tag_id == ""

    shop.send(push)

    assert len(tags(shop)) == 1
    assert batch_of(shop, push).tagged_at


def test_a_job_whose_answer_was_lost_is_found_among_the_moments(shop: Shop):
    push = shop.planned(channel="moments")
    shop.fault("add_moment_task", "reset_after", count=1)
    shop.send(push)
    assert batch_of(shop, push).status == UNKNOWN
    shop.people_confirm()

    shop.later(minutes=1)
    assert shop.reconcile(batch_of(shop, push)) == CREATED
    shop.follow_up(push)

    assert shop.received("moment") == dict.fromkeys(shop.reachable(push), 1)
    assert shop.tally(push)["delivered"] == len(shop.received("moment"))


def test_a_job_that_never_began_is_offered_again_by_the_same_rule(shop: Shop):
    push = shop.planned(channel="moments")
    shop.fault("add_moment_task", "reset", count=1)
    shop.send(push)

    shop.later(minutes=14)
    assert shop.reconcile(batch_of(shop, push)) == UNKNOWN
    shop.later(minutes=1)
    assert shop.reconcile(batch_of(shop, push)) == UNKNOWN
    shop.later(minutes=1)
    assert shop.reconcile(batch_of(shop, push)) == PENDING
    shop.send(push)
    shop.advance(batch_of(shop, push))
    shop.people_confirm()

    assert shop.received("moment") == dict.fromkeys(shop.reachable(push), 1)


def test_a_long_job_is_not_taken_for_a_dead_worker(shop: Shop):
    shop.simulator.post("/_sim/switches", {"moment_job_seconds": 3600.0})
    push = shop.sent(channel="moments")

    shop.later(minutes=10)

    assert shop.reconcile(batch_of(shop, push)) == ""
    assert batch_of(shop, push).status == "claimed"
    shop.simulator.act("settle")
    shop.advance(batch_of(shop, push))
    assert batch_of(shop, push).status == CREATED


def test_a_job_that_wecom_refuses_fails_the_push(shop: Shop):
    push = shop.sent(channel="moments")
    shop.fault("get_moment_task_result", "errcode", errcode=40058)
    shop.advance(batch_of(shop, push))
    # The job is forgotten: what it made is looked for, and found.
    shop.no_faults()
    assert batch_of(shop, push).status == UNKNOWN
    assert shop.reconcile(batch_of(shop, push)) == CREATED


def test_likes_and_comments_are_events_even_after_the_last_has_seen_it(shop: Shop):
    shop.simulator.post("/_sim/switches", {"like_rate": 1.0, "comment_rate": 0.0})
    push = made(shop)
    shop.people_confirm()
    shop.follow_up(push)
    shop.simulator.act("settle")

    for _look in range(2):
        shop.later(hours=1)
        shop.follow_up(push)

    assert Counter(who for who, _props in shop.events("moment_liked")) == dict.fromkeys(
        {row.contact_id for row in shop.deliveries(push) if row.status == "delivered"}, 1
    )


@pytest.mark.parametrize("published", [True, False])
def test_a_cancelled_post_stays_where_it_was_published(shop: Shop, published: bool):
    push = made(shop)
    first = shop.guides()[0]
    if published:
        shop.simulator.act("confirm", userid=first, moment_id=batch_of(shop, push).msgid)
    with brand_scope(shop.brand_id):
        pushes.cancel(push_id=push.pk, actor=SYSTEM, at=shop.at)

    assert not confirm.wind_up(brand_id=shop.brand_id, push_id=push.pk, at=shop.at)
    shop.follow_up(push)
    assert confirm.wind_up(brand_id=shop.brand_id, push_id=push.pk, at=shop.at)
    shop.people_confirm()

    assert {row["sender"] for row in shop.journal(kind="moment")} == ({first} if published else set())
    assert shop.tally(push)["delivered"] == len(shop.received("moment"))
    assert shop.ledger(push)["reserved"] == 0
    assert tags(shop) == []
