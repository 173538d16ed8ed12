"""A rule over history: first what it would change, then the change; in ranges that go on where they stopped."""

from datetime import timedelta

import pytest

from events import log
from events.models import Event
from scrm.lib.errors import Conflict
from tagging import giving, groups, tags
from tagging.grants import Grant
from tagging.models import ContactTag, TagRun
from tagging.rules import rerun, rules
from tenants.actors import SYSTEM
from tenants.scope import brand_scope
from tests.cast import NOON

DAY = timedelta(days=1)


@pytest.fixture
def orchard(cast, monkeypatch):
    monkeypatch.setattr(rerun, "STEP", 2)
    cast.ids = [cast.contact(f"客户{n}", at=NOON).pk for n in range(5)]
    with brand_scope(cast.brand.id):
        cast.tag = tags.create(name="常客", actor=SYSTEM, at=NOON)
        fields = {"event_type": "sign_in", "min_count": 2, "low": 1, "window_days": 30}
        cast.rule = rules.save(name="常客", tag_id=cast.tag.pk, actor=SYSTEM, at=NOON, **fields)
        log.write(
            [
                log.NewEvent("sign_in", NOON - day * DAY, contact_id=contact, fires=False)
                for contact, day in [(cast.ids[0], 1), (cast.ids[0], 2), (cast.ids[4], 3), (cast.ids[4], 4),
                                     (cast.ids[1], 5)]
            ],
            at=NOON,
        )  # fmt: skip
        # One who has the tag of the rule and does not earn it any more.
        ContactTag.objects.create(
            brand_id=cast.brand.id, contact_id=cast.ids[2], tag=cast.tag, source="rule", rule=cast.rule, given_at=NOON
        )
    return cast


def begin(cast, kind, at=NOON):
    with brand_scope(cast.brand.id):
        return rerun.begin(rule_id=cast.rule.pk, kind=kind, actor=SYSTEM, at=at).pk


def state(cast, run_id):
    with brand_scope(cast.brand.id):
        run = TagRun.objects.get(pk=run_id)
        holders = set(ContactTag.objects.values_list("contact_id", flat=True))
        return run.result, run.finished_at is not None, holders


def test_a_preview_counts_and_changes_nothing(orchard):
    before = orchard.ids[2]
    run = begin(orchard, "preview")
    rerun.run_to_end(brand_id=orchard.brand.id, run_id=run, now=NOON)
    assert state(orchard, run) == ({"given": 2, "taken": 1, "kept": 0, "replaced": 0}, True, {before})


def test_an_application_does_what_the_preview_said_and_goes_on_where_it_stopped(orchard):
    preview = begin(orchard, "preview")
    rerun.run_to_end(brand_id=orchard.brand.id, run_id=preview, now=NOON)
    run = begin(orchard, "apply")
    assert rerun.advance(brand_id=orchard.brand.id, run_id=run, now=NOON)
    result, is_finished, _holders = state(orchard, run)
    assert (result["given"], is_finished) == (1, False)

    rerun.run_to_end(brand_id=orchard.brand.id, run_id=run, now=NOON)

    result, is_finished, holders = state(orchard, run)
    assert (result, is_finished) == (state(orchard, preview)[0], True)
    assert holders == {orchard.ids[0], orchard.ids[4]}
    with brand_scope(orchard.brand.id):
        assert Event.objects.filter(type="tag_given").count() == 2
        assert ContactTag.objects.get(contact_id=orchard.ids[0]).evidence["count"] == 2

    again = begin(orchard, "preview")
    rerun.run_to_end(brand_id=orchard.brand.id, run_id=again, now=NOON)
    assert state(orchard, again)[0] == {"given": 0, "taken": 0, "kept": 2, "replaced": 0}


def test_no_application_without_a_preview_of_the_rule_as_it_is(orchard):
    with pytest.raises(Conflict) as refused:
        begin(orchard, "apply")
    assert refused.value.problem_code == "tagging.rule_changed"
    run = begin(orchard, "preview")
    with pytest.raises(Conflict) as refused:
        begin(orchard, "preview")
    assert refused.value.problem_code == "tagging.run_exists"
    rerun.run_to_end(brand_id=orchard.brand.id, run_id=run, now=NOON)
    with brand_scope(orchard.brand.id):
        rules.save(**{**rules.fields_of(orchard.rule), "min_count": 3}, rule_id=orchard.rule.pk, actor=SYSTEM, at=NOON)
    with pytest.raises(Conflict):
        begin(orchard, "apply")


def test_a_preview_knows_what_an_exclusive_group_lets_stand(orchard):
    """One of the two who earn the tag has the group's other tag from a person, the other has it from a rule."""
    with brand_scope(orchard.brand.id):
        rival = tags.create(name="过客", group="热度", actor=SYSTEM, at=NOON)
        own = tags.create(name="常客", group="热度", actor=SYSTEM, at=NOON)
        groups.set_group(name="热度", exclusive="latest", actor=SYSTEM, at=NOON)
        fields = rules.fields_of(orchard.rule) | {"tag_id": own.pk}
        orchard.rule = rules.save(**fields, actor=SYSTEM, at=NOON)
        tags.give(tag_id=rival.pk, contact_ids=[orchard.ids[0]], actor=SYSTEM, at=NOON - DAY)
        grants = [Grant(orchard.ids[4], rival.pk, moment=NOON - 9 * DAY)]
        giving.give(grants=grants, source="rule", at=NOON - 9 * DAY)
    preview = begin(orchard, "preview")
    rerun.run_to_end(brand_id=orchard.brand.id, run_id=preview, now=NOON)
    run = begin(orchard, "apply")
    rerun.run_to_end(brand_id=orchard.brand.id, run_id=run, now=NOON)
    told = {"given": 1, "taken": 0, "kept": 0, "replaced": 1}
    assert (state(orchard, preview)[0], state(orchard, run)[0]) == (told, told)
    with brand_scope(orchard.brand.id):
        had = set(ContactTag.objects.filter(tag__group="热度").values_list("contact_id", "tag_id"))
    assert had == {(orchard.ids[0], rival.pk), (orchard.ids[4], own.pk)}
