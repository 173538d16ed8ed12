"""A rule on events gives its tag once the events are there, with them as evidence."""

from datetime import timedelta
from uuid import UUID

import pytest

from contacts import merging
from events import log, reactors
from events.models import Event, ReactorCursor
from events.reactors import Batch, EventRow
from scrm.lib.errors import Invalid, NotFound
from tagging import tags
from tagging.models import ContactTag, TagRule
from tagging.rules import reacting, rules
from tagging.segments import segments
from tenants.actors import SYSTEM
from tenants.scope import brand_scope
from tests.cast import NOON

DAY = timedelta(days=1)


@pytest.fixture
def orchard(cast):
    cast.contact_id = cast.contact(at=NOON).pk
    cast.other_id = cast.contact("李大树", at=NOON).pk
    with brand_scope(cast.brand.id):
        cast.tag = tags.create(name="婴童", group="兴趣", actor=SYSTEM, at=NOON)
        cast.rule = rules.save(
            name="看过两次婴童",
            tag_id=cast.tag.pk,
            event_type="product_view",
            where={"category": "婴童", "min_dwell_seconds": 15},
            min_count=2,
            window_days=7,
            keep_days=30,
            actor=SYSTEM,
            at=NOON,
        )
    return cast


def viewed(cast, when, *, who=None, category="婴童", dwell=20, fires=True):
    """Write a view and return its id."""
    with brand_scope(cast.brand.id):
        event = log.NewEvent(
            "product_view",
            when,
            contact_id=who or cast.contact_id,
            props={"category": category, "dwell_seconds": dwell, "product_id": "A1"},
            source="api",
            fires=fires,
        )
        log.write([event], at=NOON)
        return event.id


def react(cast, *, at=NOON):
    """Let the rules read everything that there is, from the start.

    A test is one transaction, so rows of one txid would come in order of their random ids, also behind the cursor."""
    with brand_scope(cast.brand.id):
        ReactorCursor.objects.all().delete()
        horizon = log.current_txid() + 1
    while reactors.react(brand_id=cast.brand.id, reactor="tag_rules", at=at, horizon=horizon).read:
        pass


def given(cast):
    """Contact → row of those who have ever been given the tag."""
    with brand_scope(cast.brand.id):
        return {row.contact_id: row for row in ContactTag.objects.filter(tag=cast.tag)}


def test_gives_the_tag_with_the_events_as_evidence(orchard):
    first = viewed(orchard, NOON - 3 * DAY)
    react(orchard)
    assert given(orchard) == {}

    second = viewed(orchard, NOON - DAY)
    viewed(orchard, NOON - DAY, who=orchard.other_id)
    react(orchard)

    (row,) = given(orchard).values()
    assert (row.contact_id, row.source, row.rule_id) == (orchard.contact_id, "rule", orchard.rule.pk)
    assert [UUID(key) for key in row.evidence["event_ids"]] == [second, first]
    assert row.evidence["count"] == 2
    assert row.expires_at == NOON - DAY + 30 * DAY
    with brand_scope(orchard.brand.id):
        told = Event.objects.get(type="tag_given")
        assert (told.contact_id, told.props["source"], told.props["tag_id"]) == (
            orchard.contact_id,
            "rule",
            orchard.tag.pk,
        )
        verdict = segments.explain({"kind": "tag", "tag": "兴趣·婴童"}, orchard.contact_id, NOON)
        assert verdict.held
        assert verdict.actual[0]["evidence"]["event_ids"] == [str(second), str(first)]


@pytest.mark.parametrize(
    ("_case", "options"),
    [
        ("another category", {"category": "家居"}),
        ("a glance", {"dwell": 14}),
        ("too long ago", {"when": NOON - 8 * DAY}),
    ],
)
def test_events_outside_the_rule_do_not_count(orchard, _case, options):
    viewed(orchard, NOON - DAY)
    viewed(orchard, options.pop("when", NOON - 2 * DAY), **options)

    react(orchard)

    assert given(orchard) == {}


