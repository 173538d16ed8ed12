"""People are merged, split and erased while a push is under way: it still writes to each person once, or not at all."""

import pytest

from campaigns.confirming import confirm
from campaigns.models import Batch, Delivery, Push
from campaigns.planning import plan
from contacts import merging
from contacts.merging import Wanted
from contacts.models import Contact
from contacts.personal_data import erasure
from tagging.segments import segments
from tenants.actors import SYSTEM
from tenants.scope import brand_scope
from tests.campaigns.shop import Shop

LADIES = {"all": [{"kind": "profile", "field": "gender", "op": "eq", "value": 2}]}


def merge(orchard, survivor, loser) -> int:
    with brand_scope(orchard.brand_id):
        [merge_id] = merging.merge(wanted=[Wanted(survivor.pk, loser.pk)], at=orchard.at)
    return merge_id


def erase(orchard, contact_id: int) -> None:
    with brand_scope(orchard.brand_id):
        name = erasure.name_to_type(Contact.objects.get(pk=contact_id))
        erasure.erase(contact_id=contact_id, typed_name=name, reason="本人要求", actor=SYSTEM, at=orchard.at)


def plan_until(orchard, push, stage: str, cursor: int = 0) -> None:
    """As a plan whose worker was killed left it."""
    with brand_scope(orchard.brand_id):
        now = plan._begin(push_id=push.pk, at=orchard.at)
    while now != stage or orchard.again(push).counts["cursor"] < cursor:
        assert now not in ("done", "stopped")
        with brand_scope(orchard.brand_id):
            now = plan._step(push_id=push.pk, at=orchard.at, size=2).stage


def row(orchard, push, contact) -> Delivery:
    with brand_scope(orchard.brand_id):
        return Delivery.objects.get(push=push, contact=contact)


def test_who_is_merged_behind_the_plan_still_gets_a_batch(orchard):
    (stranger,) = orchard.contacts(1, gender=1)
    people = orchard.contacts(4, gender=2)
    with brand_scope(orchard.brand_id):
        ladies = segments.save(name="女士", tree=LADIES, actor=SYSTEM, at=orchard.at)
    push = orchard.scheduled(segment_id=ladies.pk)
    plan_until(orchard, push, "batch", cursor=people[1].pk)
    merge(orchard, stranger, people[3])

    push = orchard.plan(push)

    assert push.status == Push.Status.SENDING
    moved = row(orchard, push, stranger)
    assert (moved.status, moved.external_userid) == ("planned", f"wm{people[3].pk}")
    assert moved.batch_id is not None


def test_who_is_split_off_after_the_plan_does_not_come_back_without_a_batch(orchard):
    anna, berta = orchard.contacts(2)
    push = orchard.scheduled()
    plan_until(orchard, push, "batch")
    merge_id = merge(orchard, anna, berta)
    push = orchard.plan(push)

    with brand_scope(orchard.brand_id):
        merging.split(merge_ids=[merge_id], reason="认错了", actor=SYSTEM, at=orchard.at)

    assert (row(orchard, push, berta).status, row(orchard, push, berta).reason) == ("suppressed", "merged")
    assert orchard.reservations(push) == {anna.pk: "reserved", berta.pk: "voided"}


def test_nobody_is_drawn_who_was_erased_or_merged_meanwhile(orchard):
    people = orchard.contacts(6)
    push = orchard.scheduled(max_recipients=5)
    plan_until(orchard, push, "choose")
    erase(orchard, people[0].pk)
    merge(orchard, people[1], people[2])

    push = orchard.plan(push)

    outcomes = orchard.outcomes(push)
    assert outcomes[people[0].pk] == "contact_gone"
    assert outcomes[people[2].pk] == "merged"
    assert {each.pk for each in people if outcomes[each.pk] == "planned"} == {people[1].pk, *(p.pk for p in people[3:])}
    assert set(orchard.reservations(push)) == {people[1].pk, *(p.pk for p in people[3:])}


@pytest.mark.parametrize("channel", ["single", "moments"])
def test_a_lost_answer_is_found_though_one_of_its_receivers_was_erased(shop: Shop, channel: str):
    push = shop.planned(channel=channel)
    batch = max(shop.batches(push), key=lambda each: each.size)
    path = "add_moment_task" if channel == "moments" else "add_msg_template"
    shop.fault(path, "reset_after", count=1)
    if channel == "moments":
        shop.advance(batch)
    else:
        shop.send_one(batch)
    shop.no_faults()
    (batch,) = shop.batches(push, pk=batch.pk)
    assert batch.status == Batch.Status.UNKNOWN
    with brand_scope(shop.brand_id):
        one_per_guide = dict(Delivery.objects.filter(batch=batch).values_list("staff_id", "contact_id"))
    for receiver in one_per_guide.values():
        erase(shop, receiver)

    shop.later(minutes=3)

    assert shop.reconcile(batch) == Batch.Status.CREATED
    assert shop.batches(push, pk=batch.pk)[0].msgid


def test_a_plan_that_fails_half_way_gives_back_what_it_reserved(orchard):
    people = orchard.contacts(5)
    push = orchard.scheduled()
    plan_until(orchard, push, "decide", cursor=people[2].pk)
    with brand_scope(orchard.brand_id):  # a condition that a newer version of the house does not know
        Push.objects.filter(pk=push.pk).update(segment_tree={"all": [{"kind": "horoscope"}]})
    assert "reserved" in orchard.reservations(push).values()

    push = orchard.plan(push)
    assert push.status == Push.Status.FAILED
    confirm.wind_up(brand_id=orchard.brand_id, push_id=push.pk, at=orchard.at)

    assert set(orchard.reservations(push).values()) == {"voided"}
    assert set(orchard.outcomes(push).values()) == {"cancelled"}
    assert orchard.again(push).done_at == orchard.at
    assert orchard.again(push).status == Push.Status.FAILED
