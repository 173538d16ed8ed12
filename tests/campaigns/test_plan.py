"""A plan decides for everybody in the audience: from whom, which variant, or why not."""

from collections import Counter
from datetime import timedelta

import pytest

from campaigns.budget import ledger, limits
from campaigns.models import Batch, BudgetPolicy, Delivery, Push, Reservation
from campaigns.planning import audience, choose, plan
from campaigns.planning.forecast import minutes_for
from campaigns.pushes import pushes
from contacts.models import Contact, Follow, Staff
from tagging.models import Segment
from tenants.actors import SYSTEM
from tenants.scope import brand_scope
from wecom.models import Corp

LADIES = {"kind": "profile", "field": "gender", "op": "eq", "value": 2}
GENTLEMEN = {"kind": "profile", "field": "gender", "op": "eq", "value": 1}


def variants(orchard, *pairs):
    return [pushes.VariantDraft(orchard.content(text).pk, condition) for text, condition in pairs]


def rows(orchard, push, **filters):
    with brand_scope(orchard.brand_id):
        return list(Delivery.objects.filter(push=push, **filters).select_related("batch", "variant__content", "staff"))


def test_everybody_is_planned_reserved_and_in_a_batch(orchard):
    people = orchard.contacts(3)

    push = orchard.planned()

    assert push.status == Push.Status.SENDING
    assert {key: push.counts[key] for key in ("selected", "reachable", "planned", "holdout", "suppressed")} == {
        "selected": 3,
        "reachable": 3,
        "planned": 3,
        "holdout": 0,
        "suppressed": {},
    }
    planned = rows(orchard, push)
    assert {row.contact_id for row in planned} == {person.id for person in people}
    assert {(row.staff.userid, row.external_userid == f"wm{row.contact_id}") for row in planned} == {("bob", True)}
    assert len({row.batch_id for row in planned}) == 1
    assert planned[0].batch.size == 3
    assert planned[0].batch.status == Batch.Status.PENDING
    assert planned[0].batch.due_at == orchard.at
    assert set(orchard.reservations(push).values()) == {"reserved"}


def test_who_cannot_be_written_to_is_suppressed_with_the_reason(orchard):
    lost, of_nobody, of_leaver, of_clerk = orchard.contacts(4)
    gone = orchard.guide("gone", left_at=orchard.at)
    clerk = orchard.guide("clerk", is_guide=False)
    with brand_scope(orchard.brand_id):
        Follow.objects.filter(contact=lost).update(lost_at=orchard.at)
        Follow.objects.filter(contact=of_nobody).delete()
        Follow.objects.filter(contact=of_leaver).update(staff=gone)
        Follow.objects.filter(contact=of_clerk).update(staff=clerk)
    orchard.contacts(1)

    push = orchard.planned()

    assert Counter(orchard.outcomes(push).values()) == {"not_friend": 2, "no_guide": 2, "planned": 1}
    assert push.counts["suppressed"] == {"not_friend": 2, "no_guide": 2}
    assert push.counts["reachable"] == 1


def test_friends_of_another_corp_are_not_written_to_from_this_one(orchard):
    with brand_scope(orchard.brand_id):
        second = Corp.objects.create(corpid="ww-second", name="二号")
        elsewhere = Staff.objects.create(corp=second, userid="li", is_guide=True)
    (only_there,) = orchard.contacts(1, elsewhere)
    orchard.contacts(1)

    push = orchard.planned(corp_id=orchard.cast.corp.pk)

    assert orchard.outcomes(push)[only_there.id] == "not_friend"
    assert push.counts["planned"] == 1


@pytest.mark.parametrize(
    ("_case", "bob_fields", "wang_fields", "sender"),
    [
        ("last to talk", {"last_interacted_at": 1}, {"last_interacted_at": 2}, "wang"),
        ("talked before never talked", {"last_interacted_at": 1}, {"added_at": 9}, "bob"),
        ("last to befriend", {"added_at": 1}, {"added_at": 2}, "wang"),
        ("all the same: first hired", {}, {}, "bob"),
        ("lost ones never", {}, {"last_interacted_at": 5, "lost_at": 6}, "bob"),
    ],
)
def test_the_sender_is_the_guide_who_talked_last(orchard, _case, bob_fields, wang_fields, sender):
    wang = orchard.guide("wang")
    (contact,) = orchard.contacts(1)
    with brand_scope(orchard.brand_id):
        Follow.objects.filter(contact=contact).delete()

    def moments(fields):
        return {"added_at": orchard.at, **{name: orchard.at + timedelta(days=days) for name, days in fields.items()}}

    orchard.follow(contact, orchard.cast.bob, **moments(bob_fields))
    orchard.follow(contact, wang, **moments(wang_fields))

    push = orchard.planned()

    assert [row.staff.userid for row in rows(orchard, push)] == [sender]