def test_a_merge_completes_what_either_had_begun(orchard):
    viewed(orchard, NOON - 2 * DAY)
    viewed(orchard, NOON - DAY, who=orchard.other_id)
    react(orchard)
    assert not given(orchard)
    with brand_scope(orchard.brand.id):
        merging.merge(wanted=[merging.Wanted(orchard.contact_id, orchard.other_id)], at=NOON)
        ids = {"other_id": orchard.other_id}
        told = EventRow(UUID(int=9), NOON, NOON, "contact_merged", orchard.contact_id, ids, None, None, None, None, "")
        reacting.handle(Batch(orchard.brand.id, [told], NOON))
    with brand_scope(orchard.brand.id):
        assert list(ContactTag.objects.values_list("contact_id", flat=True)) == [orchard.contact_id]


def test_a_late_event_completes_what_came_before(orchard):
    viewed(orchard, NOON - DAY)
    react(orchard)
    viewed(orchard, NOON - 5 * DAY)  # happened before, arrives after
    react(orchard)

    assert list(given(orchard)) == [orchard.contact_id]


def test_imported_events_count_but_do_not_fire(orchard):
    viewed(orchard, NOON - DAY, fires=False)
    viewed(orchard, NOON - 2 * DAY, fires=False)
    react(orchard)
    assert given(orchard) == {}

    viewed(orchard, NOON)
    react(orchard)
    assert given(orchard)[orchard.contact_id].evidence["count"] == 3


def test_the_same_batch_again_changes_nothing(orchard):
    viewed(orchard, NOON - DAY)
    viewed(orchard, NOON - 2 * DAY)
    react(orchard)
    before = given(orchard)[orchard.contact_id]
    rows = [
        reactors.EventRow(e.id, e.occurred_at, e.received_at, e.type, e.contact_id, e.props, e.category, e.product_id,
                          e.amount_fen, e.dwell_seconds, e.source)
        for e in scoped_events(orchard)
    ]  # fmt: skip

    with brand_scope(orchard.brand.id):
        reacting.handle(reactors.Batch(orchard.brand.id, rows, NOON + DAY))

    after = given(orchard)[orchard.contact_id]
    assert (after.given_at, after.expires_at, after.evidence) == (
        before.given_at,
        before.expires_at,
        before.evidence,
    )
    with brand_scope(orchard.brand.id):
        assert Event.objects.filter(type="tag_given").count() == 1


def scoped_events(cast):
    """The views in the log."""
    with brand_scope(cast.brand.id):
        return list(Event.objects.filter(type="product_view"))


def test_a_new_event_prolongs_what_the_rule_gave(orchard):
    viewed(orchard, NOON - DAY)
    viewed(orchard, NOON - 2 * DAY)
    react(orchard)
    viewed(orchard, NOON + DAY)
    react(orchard, at=NOON + DAY)

    assert given(orchard)[orchard.contact_id].expires_at == NOON + 31 * DAY


def test_what_a_person_gave_stays_theirs(orchard):
    with brand_scope(orchard.brand.id):
        tags.give(tag_id=orchard.tag.pk, contact_ids=[orchard.contact_id], actor=SYSTEM, at=NOON)
    viewed(orchard, NOON - DAY)
    viewed(orchard, NOON - 2 * DAY)
    react(orchard)

    row = given(orchard)[orchard.contact_id]
    assert (row.source, row.expires_at, row.evidence) == ("manual", None, {"actor": "system"})


def test_a_disabled_rule_does_nothing(orchard):
    with brand_scope(orchard.brand.id):
        TagRule.objects.update(enabled=False)
    viewed(orchard, NOON - DAY)
    viewed(orchard, NOON - 2 * DAY)
    react(orchard)

    assert given(orchard) == {}


def test_a_wrong_rule_names_its_fields(orchard):
    wrong = {"name": "", "event_type": "product_view", "where": {"colour": 1}, "min_count": 0, "window_days": 99999}
    with brand_scope(orchard.brand.id):
        with pytest.raises(Invalid) as refused:
            rules.save(tag_id=orchard.tag.pk, actor=SYSTEM, at=NOON, **wrong)
        assert [error.field for error in refused.value.errors] == ["name", "min_count", "window_days", "where.colour"]
        with pytest.raises(NotFound):
            rules.save(name="x", tag_id=10**9, event_type="sign_in", actor=SYSTEM, at=NOON)
        assert TagRule.objects.count() == 1
        assert "婴童" in rules.sentence(orchard.rule)
