"""Measures beside the count, the two thresholds, forgetting, and groups of tags that exclude each other."""

from datetime import timedelta
from math import log2

import pytest

from events import log, reactors
from events.models import Event, ReactorCursor
from scrm.lib.errors import Invalid
from tagging import expiry, groups, tags
from tagging.models import ContactTag
from tagging.rules import rerun, rules
from tagging.segments import segments
from tenants.actors import SYSTEM
from tenants.scope import brand_scope
from tests.cast import NOON

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
TICK = timedelta(microseconds=1)


@pytest.fixture
def orchard(cast):
    cast.contact_id = cast.contact(at=NOON).pk
    with brand_scope(cast.brand.id):
        cast.tag = tags.create(name="常客", group="热度", actor=SYSTEM, at=NOON)
        cast.rival = tags.create(name="过客", group="热度", actor=SYSTEM, at=NOON)
    return cast


def rule(cast, **fields):
    with brand_scope(cast.brand.id):
        fields = {"tag_id": cast.tag.pk, "event_type": "sign_in", "window_days": 7} | fields
        return rules.save(name="规则", actor=SYSTEM, at=NOON, **fields)


def did(cast, when, type_="sign_in", **props):
    with brand_scope(cast.brand.id):
        event = log.NewEvent(type_, when, contact_id=cast.contact_id, props=props, source="api")
        log.write([event], at=NOON)
        return str(event.id)


def react(cast, at=NOON):
    with brand_scope(cast.brand.id):
        ReactorCursor.objects.all().delete()
        horizon = log.current_txid() + 1
    while reactors.react(brand_id=cast.brand.id, reactor="tag_rules", at=at, horizon=horizon).read:
        pass


def row(cast, tag=None):
    with brand_scope(cast.brand.id):
        return ContactTag.objects.filter(tag=tag or cast.tag, contact_id=cast.contact_id).first()


def has(cast, at, tag=None):
    with brand_scope(cast.brand.id):
        return segments.count({"kind": "tag", "tag_id": (tag or cast.tag).pk}, at) == 1


def test_between_the_thresholds_whoever_has_the_tag_keeps_it(orchard):
    rule(orchard, min_count=3, low=2)
    for back in (6, 5):
        did(orchard, NOON - back * DAY)
    react(orchard)
    assert row(orchard) is None

    did(orchard, NOON - DAY)
    react(orchard)
    # Two of the three are enough; the second leaves the window seven days after it happened.
    assert row(orchard).expires_at == NOON - 5 * DAY + 7 * DAY + TICK
    assert has(orchard, NOON + 2 * DAY)
    assert not has(orchard, NOON + 2 * DAY + TICK)


def test_a_new_event_between_the_thresholds_prolongs_only_who_has_the_tag(orchard):
    rule(orchard, min_count=3, low=2)
    for back in (6, 5, 1):
        did(orchard, NOON - back * DAY)
    react(orchard)
    did(orchard, NOON + DAY + HOUR)
    react(orchard, at=NOON + DAY + HOUR)
    # In the window then: −5, −1, +1; below two when −1 leaves it.
    assert row(orchard).expires_at == NOON - DAY + 7 * DAY + TICK


def test_gone_by_time_it_is_told_and_earned_anew_from_the_upper_threshold(orchard):
    rule(orchard, min_count=2, low=1)
    did(orchard, NOON - 2 * DAY)
    did(orchard, NOON - DAY)
    react(orchard)
    with brand_scope(orchard.brand.id):
        assert expiry.sweep(brand_id=orchard.brand.id, at=NOON + 7 * DAY) == 1
        assert Event.objects.filter(type="tag_taken").count() == 1
    did(orchard, NOON + 7 * DAY)
    react(orchard, at=NOON + 7 * DAY)
    assert row(orchard) is None


def test_a_sum_that_a_refund_brings_below_the_lower_threshold(orchard):
    rule(orchard, event_type="x_spent", measure="sum", prop="amount_fen", high=10_000, low=5_000, window_days=30)
    did(orchard, NOON - 3 * DAY, "x_spent", amount_fen=6_000)
    react(orchard)
    assert row(orchard) is None
    did(orchard, NOON - 2 * DAY, "x_spent", amount_fen=4_000)
    react(orchard)
    assert row(orchard).evidence["value"] == 10_000
    did(orchard, NOON - DAY, "x_spent", amount_fen=-5_001)
    react(orchard)
    assert row(orchard) is None
    with brand_scope(orchard.brand.id):
        assert [event.props["source"] for event in Event.objects.filter(type="tag_taken")] == ["rule"]


def test_a_rule_that_forgets_lets_go_at_the_computed_moment(orchard):
    rule(orchard, min_count=1, high=1.5, low=0.5, half_life_days=2, window_days=60)
    did(orchard, NOON - 2 * DAY)
    did(orchard, NOON)
    react(orchard)
    found = row(orchard)
    assert found.evidence["value"] == 1.5
    expected = NOON + 2 * DAY * log2(1.5 / 0.5)
    assert abs(found.expires_at - expected) < timedelta(seconds=1)


