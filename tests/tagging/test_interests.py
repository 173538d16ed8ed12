"""Interest scores: kept step by step they are what the log says, and their tags come and go at the right moment."""

import math
from datetime import timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contacts.merging import Wanted, merge
from events import log
from events.models import ReactorCursor
from events.reactors import Batch, EventRow
from scrm.lib.errors import Invalid
from tagging import expiry, of_contact, tags
from tagging.models import ContactTag, InterestScore
from tagging.rules import interests, rules, scoring
from tagging.segments import segments
from tenants.actors import SYSTEM
from tenants.scope import brand_scope
from tests.cast import NOON

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
HALF = timedelta(days=14)


@pytest.fixture
def orchard(cast):
    cast.ids = [cast.contact(name, at=NOON).pk for name in ("陈小满", "李大树")]
    return cast


def event(number, *, days=0.0, contact=0, type_="product_view", category="婴童", dwell=20):
    """A plain description of an event; `number` is its identity."""
    return (number, days, contact, type_, category, dwell)


def write(cast, events):
    """Put them into the log and hand them to the reactor as one batch; the cursor stands behind them."""
    with brand_scope(cast.brand.id):
        rows = []
        for number, days, contact, type_, category, dwell in events:
            props = {"category": category} | ({} if dwell is None else {"dwell_seconds": dwell})
            made = log.NewEvent(type_, NOON - days * DAY, id=UUID(int=number), props=props, source="api")
            made.contact_id = cast.ids[contact]
            log.write([made], at=NOON)
            rows.append(
                EventRow(made.id, made.occurred_at, NOON, type_, cast.ids[contact], props, category, None, None, dwell,
                         "api")
            )  # fmt: skip
        rows.sort(key=lambda row: row.occurred_at)
        interests.handle(Batch(cast.brand.id, rows, NOON))
        last = {"txid": 2**60, "event_id": UUID(int=2**128 - 1), "updated_at": NOON}
        ReactorCursor.objects.update_or_create(brand_id=cast.brand.id, reactor=interests.NAME, defaults=last)


def kept(cast):
    with brand_scope(cast.brand.id):
        return {
            (row.contact_id, row.key): (row.score, row.as_of, [part["id"] for part in row.top])
            for row in InterestScore.objects.all()
        }


def test_a_score_is_the_formula(orchard):
    write(orchard, [event(1, days=14, dwell=20), event(2, days=7, type_="add_cart", dwell=None), event(3, dwell=5)])

    (score, as_of, top) = kept(orchard)[orchard.ids[0], "婴童"]
    assert as_of == NOON
    assert score == pytest.approx(math.log(3) / 2 + 3 / math.sqrt(2) + math.log(1.5))
    assert top == [str(UUID(int=n)) for n in (2, 1, 3)]
    with brand_scope(orchard.brand.id):
        (later,) = of_contact.drawn_to(orchard.ids[0], at=NOON + HALF)["category"]
    assert (later.key, later.score) == ("婴童", pytest.approx(score / 2))


