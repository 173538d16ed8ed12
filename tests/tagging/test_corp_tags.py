"""WeCom's tags and ours against the simulator: both libraries, both directions, faults, and a segment's shadow."""

from datetime import timedelta

import pytest
from django.utils import timezone

from contacts.models import Contact, Follow
from events import reactors
from events.models import ReactorCursor
from tagging import tags
from tagging.corp import corp_tags, hurry, marking
from tagging.models import ContactTag, CorpTag, CorpTagMark, Tag, TagLibrary
from tagging.segments import due, memberships, segments
from tagging.tasks import mark_corp
from tenants.actors import SYSTEM
from tenants.scope import brand_scope
from tests.contacts.world import connect
from wecom.errors import WeComError
from wecom.inbox import CallbackEvent
from wecom.models import CorpApp
from wecom.simulator.testing import running_simulator


@pytest.fixture
def world(cast, settings):
    with running_simulator(guides=3, contacts=40, seed=5) as simulator:
        settings.WECOM_API_BASE = simulator.api_base
        world = connect(cast.brand, simulator)
        world.sync()
        with world.scope():
            corp_tags.set_library(corp_id=world.corp.pk, is_on=True, imports_new=True, actor=SYSTEM, at=timezone.now())
        yield world


def round_(world, at=None):
    marking.run_round(brand_id=world.brand.id, corp_id=world.corp.pk, wecom=world.wecom, at=at or timezone.now())


def theirs(world, wecom_id):
    """(guide, customer) pairs that carry a tag in WeCom."""
    return {
        (follow["userid"], person["external_userid"])
        for person in world.people()
        for follow in person["follows"]
        if wecom_id in follow["tags"]
    }


def ours(world, tag):
    """The same as our tag wants it: every live pair of a contact who has it."""
    with world.scope():
        holders = ContactTag.objects.filter(tag=tag).values_list("contact_id", flat=True)
        rows = Follow.objects.filter(contact_id__in=list(holders), lost_at=None)
        return set(rows.values_list("staff__userid", "external_userid"))


def linked(world, name="热心"):
    """A tag of ours that stands in WeCom, too."""
    with world.scope():
        tag = tags.create(name=name, group="态度", actor=SYSTEM, at=timezone.now())
        corp_tags.link(corp_id=world.corp.pk, tag_id=tag.pk, actor=SYSTEM, at=timezone.now())
    round_(world)
    return tag, row_of(world, tag=tag).wecom_id


def row_of(world, **which):
    with world.scope():
        return CorpTag.objects.select_related("tag").get(corp=world.corp, **which)


def people_of(world, count):
    with world.scope():
        return list(Contact.objects.exclude(first_added_at=None).order_by("id").values_list("id", flat=True)[:count])


def give(world, tag, ids, *, takes=False):
    with world.scope():
        act = tags.take if takes else tags.give
        act(tag_id=tag.pk, contact_ids=ids, actor=SYSTEM, at=timezone.now())


def library(world):
    return {(group.name, tag.name) for group in world.wecom.corp_tags() for tag in group.tags}


def digest(world):
    """For every tag that stands on both sides: whether the two agree on every pair."""
    with world.scope():
        rows = list(CorpTag.objects.filter(state="linked", tag__isnull=False).select_related("tag"))
    return {row.name: theirs(world, row.wecom_id) == ours(world, row.tag) for row in rows}


def test_what_wecom_has_is_taken_over_with_its_people(world):
    round_(world)
    there = library(world)
    with world.scope():
        assert {(t.group, t.name) for t in Tag.objects.all()} == there
        given = ContactTag.objects.filter(source="wecom").count()
    assert given > 0
    assert set(digest(world).values()) == {True}
    fault(world, "mark_tag", "http_500", 1000)
    round_(world)  # nothing has changed: nobody is marked, nothing comes back
    assert set(digest(world).values()) == {True}


