"""What nobody should ask: refused with place and remedy in both languages, or answered; never a broken query."""

import json
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import translation

from campaigns.models import Push, Sop
from contacts.models import Contact, GroupChat, Staff, Store
from points.models import Tier
from scrm.lib.errors import Invalid
from tagging.language import compiler, conditions
from tagging.language.conditions import Frame
from tagging.models import LifecycleStage, Segment, Tag
from tagging.segments import segments, standings
from tenants.scope import brand_scope

NOW = datetime.now(UTC)
EVIL = ["\0", "a\ud800", "x" * 5_000, 10**30, 2**62, -1, 0, 1.5, True, [], [[]], {}, {"\0": "\ud800"}, "%s", "''"]
EVIL += ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-11-01T00:00:00+99:99", float("nan"), None]
DATES = {"from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"}
WHERE = [
    {"prop": "category", "op": "regexp", "value": "^a", "or_missing": True},
    {"prop": "amount_fen", "op": "between", "value": [1, 9]},
    {"prop": "order_no", "op": "in", "value": ["A1"]},
]
LEAVES: list[dict[str, Any]] = [
    {"kind": "profile", "field": "name", "op": "in", "value": ["a"], "or_missing": True},
    {"kind": "profile", "field": "name", "op": "regexp", "value": "a+"},
    {"kind": "profile", "field": "gender", "op": "eq", "value": 1},
    {"kind": "profile", "field": "last_active_at", "op": "within", "days": 3},
    {"kind": "profile", "field": "last_active_at", "op": "before", "value": DATES["from"]},
    {"kind": "profile", "field": "created_at", "op": "anniversary", "anniversary": 3},
    {"kind": "lifecycle", "stage": ["silent"], "silent_days": 30},
    {"kind": "lost", "op": "is", "calendar": "month", "offset": -1},
    {"kind": "stage", "stage": ["buyer"], **DATES},
    {"kind": "identity", "type": ["phone"], "op": "has_not"},
    {"kind": "bucket", "salt": "a", "lo": 0, "hi": 10},
    {"kind": "segment", "segment_id": 1, "op": "not_in"},
    {"kind": "tag", "tag_id": [1], "op": "has_not", "hours": 3},
    {"kind": "tag", "tag": ["兴趣·婴童"]},
    {"kind": "follow", "guide": [1], "store": [1], "state": ["a"], "live": "any", "op": "has"},
    {"kind": "group_member", "chat_id": [1], "live": False, "op": "has", "days": 3},
    {"kind": "points_balance", "op": "gte", "value": 3},
    {"kind": "points_expiring", "days": 30, "op": "lt", "value": 3},
    {"kind": "tier", "tier": ["gold"], "op": "is", "days": 3},
    {"kind": "journey", "sop_id": [1], "state": "in", "op": "has"},
    {"kind": "touch", "what": "replied", "channel": "single", "push_id": [1], "days": 3, "op": "gte", "value": 1},
    {"kind": "touch", "what": "confirmed", "op": "gte", "value": 1, **DATES},
    {"kind": "sop_touch", "push_id": 1},
    {"kind": "interest", "category": ["a"], "op": "lt", "value": 100},
    {"kind": "interest", "product_id": "A1", "value": 100},
    {"kind": "event_count", "event": "order_paid", "where": WHERE, "days": 3, "op": "gte", "value": 2},
    {"kind": "event_recency", "event": "x_own", "where": {"any": 1}, "op": "within", "since_event": "sign_in"},
    {"kind": "event_sum", "event": "order_paid", "where": {"min_amount_fen": 9}, "op": "gte", "value": 2, **DATES},
    {"kind": "event", "event": "x_own", "agg": "sum", "prop": "n", "op": "between", "value": [1, 2], "anniversary": 3},
    {"kind": "event", "event": "order_paid", "agg": "last", "op": "gt", "value": 3, "unit": "hours"},
    {"kind": "event", "event": "x_own", "agg": "first", "prop": "n", "op": "in", "value": ["a", 1, True]},
    {"kind": "order", "measure": "net", "where": {"category": ["a"]}, "op": "between", "value": [1, 2], "days": 3},
    {"kind": "order", "measure": "first", "op": "lte", "value": 3, "unit": "days"},
    {
        "kind": "sequence",
        "steps": [{"event": "add_cart", "where": {"category": "a"}}, {"event": "order_paid"}],
        "within_hours": 24,
        "days": 30,
        "strict": True,
        "then_not": {"event": "order_refunded", "where": WHERE[:1], "hours": 2},
        "op": "has_not",
    },
]
CHINESE = range(0x4E00, 0x9FFF)


def spoilt(good: Any) -> Iterator[Any]:
    """The leaf with each value in it replaced by each evil one; and with a field that it does not know."""
    yield {**good, "\0\ud800": 1}
    for place in places(good):
        for evil in EVIL:
            body = deepcopy(good)
            inner = body
            for step in place[:-1]:
                inner = inner[step]
            inner[place[-1]] = evil
            yield body


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if place:
        yield place
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield from places(inner, (*place, step))