def test_lately_is_taken_when_it_is_long_ago(orchard):
    rule(orchard, measure="recency", window_days=3)
    did(orchard, NOON - 2 * DAY)
    react(orchard)
    assert row(orchard).expires_at == NOON + DAY + TICK


def test_one_thing_after_another(orchard):
    steps = [{"event": "add_cart", "where": {"category": "婴童"}}, {"event": "order_paid"}]
    rule(orchard, event_type="", measure="sequence", steps=steps, within_hours=24, keep_days=10)
    did(orchard, NOON - 2 * DAY, "order_paid")
    cart = did(orchard, NOON - DAY, "add_cart", category="婴童")
    react(orchard)
    assert row(orchard) is None
    paid = did(orchard, NOON - HOUR, "order_paid")
    react(orchard)
    assert row(orchard).evidence["event_ids"][:2] == [paid, cart]
    assert row(orchard).expires_at == NOON - HOUR + 10 * DAY


def exclusive(cast, way):
    with brand_scope(cast.brand.id):
        groups.set_group(name="热度", exclusive=way, actor=SYSTEM, at=NOON)
        runs = [run.pk for run in rerun.open_runs()]
    for run in runs:
        rerun.run_to_end(brand_id=cast.brand.id, run_id=run, now=NOON)


def test_the_latest_of_a_group_puts_out_the_other_and_says_so(orchard):
    exclusive(orchard, "latest")
    rule(orchard)
    rule(orchard, tag_id=orchard.rival.pk, event_type="draw")
    did(orchard, NOON - 2 * DAY)
    react(orchard)
    did(orchard, NOON - DAY, "draw")
    react(orchard, at=NOON + HOUR)
    assert row(orchard) is None
    (told,) = row(orchard, orchard.rival).evidence["replaced"]
    assert (told["tag"], told["source"]) == ("热度·常客", "rule")
    with brand_scope(orchard.brand.id):
        taken = Event.objects.get(type="tag_taken")
        assert (taken.props["tag"], taken.props["source"]) == ("热度·常客", "exclusion")

    # What comes late does not win over what happened later; all of it again changes nothing.
    did(orchard, NOON - 3 * DAY)
    react(orchard, at=NOON + 2 * HOUR)
    assert row(orchard) is None
    assert row(orchard, orchard.rival).evidence["replaced"] == [told]


def test_the_strongest_of_a_group_stays(orchard):
    with brand_scope(orchard.brand.id):
        tags.set_rank(tag_id=orchard.tag.pk, rank=1, actor=SYSTEM, at=NOON)
    exclusive(orchard, "priority")
    rule(orchard)
    rule(orchard, tag_id=orchard.rival.pk, event_type="draw")
    did(orchard, NOON - 2 * DAY)
    did(orchard, NOON - DAY, "draw")
    react(orchard)
    assert (row(orchard) is not None, row(orchard, orchard.rival)) == (True, None)


def test_a_rule_does_not_put_out_what_a_person_gave(orchard):
    exclusive(orchard, "latest")
    rule(orchard)
    with brand_scope(orchard.brand.id):
        tags.give(tag_id=orchard.rival.pk, contact_ids=[orchard.contact_id], actor=SYSTEM, at=NOON - DAY)
    did(orchard, NOON)
    react(orchard)
    assert (row(orchard), row(orchard, orchard.rival).source) == (None, "manual")
    with brand_scope(orchard.brand.id):
        tags.give(tag_id=orchard.tag.pk, contact_ids=[orchard.contact_id], actor=SYSTEM, at=NOON + HOUR)
    assert row(orchard, orchard.rival) is None


def test_a_group_made_exclusive_keeps_one_tag_each(orchard):
    with brand_scope(orchard.brand.id):
        for tag, at in ((orchard.tag, NOON), (orchard.rival, NOON + HOUR)):
            tags.give(tag_id=tag.pk, contact_ids=[orchard.contact_id], actor=SYSTEM, at=at)
    exclusive(orchard, "latest")
    assert (row(orchard), row(orchard, orchard.rival) is not None) == (None, True)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"min_count": 2, "low": 3}, "low"),
        ({"high": -1}, "high"),
        ({"measure": "sum", "event_type": "order_paid", "prop": "colour"}, "prop"),
        ({"measure": "sequence", "event_type": "", "steps": [{"event": "add_cart"}]}, "steps"),
        ({"measure": "interest", "event_type": "", "where": {}}, "where"),
        ({"measure": "often"}, "measure"),
        ({"measure": "recency", "half_life_days": 7}, "half_life_days"),
        ({"measure": "recency", "high": 3}, "high"),
    ],
)
def test_impossible_rules_are_refused(orchard, wrong, field):
    with pytest.raises(Invalid) as refused:
        rule(orchard, **wrong)
    assert [error.field for error in refused.value.errors] == [field]