def test_our_tag_is_made_in_wecom_and_marked_on_every_pair(world):
    tag, wecom_id = linked(world)
    assert ("态度", "热心") in library(world)
    ids = people_of(world, 5)
    give(world, tag, ids)
    round_(world)
    assert theirs(world, wecom_id) == ours(world, tag) != set()

    give(world, tag, ids[:2], takes=True)
    round_(world)
    assert theirs(world, wecom_id) == ours(world, tag)
    assert len({external for _guide, external in theirs(world, wecom_id)}) == 3


def test_a_guides_marking_and_unmarking_reaches_us_and_the_other_guides(world):
    tag, wecom_id = linked(world)
    person = next(p for p in world.people() if len([f for f in p["follows"] if not f.get("deleted")]) > 1)
    first, second = person["follows"][:2]
    mark(world, first["userid"], person["external_userid"], add=[wecom_id])
    world.sync()
    round_(world)
    assert theirs(world, wecom_id) == ours(world, tag) >= {(second["userid"], person["external_userid"])}

    mark(world, second["userid"], person["external_userid"], remove=[wecom_id])
    world.sync()
    round_(world)
    assert (theirs(world, wecom_id), ours(world, tag)) == (set(), set())


def mark(world, userid, external_userid, **change):
    """What a guide does on the phone; to WeCom it is the same."""
    world.wecom.mark_tag(userid=userid, external_userid=external_userid, **change)


def test_a_list_read_before_we_marked_is_not_taken_for_a_guides_change(world):
    tag, wecom_id = linked(world)
    ids = people_of(world, 3)
    give(world, tag, ids)
    with world.scope():
        stale = {(f.staff_id, f.contact_id): f.corp_tag_ids for f in Follow.objects.filter(contact_id__in=ids)}
    round_(world)
    agreed = theirs(world, wecom_id)
    with world.scope():
        for (staff, contact), listed in stale.items():
            Follow.objects.filter(staff_id=staff, contact_id=contact).update(corp_tag_ids=listed)
    round_(world)
    assert theirs(world, wecom_id) == agreed == ours(world, tag) != set()


def test_names_follow_from_both_sides_and_wecoms_wins(world):
    tag, wecom_id = linked(world)
    with world.scope():
        Tag.objects.filter(pk=tag.pk).update(name="更热心")
    round_(world)
    assert ("态度", "更热心") in library(world)

    with world.scope():
        Tag.objects.filter(pk=tag.pk).update(name="我们的")
    world.wecom.update_corp_tag(tag_id=wecom_id, name="他们的")
    round_(world)
    with world.scope():
        assert Tag.objects.get(pk=tag.pk).name == "他们的"
    assert ("态度", "他们的") in library(world)


def test_a_tag_deleted_in_wecom_stays_with_us(world):
    tag, wecom_id = linked(world)
    ids = people_of(world, 3)
    give(world, tag, ids)
    round_(world)
    world.wecom.delete_corp_tags(tag_ids=[wecom_id])
    told = CallbackEvent(0, world.brand.id, world.corp.pk, world.corp.corpid, "change_external_tag", "delete",
                         {"Id": wecom_id, "TagType": "tag"}, timezone.now())  # fmt: skip
    corp_tags.on_tag_event(told)
    with world.scope():
        assert marking.due(at=timezone.now()) == [world.corp.pk]
    round_(world)
    row = row_of(world, wecom_id=wecom_id)
    assert (row.state, row.tag_id) == ("gone", None)
    with world.scope():
        assert set(ContactTag.objects.filter(tag=tag).values_list("contact_id", flat=True)) == set(ids)


def fault(world, api, mode, count):
    world.simulator.post("/_sim/faults", {"path": f"externalcontact/{api}", "mode": mode, "count": count})


def test_an_unclear_creation_is_looked_for_and_not_made_twice(world):
    fault(world, "add_corp_tag", "reset_after", 1)
    with world.scope():
        tag = tags.create(name="热心", group="态度", actor=SYSTEM, at=timezone.now())
        corp_tags.link(corp_id=world.corp.pk, tag_id=tag.pk, actor=SYSTEM, at=timezone.now())
    round_(world)
    assert (row_of(world, tag=tag).state, ("态度", "热心") in library(world)) == ("adding", True)
    round_(world)
    row = row_of(world, tag=tag)
    assert row.state == "linked"
    assert sum(t.name == "热心" for g in world.wecom.corp_tags() for t in g.tags) == 1


