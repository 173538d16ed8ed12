"""Stages by the brand's own rules: who is where since when, what is told, and what the matrix says."""

from datetime import timedelta
from uuid import uuid4

import pytest

from contacts import merging
from contacts.models import Contact, Follow, GroupChat, GroupMember, Identity
from events import log
from events.models import Event
from events.reactors import Batch, EventRow
from points import ledger
from scrm.lib.errors import Conflict, Invalid
from tagging import tags
from tagging.models import ContactTag, LifecycleSpell, Tag
from tagging.rules import lifecycle, rerun, spells
from tagging.rules.lifecycle import FIRST, NEWCOMERS, REPLACED, Stage
from tagging.segments import due, memberships, segments
from tenants.actors import SYSTEM
from tenants.scope import brand_scope
from tests.cast import NOON

DAY, TICK = timedelta(days=1), timedelta(microseconds=1)
BUYER = {"kind": "event_count", "event": "order_paid", "days": 30, "op": "gte", "value": 1}
STAGES = [Stage("buyer", "买家", BUYER), *(Stage(each.key, each.name, each.tree) for each in lifecycle.defaults())]


@pytest.fixture
def orchard(cast):
    cast.ids = [cast.contact(name, at=NOON - 20 * DAY).pk for name in ("陈小满", "李大树", "王芽")]
    with brand_scope(cast.brand.id):
        Contact.objects.filter(pk=cast.ids[0]).update(last_active_at=NOON - DAY)
    return cast


def begin(cast, stages=STAGES, at=NOON):
    with brand_scope(cast.brand.id):
        lifecycle.save(wanted=stages, actor=SYSTEM, at=at)
        (run,) = rerun.open_runs()
    rerun.run_to_end(brand_id=cast.brand.id, run_id=run.pk, now=at)


def now(cast):
    with brand_scope(cast.brand.id):
        rows = LifecycleSpell.objects.filter(until=None)
        return {row.contact_id: (row.stage, row.since, row.due_at) for row in rows}


def told(cast):
    with brand_scope(cast.brand.id):
        rows = Event.objects.filter(type="lifecycle_changed").order_by("occurred_at", "contact_id")
        return [(row.contact_id, row.props["from"], row.props["to"], row.occurred_at) for row in rows]


def paid(cast, contact_id, when):
    with brand_scope(cast.brand.id):
        log.write([log.NewEvent("order_paid", when, contact_id=contact_id, source="api")], at=when)
        row = EventRow(uuid4(), when, when, "order_paid", contact_id, {}, None, None, None, None, "api")
        spells.handle(Batch(cast.brand.id, [row], when + TICK))


def test_the_first_stage_that_fits_is_kept_and_is_no_news(orchard):
    begin(orchard)
    first, second, third = orchard.ids
    assert {key: stage for key, (stage, _since, _due) in now(orchard).items()} == {
        first: "active",
        second: "silent",
        third: "silent",
    }
    assert told(orchard) == []


def test_an_event_moves_a_contact_and_time_moves_them_back_at_the_moment(orchard):
    begin(orchard)
    who = orchard.ids[1]
    paid(orchard, who, NOON + DAY)
    assert now(orchard)[who][:2] == ("buyer", NOON + DAY + TICK)

    with brand_scope(orchard.brand.id):
        assert spells.look_at_due(at=NOON + 31 * DAY) >= 1
    assert now(orchard)[who][0] == "buyer"  # to the microsecond
    with brand_scope(orchard.brand.id):
        assert spells.waits(at=NOON + 32 * DAY)
        while spells.look_at_due(at=NOON + 31 * DAY + timedelta(hours=2)):
            pass
    leaves = NOON + 31 * DAY + TICK
    assert now(orchard)[who][:2] == ("silent", leaves)
    mine = [row[1:] for row in told(orchard) if row[0] == who]
    assert mine == [("silent", "buyer", NOON + DAY + TICK), ("buyer", "silent", leaves)]


