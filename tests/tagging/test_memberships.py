"""Dynamic segments: who comes in and who leaves, when, why, and how the log is told."""

from datetime import timedelta

import pytest

from contacts.models import Contact
from events import log, reactors
from events.models import Event, ReactorCursor
from scrm.lib.errors import Invalid
from tagging import tags
from tagging.models import ContactTouch, Membership, Segment, SegmentStanding
from tagging.segments import due, memberships, segments
from tenants.actors import SYSTEM
from tenants.scope import brand_scope
from tests.cast import NOON

DAY, SECOND, TICK = timedelta(days=1), timedelta(seconds=1), timedelta(microseconds=1)
SIGNED = {"kind": "event_recency", "event": "sign_in", "op": "within", "days": 7}
TWICE = {"kind": "event_count", "event": "product_view", "op": "gte", "value": 2, "days": 7}


@pytest.fixture
def orchard(cast):
    cast.ann = cast.contact("安", at=NOON).pk
    cast.ben = cast.contact("贝", at=NOON).pk
    with brand_scope(cast.brand.id):
        cast.tag = tags.create(name="婴童", group="兴趣", actor=SYSTEM, at=NOON)
    return cast


def happened(cast, who, when, type_="sign_in", **props):
    """Write one event."""
    with brand_scope(cast.brand.id):
        log.write([log.NewEvent(type_, when, contact_id=who, props=props, source="api")], at=max(when, NOON))


def dynamic(cast, tree, *, name="人群", at=NOON, fill=True):
    """A dynamic segment; its first fill is done."""
    with brand_scope(cast.brand.id):
        made = segments.save(name=name, tree=tree, actor=SYSTEM, at=at)
        memberships.set_mode(segment_id=made.pk, mode="dynamic", actor=SYSTEM, at=at)
    if fill:
        work(cast, at)
    return made.pk


def work(cast, at):
    """Do all that waits."""
    while due.work(brand_id=cast.brand.id, at=at, horizon=2**62):
        pass


def react(cast, at):
    """Let the reactor read the log from the start: a test is one transaction, whose rows have no order."""
    with brand_scope(cast.brand.id):
        ReactorCursor.objects.all().delete()
    while reactors.react(brand_id=cast.brand.id, reactor="segments", at=at, horizon=2**62).read:
        pass


def stays(cast, segment_id):
    """(contact, entered_at, left_at) of all stays, in order."""
    with brand_scope(cast.brand.id):
        rows = Membership.objects.filter(segment=segment_id).order_by("entered_at", "contact_id")
        return list(rows.values_list("contact_id", "entered_at", "left_at"))


def inside(cast, segment_id):
    with brand_scope(cast.brand.id):
        return {contact.pk for contact in memberships.members(segment_id)}


def told(cast, segment_id):
    """(type, contact, moment, reason) of the segment's own events, in order."""
    with brand_scope(cast.brand.id):
        rows = Event.objects.filter(type__startswith="segment_", props__segment_id=segment_id).order_by("occurred_at")
        return [(row.type, row.contact_id, row.occurred_at, row.props["reason"]) for row in rows]


def test_the_first_fill_takes_in_who_is_there_and_tells_nobody(orchard):
    happened(orchard, orchard.ann, NOON - DAY)
    segment = dynamic(orchard, SIGNED)
    assert stays(orchard, segment) == [(orchard.ann, NOON, None)]
    assert told(orchard, segment) == []
    with brand_scope(orchard.brand.id):
        state = memberships.state(Segment.objects.get(pk=segment))
    assert (state.members, state.is_filling, state.since) == (1, False, NOON)


def test_an_event_brings_a_contact_in_and_says_which_condition_turned(orchard):
    happened(orchard, orchard.ben, NOON - 3 * DAY, "product_view", category="婴童")
    segment = dynamic(orchard, {"any": [TWICE, {"kind": "event_count", "event": "share", "op": "gte", "value": 9}]})
    assert inside(orchard, segment) == set()

    later = NOON + 60 * SECOND
    happened(orchard, orchard.ben, later, "product_view", category="婴童")
    react(orchard, later + SECOND)
    assert stays(orchard, segment) == [(orchard.ben, later + SECOND, None)]
    assert told(orchard, segment) == [("segment_entered", orchard.ben, later + SECOND, "event")]
    with brand_scope(orchard.brand.id):
        (stay,) = memberships.history(contact_id=orchard.ben)
    assert stay.entered_reason == {"cause": "event", "leaves": ["tree.any[0]"], "held": [True], "why": "product_view"}
    assert "浏览商品 ≥ 2 次" in stay.entered