def test_one_that_was_surely_not_made_is_made_later(world):
    fault(world, "add_corp_tag", "http_500", 1)
    now = timezone.now()
    with world.scope():
        tag = tags.create(name="热心", group="态度", actor=SYSTEM, at=now)
        corp_tags.link(corp_id=world.corp.pk, tag_id=tag.pk, actor=SYSTEM, at=now)
    for minutes in (0, 1, 16, 17, 18):
        round_(world, at=now + timedelta(minutes=minutes))
    assert row_of(world, tag=tag).state == "linked"
    assert sum(t.name == "热心" for g in world.wecom.corp_tags() for t in g.tags) == 1


def test_after_faults_both_sides_are_the_same(world):
    tag, _wecom_id = linked(world)
    give(world, tag, people_of(world, 12))
    for mode in ("reset", "reset_after", "http_500", "garbage"):
        fault(world, "mark_tag", mode, 3)
    for _try in range(8):
        try:
            round_(world)
        except WeComError:
            continue
        break
    world.simulator.delete("/_sim/faults")
    round_(world)
    assert set(digest(world).values()) == {True}
    with world.scope():
        wanted = len(ours_pairs(tag))
        assert CorpTagMark.objects.filter(corp_tag__tag=tag, has=True).count() == wanted


def ours_pairs(tag):
    holders = ContactTag.objects.filter(tag=tag).values_list("contact_id", flat=True)
    return list(Follow.objects.filter(contact_id__in=list(holders), lost_at=None))


def test_a_shadow_tag_is_the_segments_members_at_their_main_guide(world):
    now = timezone.now()
    with world.scope():
        tag = tags.create(name="圈内", actor=SYSTEM, at=now)
        segment = segments.save(name="圈内人", tree={"kind": "tag", "tag_id": tag.pk}, actor=SYSTEM, at=now)
        corp_tags.shadow(corp_id=world.corp.pk, segment_id=segment.pk, actor=SYSTEM, at=now)
    ids = people_of(world, 6)
    give(world, tag, ids)
    round_(world)
    row = row_of(world, segment=segment)
    assert row.group == corp_tags.SHADOWS
    assert theirs(world, row.wecom_id) == mains(world, ids)
    give(world, tag, ids[:3], takes=True)
    guide, external = next(iter(mains(world, ids[3:])))
    mark(world, guide, external, remove=[row.wecom_id])  # a guide's change of it does not last
    world.sync()
    round_(world)
    assert theirs(world, row.wecom_id) == mains(world, ids[3:])
    with world.scope():
        assert not Tag.objects.filter(name=row.name).exists()


def mains(world, ids):
    with world.scope():
        rows = Contact.objects.filter(pk__in=ids).values_list("main_guide_id", "id")
        return {
            Follow.objects.values_list("staff__userid", "external_userid").get(staff_id=staff, contact_id=contact)
            for staff, contact in rows
        }


def test_one_worker_at_a_time_and_trouble_is_noted(world):
    at = timezone.now()
    assert marking.take_up(brand_id=world.brand.id, corp_id=world.corp.pk, at=at)
    assert not marking.take_up(brand_id=world.brand.id, corp_id=world.corp.pk, at=at)
    fault(world, "get_corp_tag_list", "http_500", 50)
    assert not marking.go_on(brand_id=world.brand.id, corp_id=world.corp.pk, wecom=world.wecom, at=at)
    with brand_scope(world.brand.id):
        state = TagLibrary.objects.get()
        assert (bool(state.problem), state.due_at > at) == (True, True)
    world.simulator.delete("/_sim/faults")
    while not marking.go_on(brand_id=world.brand.id, corp_id=world.corp.pk, wecom=world.wecom, at=at):
        pass
    with brand_scope(world.brand.id):
        assert TagLibrary.objects.get().problem == ""