def test_the_matrix_counts_who_moved_from_where_to_where(orchard):
    begin(orchard)
    paid(orchard, orchard.ids[1], NOON + 2 * DAY)
    newcomer = orchard.contact("新人", at=NOON + 3 * DAY).pk
    with brand_scope(orchard.brand.id):
        spells.look(contact_ids=[newcomer], at=NOON + 3 * DAY, cause="row")
        found = lifecycle.matrix(start=NOON + DAY, end=NOON + 4 * DAY)
        assert found == {("active", "active"): 1, ("silent", "buyer"): 1, ("silent", "silent"): 1, ("-", "new"): 1}
        assert lifecycle.matrix(start=NOON + DAY, end=NOON + DAY) == {("active", "active"): 1, ("silent", "silent"): 2}


def test_segments_ask_for_the_brands_stages(orchard):
    begin(orchard)
    paid(orchard, orchard.ids[2], NOON + DAY)
    with brand_scope(orchard.brand.id):
        leaf = {"kind": "stage", "stage": ["buyer"]}
        assert segments.count(leaf, NOON + 2 * DAY) == 1
        assert segments.count({**leaf, "days": 2}, NOON + 4 * DAY) == 0
        verdict = segments.explain(leaf, orchard.ids[2], NOON + DAY)
        assert (verdict.held, "买家" in verdict.sentence) == (True, True)


def test_changed_rules_write_history_but_no_events(orchard):
    begin(orchard)
    everybody = [Stage("all", "所有人", {"all": []})]
    begin(orchard, everybody, NOON + DAY)
    assert {stage for stage, _since, _due in now(orchard).values()} == {"all"}
    assert told(orchard) == []
    with brand_scope(orchard.brand.id):
        assert LifecycleSpell.objects.count() == 6


@pytest.mark.parametrize(
    ("stages", "field"),
    [
        ([Stage("a", "甲", {"all": []}), Stage("a", "乙", {"all": []})], "stages[1].key"),
        ([Stage("a", "", {"all": []})], "stages[0].name"),
        ([Stage("a", "甲", {"kind": "stage", "stage": "b"})], "stages[0].tree.kind"),
        ([Stage("a", "甲", {"all": [{"kind": "nix"}]})], "stages[0].tree.all[0].kind"),
    ],
)
def test_impossible_stages_are_refused(orchard, stages, field):
    with brand_scope(orchard.brand.id), pytest.raises(Invalid) as refused:
        lifecycle.save(wanted=stages, actor=SYSTEM, at=NOON)
    assert [error.field for error in refused.value.errors] == [field]


def test_who_was_there_before_the_stages_has_not_arrived_when_placed(orchard):
    """The first run takes a while; somebody may do something before it reaches them."""
    with brand_scope(orchard.brand.id):
        lifecycle.save(wanted=STAGES, actor=SYSTEM, at=NOON)
        (run,) = rerun.open_runs()
    paid(orchard, orchard.ids[1], NOON + timedelta(hours=1))
    newcomer = orchard.contact("新人", at=NOON + timedelta(hours=2)).pk
    rerun.run_to_end(brand_id=orchard.brand.id, run_id=run.pk, now=NOON + timedelta(hours=3))

    with brand_scope(orchard.brand.id):
        found = lifecycle.matrix(start=NOON + timedelta(minutes=1), end=NOON + DAY)
        causes = dict(LifecycleSpell.objects.values_list("contact_id", "cause"))
    assert found == {(FIRST, "buyer"): 1, (FIRST, "active"): 1, (FIRST, "silent"): 1, (NEWCOMERS, "new"): 1}
    assert causes == {**dict.fromkeys(orchard.ids, "first"), newcomer: "new"}
    assert told(orchard) == []


def test_what_changed_stages_make_of_somebody_is_no_migration(orchard):
    begin(orchard)
    paid(orchard, orchard.ids[1], NOON + DAY)
    begin(orchard, [STAGES[0], Stage("all", "其余", {"all": []})], NOON + 2 * DAY)

    with brand_scope(orchard.brand.id):
        across = lifecycle.matrix(start=NOON + timedelta(hours=1), end=NOON + 3 * DAY)
        assert across == {("silent", "buyer"): 1, (REPLACED, "all"): 2}
        assert lifecycle.matrix(start=NOON + 3 * DAY, end=NOON + 4 * DAY) == {("buyer", "buyer"): 1, ("all", "all"): 2}


