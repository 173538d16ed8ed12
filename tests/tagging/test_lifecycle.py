"""Stages by the brand's own rules: who is where since when, what is told, and what the matrix says."""

from datetime import timedelta
from uuid import uuid4

import pytest

from contacts.models import Contact
from events import log
from events.models import Event
from events.reactors import Batch, EventRow
from scrm.lib.errors import Invalid
from tagging.models import LifecycleSpell
from tagging.rules import lifecycle, rerun
from tagging.rules.lifecycle import Stage
from tagging.segments import segments
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
        lifecycle.handle(Batch(cast.brand.id, [row], when + TICK))


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
        assert lifecycle.look_at_due(at=NOON + 31 * DAY) >= 1
    assert now(orchard)[who][0] == "buyer"  # to the microsecond
    with brand_scope(orchard.brand.id):
        assert lifecycle.waits(at=NOON + 32 * DAY)
        while lifecycle.look_at_due(at=NOON + 31 * DAY + timedelta(hours=2)):
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
        lifecycle.look(contact_ids=[newcomer], at=NOON + 3 * DAY)
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