@pytest.fixture
def brand(cast):
    """With one row of everything that a leaf may name by the number 1."""
    cast.contact("安", at=NOW - timedelta(days=9))
    with brand_scope(cast.brand.id):
        corp = {"corp": cast.corp}
        for model, fields in (  # some of which the cast may have already
            (Tag, {"name": "婴童", "group": "兴趣", "created_at": NOW}),
            (Segment, {"name": "甲", "tree": {"all": []}, "created_at": NOW, "updated_at": NOW}),
            (Store, {**corp, "department_id": 9, "name": "店"}),
            (Staff, {**corp, "userid": "one", "name": "一"}),
            (GroupChat, {**corp, "chat_id": "wr1"}),
            (Push, {"name": "推", "created_at": NOW}),
            (Sop, {"name": "流", "created_at": NOW}),
        ):
            model.objects.get_or_create(pk=1, defaults=fields)
        LifecycleStage.objects.create(position=0, key="buyer", name="买家", tree={"all": []}, created_at=NOW)
        Tier.objects.create(code="gold", position=1, name="金卡", threshold=1)
    return cast.brand.id


def test_every_kind_is_here():
    assert {leaf["kind"] for leaf in LEAVES} == {condition.kind for condition in conditions.kinds()}


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: f"{leaf['kind']}-{len(str(leaf))}")
def test_no_value_breaks_a_query(brand, leaf):
    with brand_scope(brand):
        answer({"any": [leaf]}, brand)
        for wrong in spoilt(leaf):
            try:
                segments.check({"any": [wrong]})
            except Invalid as refusal:
                check_refusal(refusal)
            else:
                answer({"any": [wrong]}, brand)


def check_refusal(refusal: Invalid) -> None:
    assert refusal.errors
    for error in refusal.errors:
        assert error.field.startswith("tree"), error
        assert str(error.message).strip(), error
        assert str(error.remedy).strip(), error
        json.dumps([error.field, str(error.message)], ensure_ascii=False).encode()


def answer(tree: Any, brand: int) -> None:
    """Everything that is done with a tree that was taken."""
    count = segments.count(tree, NOW)
    assert count == len(segments.sample(tree, NOW))
    assert segments.sentence(tree)
    standings.due_sql(tree, Frame(brand_id=brand, at=NOW))
    assert segments.explain(tree, contact_id(), NOW).held == bool(count)


def contact_id() -> int:
    return Contact.objects.values_list("pk", flat=True)[0]


NASTY = [
    {"all": [{"kind": "profile", "field": "name", "op": "regexp", "value": value}]}
    for value in ("(a+)+$", "(a*)*b", "(a|a)*$", "((a?){20}){20}", "a{1,99999}", "(?<=a)b", "(a)\\1", "[", "a" * 200)
]
NASTY += [
    {"all": [], "any": []},
    {"all": [{"all": []}]},
    {"any": [{"kind": "event_count"}] * 60},
    json.loads('{"none":[' * 25 + '{"kind":"lost"}' + "]}" * 25),
    {"kind": "segment", "segment_id": 2**70},
    {"kind": "event_recency", "event": "sign_in", "op": "within", "from": "2026-12-01T00:00:00Z", "to": DATES["from"]},
    {"kind": "event_recency", "event": "sign_in", "op": "within", "days": 10**9},
    {"kind": "event_recency", "event": "sign_in", "op": "within", "calendar": "year"},
    {"kind": "event_recency", "event": "sign_in", "op": "within", "days": 3, "hours": 3},
    {"kind": "event_recency", "event": "sign_in", "op": "within", "calendar": "week", "offset": -10_000},
    {"kind": "event_recency", "event": "segment_left'; DROP TABLE", "op": "within", "days": 3},
    {"kind": "event_count", "event": "order_paid", "op": "gte", "value": 1, "where": {"a": {"b": {"c": 1}}}},
    {"kind": "event_count", "event": "order_paid", "op": "gte", "value": 1, "where": [{}] * 11},
    {"kind": "event", "event": "order_paid", "agg": "sum", "prop": "amount_fen", "op": "gte", "value": 10**40},
    {"kind": "sequence", "steps": [{"event": "order_paid"}] * 6},
    {"kind": "sequence", "steps": [{"event": "order_paid"}] * 2, "then_not": {"event": "order_paid", "days": 10**9}},
    {"kind": "bucket", "salt": "", "lo": 50, "hi": 10},
    {"kind": "tag", "tag_id": [1] * 1000},
    {"kind": "__class__"},
    {"kind": "profile", "field": "password", "op": "eq", "value": "x"},
]


@pytest.mark.parametrize("tree", NASTY, ids=lambda tree: str(tree)[:50])
@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_nasty_trees_are_refused_with_place_and_remedy(cast, language, tree):
    for path in ("segments/count", "segments/estimate"):
        answer = cast.alice.api("POST", f"/api/v1/{path}", {"tree": tree}, **{"Accept-Language": language})

        body = answer.json()
        assert (answer.status_code, body["code"]) == (422, "tagging.invalid_condition"), body
        for error in body["errors"]:
            assert error["field"].startswith("tree")
            said = f"{error['message']} {error['remedy']}"
            assert error["message"]
            assert error["remedy"]
            if language == "en":
                assert not {char for char in said if ord(char) in CHINESE} - set("婴童"), said


def test_deep_but_allowed_trees_of_costly_leaves_are_answered(brand):
    costly = [leaf for leaf in LEAVES if leaf["kind"] not in ("tag", "segment", "sop_touch", "follow", "group_member")]
    costly = [leaf for leaf in costly if "tier" not in leaf and "push_id" not in leaf and "sop_id" not in leaf]
    tree: Any = {"any": (costly * 3)[:46]}
    for group in ("none", "all", "none", "any"):
        tree = {group: [tree]}
    with brand_scope(brand):
        segments.check(tree)
        answer(tree, brand)
    with translation.override("en"):
        assert not compiler.validate(tree)