def test_without_stages_nobody_is_in_one_and_beginning_again_is_no_migration(orchard):
    begin(orchard)
    begin(orchard, [], NOON + DAY)
    assert now(orchard) == {}
    with brand_scope(orchard.brand.id):
        assert LifecycleSpell.objects.count() == 3
    begin(orchard, STAGES, NOON + 2 * DAY)
    with brand_scope(orchard.brand.id):
        found = lifecycle.matrix(start=NOON + timedelta(hours=1), end=NOON + 3 * DAY)
    assert found == {(REPLACED, "active"): 1, (REPLACED, "silent"): 2}


def test_two_who_became_one_are_counted_once(orchard):
    begin(orchard)
    with brand_scope(orchard.brand.id):
        merging.merge(wanted=[merging.Wanted(orchard.ids[0], orchard.ids[1])], at=NOON + DAY)
        found = lifecycle.matrix(start=NOON + timedelta(hours=1), end=NOON + 2 * DAY)
    assert sum(found.values()) == 2


def work(cast, at):
    """Do all that waits for a look, as the beat does; what a look writes may wait for one more."""
    for _turn in range(9):
        while due.work(brand_id=cast.brand.id, at=at, horizon=2**62):
            pass
        with brand_scope(cast.brand.id):
            if not due.waits(brand_id=cast.brand.id, at=at):
                return
    pytest.fail("it never comes to an end")


def _corrected(cast, who):
    Contact.objects.filter(pk=who).update(gender=2)


def _befriended(cast, who):
    Follow.objects.filter(contact_id=who).update(state="vip-card")


def _joined(cast, who):
    chat = GroupChat.objects.create(corp=cast.corp, chat_id="wr1", name="会员群")
    GroupMember.objects.create(
        brand_id=cast.brand.pk, chat=chat, member_id="wm1", kind=2, contact_id=who, joined_at=NOON
    )


def _tagged(cast, who):
    tag = Tag.objects.get(name="VIP")
    ContactTag.objects.create(brand_id=cast.brand.pk, contact_id=who, tag=tag, source="import", given_at=NOON)


def _known(cast, who):
    Identity.objects.create(id=uuid4(), contact_id=who, type="unionid", value="o-1", first_seen_at=NOON)


def _credited(cast, who):
    ledger.grant(contact_id=who, points=10, key="k1", at=NOON)


ACTS = {
    "profile": (_corrected, {"kind": "profile", "field": "gender", "op": "eq", "value": 2}),
    "follow": (_befriended, {"kind": "follow", "state": "vip-card"}),
    "group": (_joined, {"kind": "group_member"}),
    "tag": (_tagged, {"kind": "tag", "tag": "VIP"}),
    "identity": (_known, {"kind": "identity", "type": "unionid", "op": "has"}),
    "points": (_credited, {"kind": "points_balance", "op": "gte", "value": 1}),
}


@pytest.mark.parametrize("name", ACTS)
def test_a_row_that_is_changed_without_an_event_moves_a_contact(orchard, name):
    """Syncs, imports and merges write rows and no event; no dynamic segment is there to be asked."""
    act, tree = ACTS[name]
    with brand_scope(orchard.brand.id):
        tags.create(name="VIP", actor=SYSTEM, at=NOON)
    begin(orchard, [Stage("vip", "会员", tree), *STAGES])
    who = orchard.ids[1]
    work(orchard, NOON)
    assert now(orchard)[who][0] == "silent"

    with brand_scope(orchard.brand.id):
        act(orchard, who)
    work(orchard, NOON + DAY)
    assert now(orchard)[who][:2] == ("vip", NOON + DAY)
    assert [row[:3] for row in told(orchard)] == [(who, "silent", "vip")]
    with brand_scope(orchard.brand.id):
        assert LifecycleSpell.objects.get(contact_id=who, until=None).cause == "row"