def test_the_first_variant_that_matches_wins_and_who_matches_none_is_suppressed(orchard):
    orchard.contacts(2, gender=2)
    orchard.contacts(3, gender=1)
    orchard.contacts(4, gender=0)

    push = orchard.planned(variants=variants(orchard, ("给她", LADIES), ("给他或她", {"any": [LADIES, GENTLEMEN]})))

    assert Counter(row.variant.content.text if row.variant else None for row in rows(orchard, push)) == {
        "给她": 2,
        "给他或她": 3,
        None: 4,
    }
    assert push.counts["suppressed"] == {"no_variant": 4}
    with brand_scope(orchard.brand_id):
        assert sorted(Batch.objects.filter(push=push).values_list("size", flat=True)) == [2, 3]


def test_a_segment_narrows_the_audience_and_its_tree_is_kept_with_the_push(orchard):
    orchard.contacts(2, gender=2)
    orchard.contacts(3, gender=1)
    with brand_scope(orchard.brand_id):
        segment = Segment.objects.create(name="她们", tree=LADIES, created_at=orchard.at, updated_at=orchard.at)

    push = orchard.planned(segment_id=segment.pk)

    assert push.counts["selected"] == push.counts["planned"] == 2
    assert push.segment_tree == LADIES


def test_planning_again_changes_nothing(orchard):
    orchard.contacts(3)
    push = orchard.planned()
    before = [(row.contact_id, row.status, row.batch_id) for row in rows(orchard, push)]

    orchard.contacts(2)
    orchard.plan(push, at=orchard.at + timedelta(minutes=5))

    assert [(row.contact_id, row.status, row.batch_id) for row in rows(orchard, push)] == before


def test_a_plan_that_was_cut_short_goes_on_where_it_was(orchard, monkeypatch):
    people = orchard.contacts(7)
    push = orchard.scheduled()
    monkeypatch.setattr(plan, "FIRST_RANGE", 2)
    monkeypatch.setattr(plan, "LARGEST_RANGE", 2)
    with brand_scope(orchard.brand_id):
        plan._begin(push_id=push.pk, at=orchard.at)
    for _half in range(2):
        with brand_scope(orchard.brand_id):
            plan._step(push_id=push.pk, at=orchard.at, size=2)
    assert len(orchard.outcomes(push)) == 4

    push = orchard.plan(push)

    assert orchard.outcomes(push) == {person.id: "planned" for person in people}
    with brand_scope(orchard.brand_id):
        assert [(row.size, row.seq) for row in Batch.objects.filter(push=push)] == [(7, 0)]


def test_a_guide_with_more_contacts_than_a_call_may_name_gets_several_batches(orchard, monkeypatch):
    people = orchard.contacts(7)
    monkeypatch.setitem(audience.TARGETS, "single", audience.Target("campaigns_delivery", "contact_id", 3))
    monkeypatch.setattr(plan, "FIRST_RANGE", 2)
    monkeypatch.setattr(plan, "LARGEST_RANGE", 2)

    push = orchard.planned()

    with brand_scope(orchard.brand_id):
        sizes = {batch.pk: batch.size for batch in Batch.objects.filter(push=push)}
    assert sorted(sizes.values()) == [1, 3, 3]
    assert Counter(row.batch_id for row in rows(orchard, push)) == sizes
    assert len(rows(orchard, push)) == len(people)


def test_the_control_group_is_held_out_without_a_reservation(orchard):
    people = orchard.contacts(60)

    push = orchard.planned(holdout_percent=50)

    outcomes = Counter(orchard.outcomes(push).values())
    assert outcomes["planned"] + outcomes["holdout"] == len(people)
    assert 10 < outcomes["holdout"] < 50
    assert len(orchard.reservations(push)) == outcomes["planned"]


def test_a_maximum_is_drawn_from_those_who_could_be_written_to(orchard, monkeypatch):
    monkeypatch.setattr(choose, "AT_ONCE", 4)
    people = orchard.contacts(30)
    with brand_scope(orchard.brand_id):
        Follow.objects.filter(contact__in=people[:10]).update(lost_at=orchard.at)

    push = orchard.planned(max_recipients=10)

    assert Counter(orchard.outcomes(push).values()) == {"planned": 10, "over_max": 10, "not_friend": 10}
    chosen = {key for key, outcome in orchard.outcomes(push).items() if outcome == "planned"}
    assert chosen != {person.id for person in people[10:20]}, "a draw, not the oldest"
    assert set(orchard.reservations(push)) == chosen
    with brand_scope(orchard.brand_id):
        assert Batch.objects.get(push=push).size == 10


