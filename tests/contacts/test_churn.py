"""Lost friendships, counted by week, source, guide, last touch and age."""

from datetime import timedelta

import pytest

from contacts import churn
from contacts.models import Follow
from events import log
from tenants.scope import brand_scope
from tests.cast import NOON

DAY = timedelta(days=1)
SPAN = {"start": NOON - 60 * DAY, "end": NOON}


@pytest.fixture
def orchard(cast):
    """Five friendships: (began days ago, ended after so many days, by whom, source)."""
    for began, lasted, by, state in [
        (40, 2, "contact", "shop"),
        (40, 20, "staff", "shop"),
        (39, 3, "transfer", "parcel"),
        (30, None, "", "parcel"),
        (3, 1, "contact", "shop"),
    ]:
        contact = cast.contact(f"{began}-{lasted}", at=NOON - began * DAY)
        with brand_scope(cast.brand.id):
            lost_at = None if lasted is None else NOON - began * DAY + lasted * DAY + timedelta(hours=1)
            Follow.objects.filter(contact=contact).update(state=state, lost_at=lost_at, lost_by=by)
            if (began, lasted) == (40, 2):
                touch = log.NewEvent("message_delivered", lost_at - DAY, contact_id=contact.pk)
                late = log.NewEvent("welcome_sent", lost_at + DAY, contact_id=contact.pk)
                log.write([touch, late], at=NOON)
    return cast


def test_loss_within_days_is_of_those_whose_days_are_over(orchard):
    with brand_scope(orchard.brand.id):
        week, month = (churn.loss(**SPAN, days=days, at=NOON) for days in (7, 30))
        # The three-day-old friendship ended, but its seven days are not over; the handed-on one is not lost.
        assert (week.created, week.lost, week.rate) == (4, 1, 0.25)
        assert (month.created, month.lost) == (4, 2)
        found = {share.label: (share.created, share.lost) for share in churn.by_source(**SPAN, days=30, at=NOON)}
        assert found == {"shop": (2, 2), "parcel": (2, 0)}
        ((guide),) = churn.by_guide(**SPAN, days=30, at=NOON)
        assert (guide.label, guide.created, guide.lost) == ("小林", 4, 2)


def test_weeks_and_last_touches(orchard):
    with brand_scope(orchard.brand.id):
        weeks = churn.by_week(**SPAN, zone="Asia/Shanghai")
        assert (sum(w.created for w in weeks), sum(w.by_contact for w in weeks), sum(w.by_staff for w in weeks)) == (
            5,
            2,
            1,
        )
        assert all(week.monday.weekday() == 0 for week in weeks)
        assert churn.by_last_touch(**SPAN) == [("", 2), ("message_delivered", 1)]


def test_hazard_counts_only_who_could_be_watched(orchard):
    with brand_scope(orchard.brand.id):
        days = {each.day: (each.alive, each.lost) for each in churn.hazard(**SPAN, at=NOON, days=31)}
    assert days[0] == (5, 0)
    assert days[1] == (5, 1)  # the young one ended on its second day
    assert days[2] == (4, 1)
    assert days[3] == (2, 0)  # the handed-on one left on this day without being lost
    assert days[20] == (2, 1)
    assert days[29] == (1, 0)
    assert days[30] == (0, 0)  # thirty days old: day 30 is not over