def test_a_contact_who_comes_without_an_event_is_placed(orchard):
    begin(orchard)
    work(orchard, NOON)
    newcomer = orchard.contact("同步来的", at=NOON + DAY).pk
    work(orchard, NOON + DAY)
    assert now(orchard)[newcomer][:2] == ("new", NOON + DAY)


def test_a_stages_segment_that_changes_moves_contacts_and_cannot_be_put_away(orchard):
    with brand_scope(orchard.brand.id):
        tags.create(name="VIP", actor=SYSTEM, at=NOON)
        inner = segments.save(name="里", tree={"kind": "tag", "tag": "VIP"}, actor=SYSTEM, at=NOON)
        outer = segments.save(name="外", tree={"kind": "segment", "segment_id": inner.pk}, actor=SYSTEM, at=NOON)
    begin(orchard, [Stage("x", "外", {"kind": "segment", "segment_id": outer.pk}), *STAGES])
    with brand_scope(orchard.brand.id):
        with pytest.raises(Conflict) as refused:
            segments.archive(segment_id=outer.pk, actor=SYSTEM, at=NOON)
        assert refused.value.problem_code == "tagging.segment_in_use"
        segments.save(segment_id=inner.pk, name="里", tree={"all": []}, actor=SYSTEM, at=NOON + DAY)
        (run,) = rerun.open_runs()
    rerun.run_to_end(brand_id=orchard.brand.id, run_id=run.pk, now=NOON + DAY)
    assert {stage for stage, _since, _due in now(orchard).values()} == {"x"}


def test_a_stage_asks_for_no_stage_behind_a_segments_back_either(orchard):
    begin(orchard)
    with brand_scope(orchard.brand.id):
        made = segments.save(name="问阶段", tree={"kind": "stage", "stage": "buyer"}, actor=SYSTEM, at=NOON)
        wanted = [Stage("a", "甲", {"none": [{"kind": "segment", "segment_id": made.pk}]})]
        with pytest.raises(Invalid) as refused:
            lifecycle.save(wanted=wanted, actor=SYSTEM, at=NOON)
    assert [error.field for error in refused.value.errors] == ["stages[0].tree.none[0].kind"]
    with brand_scope(orchard.brand.id):
        # Nor afterwards: who is in the stage would leave it for being in it, and come back, for ever.
        inner = segments.save(name="里", tree={"all": []}, actor=SYSTEM, at=NOON)
        named = segments.save(name="外", tree={"kind": "segment", "segment_id": inner.pk}, actor=SYSTEM, at=NOON)
        lifecycle.save(wanted=[Stage("a", "甲", {"kind": "segment", "segment_id": named.pk})], actor=SYSTEM, at=NOON)
        wrong = {"none": [{"kind": "stage", "stage": "a"}]}
        with pytest.raises(Invalid) as refused:
            segments.save(segment_id=inner.pk, name="里", tree=wrong, actor=SYSTEM, at=NOON)
        assert [error.field for error in refused.value.errors] == ["tree.none[0].kind"]


def test_a_dynamic_segment_of_a_stage_takes_in_who_is_placed_without_news(orchard):
    begin(orchard)
    with brand_scope(orchard.brand.id):
        made = segments.save(name="沉默", tree={"kind": "stage", "stage": "silent"}, actor=SYSTEM, at=NOON)
        memberships.set_mode(segment_id=made.pk, mode="dynamic", actor=SYSTEM, at=NOON)
    work(orchard, NOON)
    begin(orchard, [], NOON + DAY / 2)
    work(orchard, NOON + DAY / 2)
    with brand_scope(orchard.brand.id):
        assert memberships.members(made.pk) == []
    begin(orchard, at=NOON + DAY)
    work(orchard, NOON + DAY)
    with brand_scope(orchard.brand.id):
        assert {contact.pk for contact in memberships.members(made.pk)} == set(orchard.ids[1:])
    begin(orchard, [], NOON + 2 * DAY)
    work(orchard, NOON + 2 * DAY)
    with brand_scope(orchard.brand.id):
        assert memberships.members(made.pk) == []
