"""A wrong tree is refused with the place, what is wrong and what to do."""

import json

import pytest
from django.utils import translation

from scrm.lib.errors import Conflict, Invalid
from tagging.language import compiler
from tagging.segments import segments
from tenants.scope import brand_scope

COUNT = {"kind": "event_count", "event": "product_view", "op": "gte", "value": 1}
EVENT = {"kind": "event", "event": "order_paid", "op": "gte", "value": 1}
SEQUENCE = {"kind": "sequence", "steps": [{"event": "add_cart"}, {"event": "order_paid"}]}
REGEXP = {"kind": "profile", "field": "name", "op": "regexp"}
GENDER = {"kind": "profile", "field": "gender", "op": "eq", "value": 2}


def nested(levels):
    tree = GENDER
    for _level in range(levels):
        tree = {"all": [tree]}
    return tree


@pytest.mark.parametrize(
    ("tree", "field", "code"),
    [
        (None, "tree", "tagging.wrong_type"),
        ([GENDER], "tree", "tagging.wrong_type"),
        ({}, "tree.kind", "tagging.unknown_kind"),
        ({"kind": ["profile"]}, "tree.kind", "tagging.unknown_kind"),
        ({"kind": "horoscope"}, "tree.kind", "tagging.unknown_kind"),
        ({"all": [GENDER], "any": [GENDER]}, "tree", "tagging.bad_group"),
        ({"all": GENDER}, "tree.all", "tagging.wrong_type"),
        ({"any": []}, "tree.any", "tagging.empty_group"),
        ({"all": [GENDER, {"none": []}]}, "tree.all[1].none", "tagging.empty_group"),
        (nested(6), "tree" + ".all[0]" * 5, "tagging.too_deep"),
        ({"all": [{"any": [GENDER] * 30}, {"any": [GENDER] * 21}]}, "tree", "tagging.too_many_conditions"),
        ({"all": [GENDER] * 51}, "tree.all", "tagging.too_many_conditions"),
        ({"all": [GENDER, {**COUNT, "event": "product_veiw"}]}, "tree.all[1].event", "tagging.unknown_event"),
        ({**COUNT, "event": 7}, "tree.event", "tagging.unknown_event"),
        ({**COUNT, "value": "3"}, "tree.value", "tagging.wrong_type"),
        ({**COUNT, "value": True}, "tree.value", "tagging.wrong_type"),
        ({**COUNT, "value": -1}, "tree.value", "tagging.out_of_range"),
        ({**COUNT, "op": "lt", "value": 0}, "tree.value", "tagging.out_of_range"),
        ({**COUNT, "op": ">="}, "tree.op", "tagging.unknown_choice"),
        ({**COUNT, "dayz": 3}, "tree.dayz", "tagging.unknown_field"),
        ({"kind": "event_count", "event": "sign_in", "op": "eq"}, "tree.value", "tagging.missing_field"),
        ({**COUNT, "days": 0}, "tree.days", "tagging.out_of_range"),
        ({**COUNT, "days": 10**30}, "tree.days", "tagging.out_of_range"),
        ({**COUNT, "days": 3, "calendar": "month"}, "tree.calendar", "tagging.impossible_window"),
        ({**COUNT, "offset": -1}, "tree.offset", "tagging.impossible_window"),
        ({**COUNT, "calendar": "month", "offset": 1}, "tree.offset", "tagging.out_of_range"),
        ({**COUNT, "where": {"colour": "red"}}, "tree.where.colour", "tagging.unknown_field"),
        ({**COUNT, "where": {"min_category": 3}}, "tree.where.min_category", "tagging.wrong_type"),
        ({**COUNT, "where": {"min_dwell_seconds": "15"}}, "tree.where.min_dwell_seconds", "tagging.wrong_type"),
        ({**COUNT, "where": {"category": []}}, "tree.where.category", "tagging.wrong_type"),
        ({**COUNT, "where": "婴童"}, "tree.where", "tagging.wrong_type"),
        ({**COUNT, "where": [{"prop": "category"}]}, "tree.where[0].op", "tagging.unknown_choice"),
        ({**COUNT, "where": [{"prop": "colour", "op": "exists"}]}, "tree.where[0].prop", "tagging.unknown_field"),
        ({**COUNT, "where": ["婴童"]}, "tree.where[0]", "tagging.wrong_type"),
        (
            {**COUNT, "where": [{"prop": "dwell_seconds", "op": "between", "value": [9, 1]}]},
            "tree.where[0].value",
            "tagging.wrong_type",
        ),
        (
            {**COUNT, "from": "2026-11-02T00:00:00Z", "to": "2026-11-02T00:00:00Z"},
            "tree.to",
            "tagging.impossible_window",
        ),
        ({**COUNT, "from": "yesterday"}, "tree.from", "tagging.wrong_type"),
        ({**COUNT, "from": "2026-11-02T00:00:00Z", "days": 3}, "tree.from", "tagging.impossible_window"),
        ({**COUNT, "since_event": "order_payed"}, "tree.since_event", "tagging.unknown_event"),
        ({**REGEXP, "value": "(a+)+$"}, "tree.value", "tagging.unsafe_regexp"),
        ({**REGEXP, "value": "(a|aa)*b"}, "tree.value", "tagging.unsafe_regexp"),
        ({**REGEXP, "value": "a{1,999}"}, "tree.value", "tagging.unsafe_regexp"),
        ({**REGEXP, "value": r"(a)\1"}, "tree.value", "tagging.unsafe_regexp"),
        ({**REGEXP, "value": "(?=a)b"}, "tree.value", "tagging.unsafe_regexp"),
        ({**REGEXP, "value": "[z-a]"}, "tree.value", "tagging.unsafe_regexp"),
        ({**REGEXP, "value": "a" * 101}, "tree.value", "tagging.unsafe_regexp"),
        ({**EVENT, "agg": "sum"}, "tree.prop", "tagging.missing_field"),
        ({**EVENT, "agg": "avg", "prop": "category"}, "tree.prop", "tagging.wrong_type"),
        ({**EVENT, "agg": "last", "op": "eq"}, "tree.op", "tagging.unknown_choice"),
        ({**EVENT, "agg": "last", "prop": "category", "op": "gte"}, "tree.op", "tagging.unknown_choice"),
        ({**EVENT, "op": "between", "value": 3}, "tree.value", "tagging.wrong_type"),
        ({**EVENT, "op": "between", "value": [3, 1]}, "tree.value", "tagging.out_of_range"),
        ({"kind": "order", "measure": "count", "op": "lt", "value": 0}, "tree.value", "tagging.out_of_range"),
        ({"kind": "order", "measure": "weight", "op": "lt", "value": 1}, "tree.measure", "tagging.unknown_choice"),
        ({"kind": "sequence", "steps": [{"event": "share"}]}, "tree.steps", "tagging.out_of_range"),
        (
            {"kind": "sequence", "steps": [{"event": "share"}, {"event": "no"}]},
            "tree.steps[1].event",
            "tagging.unknown_event",
        ),
        ({**SEQUENCE, "days": 1, "within_hours": 48}, "tree.within_hours", "tagging.impossible_window"),
        ({**SEQUENCE, "then_not": {"event": "share", "hours": 0}}, "tree.then_not.hours", "tagging.out_of_range"),
        ({"kind": "bucket", "salt": "a", "lo": 10, "hi": 10}, "tree.hi", "tagging.out_of_range"),
        ({"kind": "identity", "type": "passport"}, "tree.type", "tagging.unknown_choice"),
        ({"kind": "segment"}, "tree.segment_id", "tagging.missing_field"),
        ({"kind": "points_expiring", "op": "gte", "value": 1}, "tree.days", "tagging.missing_field"),
        ({"kind": "journey", "state": "lost"}, "tree.state", "tagging.unknown_choice"),
        ({"kind": "touch", "channel": "fax", "op": "gte", "value": 1}, "tree.channel", "tagging.unknown_choice"),
        (
            {**GENDER, "field": "created_at", "op": "anniversary", "value": None},
            "tree.anniversary",
            "tagging.missing_field",
        ),
        (
            {"kind": "event_sum", "event": "sign_in", "op": "gte", "value": 1},
            "tree.event",
            "tagging.no_amount",
        ),
        ({"kind": "event_recency", "event": "sign_in", "op": "within"}, "tree.days", "tagging.missing_field"),
        ({**GENDER, "field": "shoe_size"}, "tree.field", "tagging.unknown_choice"),
        ({**GENDER, "op": "contains"}, "tree.op", "tagging.unknown_choice"),
        ({**GENDER, "value": 9}, "tree.value", "tagging.unknown_choice"),
        ({**GENDER, "value": True}, "tree.value", "tagging.unknown_choice"),
        ({**GENDER, "value": None}, "tree.value", "tagging.missing_field"),
        ({"kind": "profile", "field": "name", "op": "eq", "value": "a\0b"}, "tree.value", "tagging.wrong_type"),
        ({"kind": "profile", "field": "name", "op": "eq", "value": "\ud800"}, "tree.value", "tagging.wrong_type"),
        (
            {"kind": "profile", "field": "created_at", "op": "before", "value": "2026-11-01"},
            "tree.value",
            "tagging.wrong_type",
        ),
        (
            {"kind": "profile", "field": "created_at", "op": "before", "value": "2026-11-31T00:00:00Z"},
            "tree.value",
            "tagging.wrong_type",
        ),
        ({"kind": "profile", "field": "phone", "op": "eq", "value": "138"}, "tree.op", "tagging.unknown_choice"),
        ({"kind": "tag"}, "tree.tag_id", "tagging.missing_field"),
        ({"kind": "tag", "tag_id": [1, "x"]}, "tree.tag_id[1]", "tagging.wrong_type"),
        ({"kind": "tag", "tag_id": list(range(1, 102))}, "tree.tag_id", "tagging.out_of_range"),
        ({"kind": "follow", "live": "yes"}, "tree.live", "tagging.unknown_choice"),
        ({"kind": "lifecycle", "stage": "asleep"}, "tree.stage", "tagging.unknown_choice"),
    ],
)
def test_names_the_place_and_the_remedy(tree, field, code):
    for language in ("zh-hans", "en"):
        with translation.override(language), pytest.raises(Invalid) as refused:
            compiler.validate(tree)

        (error,) = refused.value.errors
        assert (error.field, error.code) == (field, code)
        assert str(error.message).strip()
        assert str(error.remedy).strip()
        if language == "en":
            said = f"{error.message} {error.remedy} {refused.value.detail} {refused.value.remedy}"
            given = json.dumps(tree, ensure_ascii=False)
            left = {char for char in said if "\u4e00" <= char <= "\u9fff" and char not in given}
            assert not left - set("婴童"), said