def test_an_empty_audience_fails_the_push_with_the_reasons(orchard):
    orchard.contacts(2)
    with brand_scope(orchard.brand_id):
        Follow.objects.update(lost_at=orchard.at)

    push = orchard.planned()

    assert push.status == Push.Status.FAILED
    assert "无好友 2" in push.error
    with brand_scope(orchard.brand_id):
        assert not Batch.objects.filter(push=push).exists()
        assert not Reservation.objects.filter(push=push).exists()


def test_a_cancelled_push_is_not_planned_further(orchard):
    orchard.contacts(2)
    push = orchard.scheduled()
    with brand_scope(orchard.brand_id):
        pushes.cancel(push_id=push.pk, actor=SYSTEM, at=orchard.at)

    assert orchard.plan(push).status == Push.Status.CANCELLED
    assert orchard.outcomes(push) == {}


def test_moments_make_one_batch_a_variant_without_a_guide(orchard):
    wang = orchard.guide("wang")
    orchard.contacts(2, gender=2)
    orchard.contacts(3, wang, gender=2)
    orchard.contacts(1, wang, gender=1)
    said = [
        pushes.VariantDraft(orchard.content("婴童", "moments").pk, LADIES),
        pushes.VariantDraft(orchard.content("家纺", "moments").pk, GENTLEMEN),
    ]

    push = orchard.planned(channel="moments", variants=said)

    with brand_scope(orchard.brand_id):
        assert sorted(Batch.objects.filter(push=push).values_list("size", "staff")) == [(1, None), (5, None)]
        pairs = Counter(Delivery.objects.filter(push=push).values_list("staff__userid", "batch__size"))
    assert pairs == {("bob", 5): 2, ("wang", 5): 3, ("wang", 1): 1}


def test_other_brands_contacts_are_never_in_it(orchard):
    with brand_scope(orchard.cast.other.id):
        stranger = Contact.objects.create(name="别家的", created_at=orchard.at)
    orchard.contacts(1)

    push = orchard.planned()

    assert stranger.id not in orchard.outcomes(push)
    assert push.counts["selected"] == 1


def test_the_dry_run_says_what_the_plan_then_does_and_writes_nothing(orchard):
    wang = orchard.guide("wang")
    orchard.contacts(20, gender=2)
    orchard.contacts(15, wang, gender=1)
    orchard.contacts(5, gender=0)
    lost = orchard.contacts(4, gender=2)
    with brand_scope(orchard.brand_id):
        Follow.objects.filter(contact__in=lost).update(lost_at=orchard.at)
        limits.set_cap(channel="single", cap=1, actor=SYSTEM, at=orchard.at)
    first = orchard.planned(max_recipients=6, variants=variants(orchard, ("给她", LADIES)))
    orchard.deliver(first, at=orchard.at)
    with brand_scope(orchard.brand_id):
        ledger.settle(push_id=first.pk, at=orchard.at)
    push = orchard.scheduled(
        holdout_percent=20, max_recipients=18, variants=variants(orchard, ("给她", LADIES), ("给他", GENTLEMEN))
    )

    told = orchard.forecast(push)

    assert orchard.outcomes(push) == {}
    assert orchard.again(push).status == Push.Status.SCHEDULED
    done = orchard.plan(push)
    assert (told.selected, told.reachable, told.planned, told.holdout) == tuple(
        done.counts[key] for key in ("selected", "reachable", "planned", "holdout")
    )
    assert dict(told.suppressed) == done.counts["suppressed"]
    assert told.suppressed["brand_cap"] == 6
    assert told.planned == 18
    assert told.batches == done.counts["batches"]
    by_variant = Counter(row.variant_id for row in rows(orchard, done, status="planned"))
    assert {row.variant_id: row.planned for row in told.per_variant} == by_variant
    by_guide = Counter(row.staff_id for row in rows(orchard, done, status="planned"))
    assert {load.staff_id: load.count for load in told.per_guide.heaviest} == by_guide
    assert told.per_guide.max == max(by_guide.values())
    assert {one.key for one in told.sample} == {row.contact_id for row in rows(orchard, done, status="planned")}
    assert {one.text for one in told.sample} == {"给她", "给他"}


@pytest.mark.parametrize(
    ("calls", "minutes"), [(0, 0), (1, 1), (10_000, 1), (10_001, 2), (150_000, 15), (150_001, 61), (300_000, 75)]
)
def test_marking_moments_takes_the_minutes_that_wecom_allows(calls, minutes):
    assert minutes_for(calls) == minutes


def test_a_dry_run_of_moments_counts_a_call_for_each_recipient(orchard):
    orchard.contacts(3)

    told = orchard.forecast(orchard.push(channel="moments"))

    assert (told.mark_tag_calls, told.minutes, told.batches) == (3, 1, 1)


def test_without_a_cap_the_brand_sets_no_limit(orchard):
    orchard.contacts(1)
    with brand_scope(orchard.brand_id):
        assert not BudgetPolicy.objects.exists()

    for _n in range(3):
        assert orchard.planned().counts["planned"] == 1
