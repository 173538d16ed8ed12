"""An SOP that begins when a contact comes into a dynamic segment, and not before."""

from datetime import timedelta

import pytest

from campaigns.sop import sop
from events import log, reactors
from events.log import NewEvent
from events.models import ReactorCursor
from tagging.segments import due, memberships, segments
from tenants.actors import SYSTEM
from tenants.scope import brand_scope
from tests.campaigns.test_sop import Flow

SHARED = {"kind": "event_recency", "event": "share", "op": "within", "days": 7}


def read(orchard, reactor):
    with brand_scope(orchard.brand_id):
        ReactorCursor.objects.filter(reactor=reactor).delete()
    reactors.react(brand_id=orchard.brand_id, reactor=reactor, at=orchard.at, horizon=2**62)


def shares(orchard, contact):
    with brand_scope(orchard.brand_id):
        log.write([NewEvent("share", orchard.at, contact_id=contact.pk, source="api")], at=orchard.at)


@pytest.fixture
def segment_id(orchard):
    with brand_scope(orchard.brand_id):
        made = segments.save(name="分享过", tree=SHARED, actor=SYSTEM, at=orchard.at)
        memberships.set_mode(segment_id=made.pk, mode="dynamic", actor=SYSTEM, at=orchard.at)
    return made.pk


def test_who_comes_into_the_segment_is_enrolled_but_not_who_was_in(orchard, segment_id):
    was_in, comes, stays_out = orchard.contacts(3)
    shares(orchard, was_in)
    while due.work(brand_id=orchard.brand_id, at=orchard.at + timedelta(seconds=1), horizon=2**62):
        pass
    flow = Flow(orchard, trigger={"event": "segment_entered", "where": {"segment_id": segment_id}}, goal_event="")
    orchard.at += timedelta(minutes=5)
    shares(orchard, comes)
    shares(orchard, was_in)
    orchard.at += timedelta(seconds=1)
    read(orchard, "segments")
    read(orchard, sop.REACTOR)
    assert flow.inside() == {comes.pk: ("active", 0)}
    assert stays_out.pk not in flow.inside()