def test_reading_the_same_events_again_changes_nothing(orchard):
    segment = dynamic(orchard, SIGNED)
    happened(orchard, orchard.ann, NOON)
    react(orchard, NOON + SECOND)
    first = stays(orchard, segment), told(orchard, segment)
    react(orchard, NOON + 5 * SECOND)
    assert (stays(orchard, segment), told(orchard, segment)) == first


def test_time_alone_takes_a_contact_out_at_its_moment(orchard):
    happened(orchard, orchard.ann, NOON - DAY)
    segment = dynamic(orchard, SIGNED)
    moment = NOON + 6 * DAY + TICK  # the window is [start, end): what lies on its start is still in

    work(orchard, moment - TICK)
    assert inside(orchard, segment) == {orchard.ann}
    work(orchard, moment + 4 * SECOND)
    assert stays(orchard, segment) == [(orchard.ann, NOON, moment)]
    assert told(orchard, segment) == [("segment_left", orchard.ann, moment, "time")]


def test_a_threshold_falls_when_the_nth_latest_event_leaves_the_window(orchard):
    for ago in (6, 4, 2):
        happened(orchard, orchard.ann, NOON - ago * DAY, "product_view")
    segment = dynamic(orchard, TWICE)
    with brand_scope(orchard.brand.id):
        assert SegmentStanding.objects.get(contact_id=orchard.ann).due_at == NOON + 3 * DAY + TICK
    work(orchard, NOON + 3 * DAY)
    assert inside(orchard, segment) == {orchard.ann}
    work(orchard, NOON + 3 * DAY + TICK)
    assert inside(orchard, segment) == set()


def test_who_has_been_silent_long_enough_comes_in_by_time_alone(orchard):
    happened(orchard, orchard.ann, NOON - 6 * DAY)
    segment = dynamic(orchard, {"kind": "event_recency", "event": "sign_in", "op": "not_within", "days": 7})
    assert inside(orchard, segment) == {orchard.ben}
    work(orchard, NOON + DAY + SECOND)
    assert inside(orchard, segment) == {orchard.ann, orchard.ben}
    assert [row[0] for row in told(orchard, segment)] == ["segment_entered"]


def test_an_event_ahead_of_our_clock_counts_from_its_moment(orchard):
    segment = dynamic(orchard, SIGNED)
    ahead = NOON + timedelta(minutes=5)
    with brand_scope(orchard.brand.id):
        log.write([log.NewEvent("sign_in", ahead, contact_id=orchard.ann, source="api")], at=NOON)
    react(orchard, NOON + SECOND)
    assert inside(orchard, segment) == set()
    work(orchard, ahead + SECOND)
    assert inside(orchard, segment) == {orchard.ann}


def test_tags_given_and_running_out_are_followed(orchard):
    segment = dynamic(orchard, {"kind": "tag", "tag_id": orchard.tag.pk})
    with brand_scope(orchard.brand.id):
        tags.give(tag_id=orchard.tag.pk, contact_ids=[orchard.ann], actor=SYSTEM, at=NOON, expires_at=NOON + DAY)
    work(orchard, NOON + SECOND)
    assert inside(orchard, segment) == {orchard.ann}
    # Before any sweep has taken the row away.
    work(orchard, NOON + DAY)
    assert stays(orchard, segment) == [(orchard.ann, NOON + SECOND, NOON + DAY)]


def test_rows_written_without_an_event_are_seen(orchard):
    segment = dynamic(orchard, {"kind": "profile", "field": "gender", "op": "eq", "value": 2})
    with brand_scope(orchard.brand.id):
        Contact.objects.filter(pk=orchard.ben).update(gender=2)
        assert list(ContactTouch.objects.values_list("contact_id", "source")) == [(orchard.ben, "contact")]
    work(orchard, NOON + SECOND)
    assert inside(orchard, segment) == {orchard.ben}
    with brand_scope(orchard.brand.id):
        assert not ContactTouch.objects.exists()
        Contact.objects.filter(pk=orchard.ben).update(gender=2)
        assert not ContactTouch.objects.exists(), "nothing was changed"


