"""A push knew a person as two contacts: the earlier exposed assignment counts, and caps add up."""

from datetime import UTC, datetime, timedelta

import pytest

from campaigns.budget import limits
from campaigns.dispatch import results
from campaigns.experiments.one_person import Assigned, of_one_person
from campaigns.models import Batch, Delivery, Reservation
from console import outcomes
from contacts import merging
from contacts.merging import Wanted
from events.models import Event
from tenants.actors import SYSTEM
from tenants.scope import brand_scope

NINE = datetime(2026, 11, 20, 1, tzinfo=UTC)
TEN = NINE + timedelta(hours=1)


@pytest.mark.parametrize(
    ("own", "other", "swapped", "once", "left_out", "other_left_out"),
    [
        # own (status, variant, exposed), other; does the other's count, is one not sent, left out
        (("delivered", 1, NINE), ("holdout", 1, None), False, False, "contaminated", "duplicate"),
        (("holdout", 1, None), ("delivered", 1, NINE), True, False, "contaminated", "duplicate"),
        (("delivered", 1, TEN), ("delivered", 2, NINE), True, False, "contaminated", "duplicate"),
        (("delivered", 1, NINE), ("delivered", 1, TEN), False, False, "", "duplicate"),
        (("holdout", 1, None), ("unconfirmed", 1, None), False, False, "contaminated", "duplicate"),
        (("delivered", 1, NINE), ("planned", 2, None), False, True, "", "duplicate"),
        (("planned", 1, None), ("created", 2, NINE), True, True, "", "duplicate"),
        (("planned", 1, None), ("planned", 2, None), False, True, "", "duplicate"),
        (("holdout", 1, None), ("planned", 1, None), False, True, "", "duplicate"),
        (("planned", 1, None), ("holdout", 1, None), False, False, "", "duplicate"),
        (("failed", 1, None), ("planned", 1, None), True, False, "", "duplicate"),
        (("suppressed", 1, None), ("delivered", 1, NINE), True, False, "", ""),
        (("delivered", 1, NINE), ("suppressed", 1, None), False, False, "", ""),
    ],
)
def test_whose_assignment_counts(own, other, swapped, once, left_out, other_left_out):
    verdict = of_one_person(Assigned(*own), Assigned(*other))

    assert (verdict.swapped, verdict.once, verdict.left_out, verdict.other_left_out) == (
        swapped,
        once,
        left_out,
        other_left_out,
    )


def test_who_was_contaminated_stays_so():
    assert of_one_person(Assigned("delivered", 1, NINE, "contaminated"), Assigned("suppressed", 1, None)).left_out


@pytest.fixture
def push(orchard):
    """Planned for six people; half of them control group or so, the rest handed to their guide."""
    push = orchard.planned(holdout_percent=0) if orchard.contacts(6) else None
    with brand_scope(orchard.brand_id):
        Batch.objects.filter(push=push).update(status="created", created_at=orchard.at)
        Delivery.objects.filter(push=push).update(status="created")
    return push


def rows(push):
    return list(Delivery.objects.filter(push=push).order_by("contact_id"))


def merge(survivor, loser, at):
    [merge_id] = merging.merge(wanted=[Wanted(survivor, loser)], at=at)
    return merge_id


def test_the_result_counts_a_mixed_person_in_no_group_and_a_split_takes_that_back(orchard, push):
    with brand_scope(orchard.brand_id):
        one, other, control, *_rest = (row.contact_id for row in rows(push))
        Delivery.objects.filter(push=push, contact_id=control).update(status="holdout", batch=None)
        Reservation.objects.filter(push=push, contact_id=control).delete()
        Delivery.objects.filter(push=push, contact_id__in=[one, other]).update(
            status="delivered", delivered_at=orchard.at
        )
        before = list(Delivery.objects.filter(push=push).order_by("contact_id").values())
        held = list(Reservation.objects.filter(push=push).order_by("contact_id").values())

        merge_id = merge(control, one, orchard.at)
        shown, after = outcomes.outcome(push), outcomes.after(push)
        listed, _more = outcomes.people(push, status="contaminated", reason=None, before=None)
        assert (shown.holdout, shown.contaminated, after.of) == (0, 1, 1)
        assert [(row.contact_id, row.status) for row in listed] == [(control, "delivered")]
        assert outcomes.people(push, status="holdout", reason=None, before=None) == ([], None)

        merging.split(merge_ids=[merge_id], actor=SYSTEM, at=orchard.at)
        shown, after = outcomes.outcome(push), outcomes.after(push)
        assert (shown.holdout, shown.contaminated, after.of) == (1, 0, 2)
        assert list(Delivery.objects.filter(push=push).order_by("contact_id").values()) == before
        assert list(Reservation.objects.filter(push=push).order_by("contact_id").values()) == held


def test_caps_add_up(orchard, push):
    with brand_scope(orchard.brand_id):
        one, other, third, *_rest = (row.contact_id for row in rows(push))
        limits.set_cap(channel="single", cap=2, window_days=7, actor=SYSTEM, at=orchard.at)
        merge_id = merge(one, other, orchard.at)

    second = orchard.planned()
    assert orchard.outcomes(second)[one] == "already_reserved"
    assert orchard.outcomes(second)[third] == "planned"

    with brand_scope(orchard.brand_id):
        merging.split(merge_ids=[merge_id], actor=SYSTEM, at=orchard.at)
    assert orchard.outcomes(orchard.planned())[other] == "planned"


def test_what_reaches_the_other_contact_later_is_the_persons_news(orchard, push):
    with brand_scope(orchard.brand_id):
        one, other, *_rest = (row.contact_id for row in rows(push))
        merge(one, other, orchard.at)
        batch = Batch.objects.filter(push=push).first()
        Delivery.objects.filter(push=push, contact_id__in=[one, other]).update(
            status="delivered", delivered_at=orchard.at, updated_at=orchard.at
        )
        results.settle(batch=batch, at=orchard.at)

        told = Event.objects.filter(type="message_delivered").values_list("contact_id", flat=True)
        assert list(told) == [one, one]
