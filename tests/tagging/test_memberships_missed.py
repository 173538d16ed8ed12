"""What once went past dynamic segments: imports, other questions behind a name, confirmations, scores reckoned anew."""

from datetime import timedelta
from uuid import uuid4

import pytest

from campaigns.models import Batch, Content, Delivery, Push, Variant
from contacts import groups
from contacts.models import GroupChat, GroupMember
from events import log
from scrm.lib.errors import Invalid
from tagging.models import InterestScore
from tagging.segments import memberships, segments
from tenants.actors import SYSTEM
from tenants.scope import brand_scope
from tests.cast import NOON
from tests.tagging.test_memberships import DAY, SECOND, SIGNED, TICK, dynamic, happened, inside, react, told, work

LATER = NOON + 10 * SECOND


@pytest.fixture
def orchard(cast):
    cast.ann = cast.contact("安", at=NOON).pk
    cast.ben = cast.contact("贝", at=NOON).pk
    return cast


def named(cast, tree):
    """A segment that is computed when it is asked, and a dynamic one that asks for it."""
    with brand_scope(cast.brand.id):
        inner = segments.save(name="里", tree=tree, actor=SYSTEM, at=NOON).pk
    return inner, dynamic(cast, {"all": [{"kind": "segment", "segment_id": inner}]}, name="外")


def test_imported_events_count_and_greet_nobody(orchard):
    segment = dynamic(orchard, SIGNED)
    with brand_scope(orchard.brand.id):
        log.write([log.NewEvent("sign_in", NOON - DAY, contact_id=orchard.ann, source="import", fires=False)], at=NOON)
    react(orchard, LATER)
    assert inside(orchard, segment) == {orchard.ann}
    assert told(orchard, segment) == []

    happened(orchard, orchard.ben, NOON)
    react(orchard, LATER)
    assert [(kind, who) for kind, who, _at, _why in told(orchard, segment)] == [("segment_entered", orchard.ben)]


@pytest.mark.parametrize("first", ["realtime", "static"])
def test_a_name_that_means_a_list_or_a_question_from_now_on(orchard, first):
    happened(orchard, orchard.ann, NOON - 8 * DAY)
    inner, outer = named(orchard, {"all": [{"none": [SIGNED]}]})
    with brand_scope(orchard.brand.id):
        memberships.set_mode(segment_id=inner, mode="static", actor=SYSTEM, at=NOON)
    work(orchard, NOON)
    with brand_scope(orchard.brand.id):
        memberships.remove(segment_id=inner, contact_ids=[orchard.ben], actor=SYSTEM, at=LATER)
    work(orchard, LATER)
    assert inside(orchard, outer) == {orchard.ann}
    if first == "static":
        with brand_scope(orchard.brand.id):
            memberships.set_mode(segment_id=inner, mode="realtime", actor=SYSTEM, at=LATER)
        work(orchard, LATER)
        assert inside(orchard, outer) == {orchard.ann, orchard.ben}


def test_a_dynamic_segment_cannot_be_given_its_own_events(orchard):
    own = {"kind": "event_count", "event": "segment_left", "op": "eq", "value": 0, "days": 7}
    inner, outer = named(orchard, SIGNED)
    with brand_scope(orchard.brand.id):
        for key, name in ((inner, "里"), (outer, "外")):
            with pytest.raises(Invalid) as refusal:
                segments.save(segment_id=key, name=name, tree=own, actor=SYSTEM, at=LATER)
            assert refusal.value.errors[0].code == "tagging.own_events"


def test_what_must_not_follow_has_a_moment_to_come(orchard):
    steps = [{"event": "add_cart"}, {"event": "order_created"}]
    tree = {"kind": "sequence", "steps": steps, "then_not": {"event": "order_paid"}}
    for minutes, kind in ((9, "add_cart"), (5, "order_created"), (-5, "order_paid")):
        happened(orchard, orchard.ann, NOON - timedelta(minutes=minutes), kind)
    segment = dynamic(orchard, tree)
    assert inside(orchard, segment) == {orchard.ann}
    work(orchard, NOON + timedelta(minutes=5))
    assert inside(orchard, segment) == {orchard.ann}
    work(orchard, NOON + timedelta(minutes=5) + TICK)
    assert inside(orchard, segment) == set()


def test_a_confirmation_is_seen_at_once_and_fades_at_its_moment(orchard):
    with brand_scope(orchard.brand.id):
        push = Push.objects.create(name="推", created_at=NOON)
        content = Content.objects.create(name="c", text="你好", created_at=NOON)
        variant = Variant.objects.create(push=push, position=0, content=content)
        batch = Batch.objects.create(
            id=uuid4(), push=push, variant=variant, corp=orchard.corp, staff=orchard.bob, size=1, due_at=NOON
        )
        Delivery.objects.create(
            brand_id=orchard.brand.id,
            push=push,
            batch=batch,
            contact_id=orchard.ann,
            staff=orchard.bob,
            status="created",
            updated_at=NOON,
        )
    segment = dynamic(orchard, {"kind": "touch", "what": "confirmed", "days": 7, "op": "gte", "value": 1})
    with brand_scope(orchard.brand.id):
        Batch.objects.filter(pk=batch.pk).update(confirmed_at=LATER)
    work(orchard, LATER + TICK)
    assert inside(orchard, segment) == {orchard.ann}
    work(orchard, LATER + 7 * DAY)
    assert inside(orchard, segment) == {orchard.ann}
    work(orchard, LATER + 7 * DAY + TICK)
    assert inside(orchard, segment) == set()


def test_scores_that_are_reckoned_anew_bring_contacts_in(orchard):
    segment = dynamic(orchard, {"kind": "interest", "category": "婴童", "value": 100})
    with brand_scope(orchard.brand.id):
        InterestScore.objects.create(
            brand_id=orchard.brand.id, contact_id=orchard.ann, kind="category", key="婴童", score=2.0, as_of=NOON
        )
    work(orchard, LATER)
    assert inside(orchard, segment) == {orchard.ann}
    work(orchard, NOON + 15 * DAY)
    assert inside(orchard, segment) == set()


def test_a_dissolved_group_counts_no_more_for_those_who_had_left_it(orchard):
    with brand_scope(orchard.brand.id):
        chat = GroupChat.objects.create(corp=orchard.corp, chat_id="wr1")
        key = {"brand_id": orchard.brand.id, "chat": chat, "member_id": "wm1", "kind": 2, "contact_id": orchard.ann}
        GroupMember.objects.create(**key, joined_at=NOON - 2 * DAY, left_at=NOON - DAY)
    segment = dynamic(orchard, {"kind": "group_member", "chat_id": chat.pk, "live": False})
    work(orchard, NOON)
    assert inside(orchard, segment) == {orchard.ann}
    with brand_scope(orchard.brand.id):
        groups.dismiss(corp=orchard.corp, chat_ids=["wr1"], at=LATER)
    work(orchard, LATER)
    assert inside(orchard, segment) == set()