def test_a_brand_without_dynamic_segments_writes_no_touches(orchard):
    with brand_scope(orchard.brand.id):
        segments.save(name="用时计算", tree=SIGNED, actor=SYSTEM, at=NOON)
        Contact.objects.filter(pk=orchard.ben).update(gender=2)
        assert not ContactTouch.objects.exists()


def test_a_new_contact_is_looked_at(orchard):
    segment = dynamic(orchard, {"kind": "event_recency", "event": "order_paid", "op": "not_within", "days": 7})
    fresh = orchard.contact("新", at=NOON).pk
    work(orchard, NOON + SECOND)
    assert inside(orchard, segment) == {orchard.ann, orchard.ben, fresh}


def test_a_changed_tree_puts_members_right_and_keeps_history(orchard):
    happened(orchard, orchard.ann, NOON - DAY)
    happened(orchard, orchard.ben, NOON - DAY, "share")
    segment = dynamic(orchard, SIGNED)
    later = NOON + DAY
    with brand_scope(orchard.brand.id):
        tree = {**SIGNED, "event": "share"}
        segments.save(segment_id=segment, name="人群", tree=tree, actor=SYSTEM, at=later)
    work(orchard, later)
    assert stays(orchard, segment) == [(orchard.ann, NOON, later), (orchard.ben, later, None)]
    assert told(orchard, segment) == []
    with brand_scope(orchard.brand.id):
        now, before = memberships.history(segment_id=segment)
    assert (now.entered_reason["cause"], before.left_reason["cause"]) == ("version", "version")


def test_a_segment_within_a_segment_settles(orchard):
    inner = dynamic(orchard, SIGNED, name="里")
    outer = dynamic(orchard, {"none": [{"kind": "segment", "segment_id": inner}]}, name="外")
    assert inside(orchard, outer) == {orchard.ann, orchard.ben}
    happened(orchard, orchard.ann, NOON)
    react(orchard, NOON + SECOND)
    assert inside(orchard, inner) == {orchard.ann}
    assert inside(orchard, outer) == {orchard.ben}
    react(orchard, NOON + 2 * SECOND)
    assert len(told(orchard, inner)) == len(told(orchard, outer)) == 1


def test_a_segment_that_follows_its_own_events_is_refused(orchard):
    tree = {"kind": "event_count", "event": "segment_left", "op": "eq", "value": 0, "days": 7}
    with brand_scope(orchard.brand.id):
        made = segments.save(name="自己", tree=tree, actor=SYSTEM, at=NOON)
        with pytest.raises(Invalid) as refusal:
            memberships.set_mode(segment_id=made.pk, mode="dynamic", actor=SYSTEM, at=NOON)
    assert refusal.value.errors[0].code == "tagging.own_events"


def test_no_longer_followed_means_nobody_is_in(orchard):
    happened(orchard, orchard.ann, NOON - DAY)
    segment = dynamic(orchard, SIGNED)
    with brand_scope(orchard.brand.id):
        memberships.set_mode(segment_id=segment, mode="realtime", actor=SYSTEM, at=NOON + DAY)
    work(orchard, NOON + DAY)
    assert stays(orchard, segment) == [(orchard.ann, NOON, NOON + DAY)]
    with brand_scope(orchard.brand.id):
        assert not SegmentStanding.objects.exists()


def test_a_static_segment_stays_as_it_was_taken_but_for_hands(orchard):
    happened(orchard, orchard.ann, NOON - DAY)
    with brand_scope(orchard.brand.id):
        made = segments.save(name="名单", tree=SIGNED, actor=SYSTEM, at=NOON)
        memberships.set_mode(segment_id=made.pk, mode="static", actor=SYSTEM, at=NOON)
    work(orchard, NOON)
    happened(orchard, orchard.ben, NOON)
    react(orchard, NOON + SECOND)
    work(orchard, NOON + 30 * DAY)
    assert inside(orchard, made.pk) == {orchard.ann}
    with brand_scope(orchard.brand.id):
        memberships.add(segment_id=made.pk, contact_ids=[orchard.ben, 2**40], actor=SYSTEM, at=NOON + DAY)
        memberships.remove(segment_id=made.pk, contact_ids=[orchard.ann], actor=SYSTEM, at=NOON + DAY)
    assert inside(orchard, made.pk) == {orchard.ben}