TYPES = st.sampled_from(["product_view", "add_cart", "order_paid", "sign_in"])
EVENTS = st.lists(
    st.tuples(
        st.floats(0, 40).map(lambda days: round(days, 3)),
        st.integers(0, 1),
        TYPES,
        st.sampled_from(["婴童", "家纺"]),
        st.one_of(st.none(), st.integers(0, 600)),
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(events=EVENTS, cuts=st.lists(st.integers(0, 25), max_size=4))
def test_step_by_step_in_any_order_is_what_the_log_says(orchard, events, cuts):
    with brand_scope(orchard.brand.id):
        InterestScore.objects.all().delete()
        ReactorCursor.objects.all().delete()
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM events_event")
    numbered = [(index + 1, *each) for index, each in enumerate(events)]
    edges = sorted({0, len(numbered), *(cut for cut in cuts if cut < len(numbered))})
    for first, last in pairwise(edges):
        write(orchard, numbered[first:last])
    stepwise = kept(orchard)

    with brand_scope(orchard.brand.id):
        interests.recompute(contact_ids=orchard.ids, at=NOON)

    anew = kept(orchard)
    assert stepwise.keys() == anew.keys()
    for key, (score, as_of, top) in anew.items():
        assert stepwise[key][0] == pytest.approx(score, rel=1e-9)
        assert (stepwise[key][1], stepwise[key][2]) == (as_of, top)


def test_the_tag_comes_at_the_upper_threshold_and_goes_at_the_lower(orchard):
    with brand_scope(orchard.brand.id):
        tag = tags.create(name="婴童", group="兴趣", actor=SYSTEM, at=NOON)
        fields = {"measure": "interest", "where": {"category": "婴童"}, "high": 4.0, "low": 2.0}
        rule = rules.save(name="爱婴童", tag_id=tag.pk, actor=SYSTEM, at=NOON, **fields)
        assert "婴童" in rules.sentence(rule)
    write(orchard, [event(1, days=1, type_="add_cart", dwell=None)])
    with brand_scope(orchard.brand.id):
        assert not ContactTag.objects.exists()
    write(orchard, [event(2, type_="add_cart", dwell=None)])

    ((score, as_of, _top),) = kept(orchard).values()
    with brand_scope(orchard.brand.id):
        row = ContactTag.objects.get()
        assert (row.contact_id, row.rule_id, row.evidence["count"]) == (orchard.ids[0], rule.pk, 2)
        fades = as_of + HALF * math.log2(score / 2)
        assert abs(row.expires_at - fades) < SECOND
        leaf = {"kind": "interest", "category": "婴童", "value": 200}
        verdict = segments.explain(leaf, orchard.ids[0], NOON)
        assert verdict.held
        assert abs(verdict.next_flip_at - fades) < SECOND
        assert segments.count(leaf, fades - SECOND) == 1
        assert segments.count(leaf, fades + SECOND) == 0
        assert segments.count({**leaf, "op": "lt"}, NOON) == 1
        assert expiry.sweep(brand_id=orchard.brand.id, at=fades - SECOND) == 0
        assert expiry.sweep(brand_id=orchard.brand.id, at=fades + SECOND) == 1


def test_a_merge_adds_up_what_both_looked_at(orchard):
    write(orchard, [event(1, days=3), event(2, days=1, contact=1)])
    with brand_scope(orchard.brand.id):
        wanted = Wanted(orchard.ids[0], orchard.ids[1], {})
        merge(wanted=[wanted], actor=SYSTEM, reason="manual", at=NOON)
        told = EventRow(UUID(int=9), NOON, NOON, "contact_merged", orchard.ids[0], {"other_id": orchard.ids[1]},
                        None, None, None, None, "system")  # fmt: skip
        interests.handle(Batch(orchard.brand.id, [told], NOON))
    (score, as_of, top) = kept(orchard)[orchard.ids[0], "婴童"]
    assert as_of == NOON - DAY
    assert score == pytest.approx(math.log(3) * (1 + 2 ** (-2 / 14)))
    assert len(top) == 2


def test_other_weights_by_the_brand(orchard):
    with brand_scope(orchard.brand.id):
        scoring.set_policy(half_life_days=1, weights={"search": 2, "product_view": 1}, actor=SYSTEM, at=NOON)
        assert interests.wanted_types() >= {"search", "product_view"}
        for wrong in ({"half_life_days": 0, "weights": {"search": 1}}, {"half_life_days": 7, "weights": {"nix": 1}}):
            with pytest.raises(Invalid):
                scoring.set_policy(actor=SYSTEM, at=NOON, **wrong)
    write(orchard, [event(1, days=1), event(2, days=0)])
    assert kept(orchard)[orchard.ids[0], "婴童"][0] == pytest.approx(1.5 * math.log(3))


def test_who_has_no_interest_by_the_new_weights_loses_the_rules_tag(orchard):
    with brand_scope(orchard.brand.id):
        tag = tags.create(name="婴童", group="兴趣", actor=SYSTEM, at=NOON)
        fields = {"measure": "interest", "where": {"category": "婴童"}, "high": 1.0, "low": 0.5}
        rules.save(name="爱婴童", tag_id=tag.pk, actor=SYSTEM, at=NOON, **fields)
    write(orchard, [event(1), event(2, type_="add_cart", contact=1, dwell=None)])
    with brand_scope(orchard.brand.id):
        assert ContactTag.objects.count() == 2
        scoring.set_policy(half_life_days=14, weights={"product_view": 1}, actor=SYSTEM, at=NOON)
        interests.recompute(contact_ids=orchard.ids, at=NOON)
        assert list(ContactTag.objects.values_list("contact_id", flat=True)) == orchard.ids[:1]