def test_every_wrong_leaf_is_named_at_once():
    tree = {"all": [{**COUNT, "event": "nope"}, GENDER, {"any": [{"kind": "tag"}, {**GENDER, "op": "?"}]}]}

    with pytest.raises(Invalid) as refused:
        compiler.validate(tree)

    places = [error.field for error in refused.value.errors]
    assert places == ["tree.all[0].event", "tree.all[2].any[0].tag_id", "tree.all[2].any[1].op"]


def test_five_levels_and_fifty_leaves_are_allowed():
    compiler.validate(nested(5))
    compiler.validate(nested(8), depth=compiler.STORED_DEPTH)  # as older trees may be
    compiler.validate({"all": [{"any": [GENDER] * 25}, {"any": [GENDER] * 25}]})
    compiler.validate({"all": []})


def test_tags_guides_and_stores_must_be_the_brands_own(cast):
    with brand_scope(cast.other.id):
        from tagging.models import Tag

        theirs = Tag.objects.create(name="VIP", created_at="2026-11-20T00:00:00Z")
    tree = {
        "all": [
            {"kind": "tag", "tag_id": theirs.pk},
            {"kind": "tag", "tag": ["没有的"]},
            {"kind": "follow", "guide": cast.bob.pk, "store": [cast.store.pk, 10**12]},
        ]
    }

    with brand_scope(cast.brand.id), pytest.raises(Invalid) as refused:
        segments.check(tree)

    assert [(error.field, error.code) for error in refused.value.errors] == [
        ("tree.all[0].tag_id", "tagging.unknown_reference"),
        ("tree.all[1].tag", "tagging.unknown_reference"),
        ("tree.all[2].store", "tagging.unknown_reference"),
    ]


