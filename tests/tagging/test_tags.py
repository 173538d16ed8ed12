"""Giving, taking and expiring: who has a tag changes once, and the log says so once."""

from datetime import timedelta

import pytest

from events.models import Event
from scrm.lib.errors import Conflict, Invalid, NotFound
from tagging import expiry, tags
from tagging.models import ContactTag, Tag
from tagging.segments import segments
from tenants.actors import Actor
from tenants.models import AuditEntry
from tenants.scope import brand_scope
from tests.cast import NOON

ALICE = Actor("user:1", "Alice")
HOUR = timedelta(hours=1)


@pytest.fixture
def orchard(cast):
    cast.people = [cast.contact(name, at=NOON) for name in ("陈小满", "李大树", "王芽")]
    cast.ids = [person.pk for person in cast.people]
    with brand_scope(cast.brand.id):
        cast.tag = tags.create(name="婴童", group="兴趣", actor=ALICE, at=NOON)
    return cast


def told(type_):
    """(contact, tag, source) of the log's events of this type, in order of time."""
    rows = Event.objects.filter(type=type_).order_by("occurred_at", "contact_id")
    return [(row.contact_id, row.props["tag"], row.props["source"]) for row in rows]


def give(cast, ids, *, at=NOON, **options):
    with brand_scope(cast.brand.id):
        return tags.give(tag_id=cast.tag.pk, contact_ids=ids, actor=ALICE, at=at, **options)


def has(cast, at):
    with brand_scope(cast.brand.id):
        return segments.count({"kind": "tag", "tag_id": cast.tag.pk}, at)


def test_giving_twice_is_giving_once(orchard):
    first, second, third = orchard.ids

    assert give(orchard, [first, second]) == {first, second}
    assert give(orchard, [second, third, third], at=NOON + HOUR) == {third}

    with brand_scope(orchard.brand.id):
        assert told("tag_given") == [(who, "兴趣·婴童", "manual") for who in orchard.ids]
        audit = AuditEntry.objects.filter(action="tag.give").order_by("at").values_list("after", flat=True)
        assert [row["given"] for row in audit] == [[first, second], [third]]


def test_another_brands_contact_and_tag_are_not_there(orchard):
    with brand_scope(orchard.other.id):
        with pytest.raises(NotFound):
            tags.give(tag_id=orchard.tag.pk, contact_ids=orchard.ids, actor=ALICE, at=NOON)
        theirs = tags.create(name="婴童", group="兴趣", actor=ALICE, at=NOON)
        assert tags.give(tag_id=theirs.pk, contact_ids=orchard.ids, actor=ALICE, at=NOON) == frozenset()
        assert not ContactTag.objects.exists()


def test_taking_tells_only_of_those_who_had_it(orchard):
    first, second, _third = orchard.ids
    give(orchard, [first])

    with brand_scope(orchard.brand.id):
        taken = tags.take(tag_id=orchard.tag.pk, contact_ids=[first, second], actor=ALICE, at=NOON + HOUR)
        again = tags.take(tag_id=orchard.tag.pk, contact_ids=[first, second], actor=ALICE, at=NOON + HOUR)

        assert (taken, again) == ({first}, frozenset())
        assert told("tag_taken") == [(first, "兴趣·婴童", "manual")]
    assert has(orchard, NOON + HOUR) == 0


def test_an_expired_tag_is_gone_at_once_and_told_once(orchard):
    first, second, _third = orchard.ids
    give(orchard, [first], expires_at=NOON + HOUR)
    give(orchard, [second])
    assert has(orchard, NOON + HOUR - timedelta(microseconds=1)) == 2
    assert has(orchard, NOON + HOUR) == 1

    with brand_scope(orchard.brand.id):
        assert [row.tag_id for row in tags.live_tags(first, at=NOON + HOUR)] == []
        assert expiry.sweep(brand_id=orchard.brand.id, at=NOON + 2 * HOUR) == 1
        assert expiry.sweep(brand_id=orchard.brand.id, at=NOON + 2 * HOUR) == 0
        gone = Event.objects.get(type="tag_taken")
        assert (gone.contact_id, gone.props["source"], gone.occurred_at) == (first, "expiry", NOON + HOUR)


def test_given_again_after_expiry_is_a_new_gift_even_before_the_sweep(orchard):
    first = orchard.ids[0]
    give(orchard, [first], expires_at=NOON + HOUR)

    assert give(orchard, [first], at=NOON + 2 * HOUR) == {first}

    with brand_scope(orchard.brand.id):
        assert [source for _who, _tag, source in told("tag_taken")] == ["expiry"]
        assert len(told("tag_given")) == 2
        assert expiry.sweep(brand_id=orchard.brand.id, at=NOON + 3 * HOUR) == 0
    assert has(orchard, NOON + 3 * HOUR) == 1


def test_giving_again_prolongs_and_never_shortens(orchard):
    first = orchard.ids[0]
    give(orchard, [first], expires_at=NOON + 3 * HOUR)
    give(orchard, [first], expires_at=NOON + HOUR)
    assert has(orchard, NOON + 2 * HOUR) == 1

    give(orchard, [first])
    assert has(orchard, NOON + 1000 * HOUR) == 1

    with pytest.raises(Invalid) as refused:
        give(orchard, [first], expires_at=NOON)
    assert refused.value.errors[0].field == "expires_at"


def test_a_second_tag_of_the_name_is_refused(orchard):
    with brand_scope(orchard.brand.id):
        with pytest.raises(Conflict):
            tags.create(name=" 婴童", group="兴趣", actor=ALICE, at=NOON)
        tags.create(name="婴童", actor=ALICE, at=NOON)  # of another group: another tag
        with pytest.raises(Invalid):
            tags.create(name="果" * 31, actor=ALICE, at=NOON)
        assert Tag.objects.count() == 2
