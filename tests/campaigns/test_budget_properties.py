"""Whatever a contact has been sent, the plan's decision is the one that counting by hand gives."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from campaigns.budget import limits
from campaigns.models import Push, Reservation
from tenants.actors import SYSTEM
from tenants.scope import brand_scope
from tests.campaigns.orchard import Orchard
from tests.cast import Cast
from wecom.models import Corp, QuotaMode

STATUS, CHANNEL = st.sampled_from(["posted", "reserved", "voided"]), st.sampled_from(["single", "moments"])
TOUCH = st.tuples(st.integers(0, 25), STATUS, CHANNEL)
CAP = st.none() | st.tuples(st.integers(1, 4), st.integers(1, 14))


def by_hand(touches, mode, cap, day):
    """Allowed or not, and whether what stands in the way has been delivered."""
    counted = [
        (day if status == "reserved" else day - timedelta(days=ago), status == "posted")
        for ago, status, channel in touches
        if status != "voided" and channel == "single"
    ]
    quota = limits.quota_on(mode, day)
    in_quota = [posted for when, posted in counted if quota.first <= when <= quota.last]
    in_cap = [posted for when, posted in counted if cap and (day - when).days < cap[1]]
    if sum(in_quota) >= quota.limit:
        return str(quota.reason)
    if cap and sum(in_cap) >= cap[0]:
        return "brand_cap"
    if len(in_quota) >= quota.limit or (cap and len(in_cap) >= cap[0]):
        return "already_reserved"
    return "planned"


class TestTheDecision(TestCase):
    @settings(max_examples=60, deadline=None)
    @given(touches=st.lists(TOUCH, max_size=8), mode=st.sampled_from(QuotaMode.values), cap=CAP)
    def test_is_the_one_counted_by_hand(self, touches, mode, cap):
        orchard = Orchard(Cast.make())
        day = limits.brand_day(brand_id=orchard.brand_id, at=orchard.at)
        (contact,) = orchard.contacts(1)
        with brand_scope(orchard.brand_id):
            Corp.objects.update(quota_mode=mode)
            if cap:
                limits.set_cap(channel="single", cap=cap[0], window_days=cap[1], actor=SYSTEM, at=orchard.at)
            for ago, status, channel in touches:
                earlier = Push.objects.create(name="earlier", channel=channel, status="done", created_at=orchard.at)
                Reservation.objects.create(
                    brand_id=orchard.brand_id,
                    push=earlier,
                    contact=contact,
                    corp=orchard.cast.corp,
                    channel=channel,
                    day=day - timedelta(days=ago),
                    status=status,
                    made_at=orchard.at,
                )
        push = orchard.scheduled()

        told = orchard.forecast(push)
        (outcome,) = orchard.outcomes(orchard.plan(push)).values()

        assert outcome == by_hand(touches, mode, cap, day)
        assert (told.planned == 1) == (outcome == "planned")