def test_segments_in_a_circle_are_refused_by_name(cast):
    from tagging.models import Segment
    from tenants.actors import SYSTEM
    from tests.cast import NOON

    def naming(segment):
        return {"all": [GENDER, {"kind": "segment", "segment_id": segment.pk}]}

    with brand_scope(cast.brand.id):
        silent = segments.save(name="沉默", tree={"all": [GENDER]}, actor=SYSTEM, at=NOON)
        high = segments.save(name="高潜", tree=naming(silent), actor=SYSTEM, at=NOON)
        with pytest.raises(Invalid) as refused:
            segments.save(name="沉默", tree=naming(high), actor=SYSTEM, at=NOON, segment_id=silent.pk)
        (error,) = refused.value.errors
        assert (error.field, error.code) == ("tree.all[1].segment_id", "tagging.segment_cycle")
        assert "高潜" in error.message
        assert "沉默" in error.message

        with pytest.raises(Conflict) as used:
            segments.archive(segment_id=silent.pk, actor=SYSTEM, at=NOON)
        assert used.value.problem_code == "tagging.segment_in_use"
        last = high
        for number in range(compiler.MAX_DEPTH - 1):
            last = segments.save(name=f"套{number}", tree=naming(last), actor=SYSTEM, at=NOON)
        with pytest.raises(Invalid) as deep:
            segments.save(name="再套", tree=naming(last), actor=SYSTEM, at=NOON)
        assert deep.value.errors[0].code == "tagging.too_deep"
        assert Segment.objects.get(pk=silent.pk).archived_at is None

        frozen = segments.frozen(naming(high))
        assert "segment" not in {leaf["kind"] for _path, leaf in compiler.leaves_of(frozen)}
        assert segments.count(frozen, NOON) == segments.count(naming(high), NOON)


