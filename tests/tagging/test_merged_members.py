"""Segments and the merge of two of their members."""

from datetime import timedelta

import pytest

from contacts import merging
from contacts.merging import Wanted
from contacts.models import Identity
from events import log
from scrm.lib.ids import made_id
from tagging.models import Segment
from tagging.segments import memberships
from tenants.actors import SYSTEM
from tenants.scope import brand_scope
from tests.cast import NOON
from tests.tagging.test_memberships import SIGNED, TWICE, dynamic, happened, inside, orchard, react, stays, told, work

__all__ = ["orchard"]
MINUTE = timedelta(minutes=1)


def merge(cast, survivor, loser, at):
    with brand_scope(cast.brand.id):
        (merge_id,) = merging.merge(wanted=[Wanted(survivor, loser)], actor=SYSTEM, at=at)
    settle(cast, at)
    return merge_id


def split(cast, merge_id, at):
    with brand_scope(cast.brand.id):
        merging.split(merge_ids=[merge_id], actor=SYSTEM, at=at)
    settle(cast, at)


def settle(cast, at):
    react(cast, at)
    work(cast, at)


@pytest.fixture
def members(orchard):
    def count(segment):
        with brand_scope(orchard.brand.id):
            return memberships.state(Segment.objects.get(pk=segment)).members

    return count


def test_who_is_in_with_both_numbers_is_in_once_and_nobody_is_told_of_leaving(orchard, members):
    for who in (orchard.ann, orchard.ben):
        happened(orchard, who, NOON - MINUTE)
    segment = dynamic(orchard, SIGNED)
    before = stays(orchard, segment)

    merge_id = merge(orchard, orchard.ann, orchard.ben, NOON + MINUTE)
    assert inside(orchard, segment) == {orchard.ann}
    assert members(segment) == 1
    assert told(orchard, segment) == []

    split(orchard, merge_id, NOON + 2 * MINUTE)
    assert stays(orchard, segment) == before
    assert members(segment) == 2
    assert told(orchard, segment) == []


def test_a_merge_makes_what_both_did_one_history(orchard):
    for who in (orchard.ann, orchard.ben):
        happened(orchard, who, NOON - MINUTE, "product_view", category="婴童")
    segment = dynamic(orchard, TWICE)
    assert inside(orchard, segment) == set()

    merge_id = merge(orchard, orchard.ann, orchard.ben, NOON + MINUTE)
    assert inside(orchard, segment) == {orchard.ann}

    split(orchard, merge_id, NOON + 2 * MINUTE)
    assert inside(orchard, segment) == set()
    assert [type_ for type_, *_rest in told(orchard, segment)] == ["segment_entered", "segment_left"]


def test_what_the_other_did_since_goes_with_them_and_so_does_the_stay(orchard):
    brand = orchard.brand.id
    with brand_scope(brand):
        Identity.objects.create(
            id=made_id(brand, "identity", "openid", "wx:ben"),
            contact_id=orchard.ben,
            type="openid",
            value="wx:ben",
            first_seen_at=NOON,
        )
    segment = dynamic(orchard, SIGNED)
    merge_id = merge(orchard, orchard.ann, orchard.ben, NOON + MINUTE)
    with brand_scope(brand):
        log.write([log.NewEvent("sign_in", NOON + MINUTE, identity=("openid", "wx:ben"))], at=NOON + MINUTE)
    settle(orchard, NOON + 2 * MINUTE)
    assert inside(orchard, segment) == {orchard.ann}

    split(orchard, merge_id, NOON + 3 * MINUTE)
    assert inside(orchard, segment) == {orchard.ben}