def told(world, at):
    """The log's readers have read all of it: a test is one transaction, whose rows have no order."""
    with world.scope():
        ReactorCursor.objects.all().delete()
    for reactor in ("segments", "tagging.corp"):
        while reactors.react(brand_id=world.brand.id, reactor=reactor, at=at, horizon=2**62).read:
            pass


def wanted(world, at):
    with world.scope():
        return marking.due(at=at)


def marked(world, at):
    """What the worker does when the corp is due."""
    assert marking.take_up(brand_id=world.brand.id, corp_id=world.corp.pk, at=at)
    return marking.work(brand_id=world.brand.id, corp_id=world.corp.pk, wecom=world.wecom, at=at)


def test_who_enters_or_leaves_a_segment_is_marked_soon_and_nobody_else_is_asked_about(world):
    now = timezone.now()
    tag, _wecom_id = linked(world, name="圈内")
    with world.scope():
        segment = segments.save(name="圈内人", tree={"kind": "tag", "tag_id": tag.pk}, actor=SYSTEM, at=now)
        memberships.set_mode(segment_id=segment.pk, mode="dynamic", actor=SYSTEM, at=now)
        corp_tags.shadow(corp_id=world.corp.pk, segment_id=segment.pk, actor=SYSTEM, at=now)
    while due.work(brand_id=world.brand.id, at=now, horizon=2**62):
        pass
    assert marked(world, now)  # a round; the next is due in ten minutes
    row = row_of(world, segment=segment)
    ids = people_of(world, 4)
    give(world, tag, ids)
    told(world, timezone.now())

    assert wanted(world, timezone.now()) == []  # others may follow
    soon = timezone.now() + hurry.SOON
    assert wanted(world, soon) == [world.corp.pk]
    world.simulator.delete("/_sim/counters")
    assert marked(world, soon)
    assert theirs(world, row.wecom_id) == mains(world, ids)
    assert set(world.simulator.get("/_sim/counters")["calls"]) - {"gettoken"} == {"externalcontact/mark_tag"}
    assert wanted(world, soon) == []

    give(world, tag, ids[:1], takes=True)
    told(world, timezone.now())
    assert marked(world, soon + hurry.SOON)
    assert theirs(world, row.wecom_id) == mains(world, ids[1:])


def test_who_hurries_while_wecom_is_away_is_marked_after_it(world):
    tag, wecom_id = linked(world)
    with world.scope():
        TagLibrary.objects.update(due_at=timezone.now() + timedelta(hours=1))
    give(world, tag, people_of(world, 3))
    told(world, timezone.now())
    at = timezone.now() + hurry.SOON
    fault(world, "mark_tag", "http_500", 500)
    assert not marked(world, at)
    assert wanted(world, at) == []

    world.simulator.delete("/_sim/faults")
    assert marked(world, at + marking.RETRY)
    assert theirs(world, wecom_id) == ours(world, tag) != set()


def test_too_many_to_hurry_begin_a_round(world, monkeypatch):
    monkeypatch.setattr(hurry, "MOST", 2)
    tag, wecom_id = linked(world)
    with world.scope():
        TagLibrary.objects.update(due_at=timezone.now() + timedelta(hours=1))
    give(world, tag, people_of(world, 3))
    told(world, timezone.now())

    assert marked(world, timezone.now())
    assert theirs(world, wecom_id) == ours(world, tag) != set()


def test_a_corp_that_is_not_connected_any_more_is_put_off_with_a_word(world):
    with world.scope():
        CorpApp.objects.update(secret="")
        TagLibrary.objects.update(due_at=timezone.now())
    mark_corp(brand_id=world.brand.id, corp_id=world.corp.pk)

    with world.scope():
        state = TagLibrary.objects.get()
    assert state.problem
    assert state.due_at > timezone.now() + timedelta(minutes=5)