def test_a_segment_does_not_grow_beyond_what_those_who_name_it_can_bear(cast):
    """Each small enough by itself, but put in each other's place they would have millions of conditions."""
    from tagging.models import Segment
    from tenants.actors import SYSTEM
    from tests.cast import NOON

    def naming(segment, times):
        return {"any": [{"kind": "segment", "segment_id": segment.pk}] * times}

    with brand_scope(cast.brand.id):
        inner = segments.save(name="里", tree={"all": [GENDER]}, actor=SYSTEM, at=NOON)
        middle = segments.save(name="中", tree=naming(inner, 9), actor=SYSTEM, at=NOON)
        segments.save(name="外", tree=naming(middle, 9), actor=SYSTEM, at=NOON)
        with pytest.raises(Invalid) as refused:
            segments.save(name="里", tree={"all": [GENDER] * 3}, actor=SYSTEM, at=NOON, segment_id=inner.pk)
        (error,) = refused.value.errors
        assert (error.field, error.code) == ("tree", "tagging.too_many_conditions")
        assert "“外”" in error.message
        assert "“外”" in error.remedy

        bottom = last = segments.save(name="底", tree={"all": [GENDER]}, actor=SYSTEM, at=NOON)
        for number in range(5):
            last = segments.save(name=f"链{number}", tree=naming(last, 1), actor=SYSTEM, at=NOON)
        lower = segments.save(name="更底", tree={"all": [GENDER]}, actor=SYSTEM, at=NOON)
        with pytest.raises(Invalid) as deep:
            segments.save(name="底", tree=naming(lower, 1), actor=SYSTEM, at=NOON, segment_id=bottom.pk)
        (error,) = deep.value.errors
        assert (error.code, "“链4”" in error.message) == ("tagging.too_deep", True)
        assert Segment.objects.get(pk=bottom.pk).tree == {"all": [GENDER]}


def test_the_longest_chain_of_the_deepest_trees_can_be_frozen(cast):
    from tenants.actors import SYSTEM
    from tests.cast import NOON

    tree = nested(5)
    with brand_scope(cast.brand.id):
        for number in range(6):
            last = segments.save(name=f"套{number}", tree=tree, actor=SYSTEM, at=NOON)
            tree = {"kind": "segment", "segment_id": last.pk}
            for _level in range(5):
                tree = {"all": [tree]}

        assert segments.count(segments.frozen(last.tree), NOON) == segments.count(last.tree, NOON)


@pytest.mark.parametrize("alias", ["c; DROP TABLE x", "C", "", "c c", 'c"'])
def test_an_alias_is_a_plain_name(alias):
    with pytest.raises(ValueError, match="alias"):
        compiler.condition_sql(GENDER, brand_id=1, at=None, alias=alias)
