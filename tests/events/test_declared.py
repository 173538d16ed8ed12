"""A brand's own event types: declared, checked, known to segments, and nobody else's."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from tenants.models import AuditEntry
from tenants.scope import brand_scope

TYPES = "/api/v1/event-types"
SCAN = {
    "name": "x_shelf_scan",
    "label": "扫货架码",
    "props": {
        "shelf": {"type": "text", "label": "货架", "required": True},
        "price_fen": {"type": "int", "unit": "分"},
        "member": {"type": "bool"},
    },
}


def declared(person, **changes):
    return person.api("PUT", TYPES, {**SCAN, **changes})


def sent(person, **props):
    item = {
        "id": str(uuid4()),
        "type": "x_shelf_scan",
        "occurred_at": datetime.now(UTC).isoformat(),
        "identity": {"type": "unionid", "value": "o-zhou"},
        "props": props,
    }
    [line] = person.api("POST", "/api/v1/events", {"events": [item]}).json()["items"]
    return line["status"], {(error["field"], error["code"]) for error in line.get("errors", [])}


def test_is_checked_from_the_moment_it_is_declared(cast):
    assert sent(cast.alice, shelf=7) == ("accepted", set())  # undeclared: whatever it carries

    assert declared(cast.alice).status_code == 200

    assert sent(cast.alice, shelf="A3", price_fen=990, member=True, more=1.5) == ("accepted", set())
    assert sent(cast.alice, shelf=7) == ("refused", {("props.shelf", "event.prop_type")})
    assert sent(cast.alice, shelf="A3", price_fen="9.90") == ("refused", {("props.price_fen", "event.prop_type")})
    assert sent(cast.alice, price_fen=990) == ("refused", {("props.shelf", "event.prop_missing")})
    assert sent(cast.alice) == ("refused", {("props.shelf", "event.prop_missing")})


def test_another_brand_is_not_bound_by_it(cast):
    declared(cast.alice)

    assert sent(cast.charlie, shelf=7) == ("accepted", set())
    assert [kind["name"] for kind in cast.charlie.api("GET", TYPES).json()["items"] if kind["own"]] == []


def test_the_catalogue_says_what_may_be_sent(cast):
    sent(cast.alice, shelf="A3")
    before = cast.alice.api("GET", TYPES).json()
    declared(cast.alice)

    after = cast.alice.api("GET", TYPES).json()

    assert (before["undeclared"], after["undeclared"]) == (["x_shelf_scan"], [])
    [own] = [kind for kind in after["items"] if kind["own"]]
    assert (own["label"], own["props"]["shelf"]) == (
        "扫货架码",
        {"type": "text", "label": "货架", "unit": "", "required": True},
    )
    assert {"product_view", "survey_answered", "live_watched", "store_visit"} <= {k["name"] for k in after["items"]}


def test_declaring_again_replaces_and_removing_frees(cast):
    declared(cast.alice)
    declared(cast.alice, props={"shelf": {"type": "int"}})
    assert sent(cast.alice, shelf=7) == ("accepted", set())
    assert sent(cast.alice, shelf="A3") == ("refused", {("props.shelf", "event.prop_type")})

    assert cast.alice.api("DELETE", f"{TYPES}?name=x_shelf_scan").status_code == 204

    assert sent(cast.alice, shelf="A3") == ("accepted", set())
    assert cast.alice.api("DELETE", f"{TYPES}?name=x_shelf_scan").status_code == 404
    with brand_scope(cast.brand.pk):
        acts = AuditEntry.objects.filter(object_type="event_type").values_list("action", flat=True)
        assert sorted(acts) == ["event_type.remove", "event_type.save", "event_type.save"]


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("name", {"name": "shelf_scan"}),
        ("name", {"name": "x_Größe"}),
        ("name", {"name": None}),
        ("label", {"label": " "}),
        ("label", {"label": "长" * 41}),
        ("props", {"props": []}),
        ("props", {"props": {f"p{n}": {"type": "int"} for n in range(51)}}),
        ("props.a b", {"props": {"a b": {"type": "int"}}}),
        ("props.a.type", {"props": {"a": {"type": "float"}}}),
        ("props.a.type", {"props": {"a": "int"}}),
        ("props.a", {"props": {"a": {"type": "int", "max": 5}}}),
        ("props.a", {"props": {"a": {"type": "int", "required": "yes"}}}),
        ("props.a.label", {"props": {"a": {"type": "int", "label": "长" * 41}}}),
    ],
)
def test_says_what_is_wrong_with_a_declaration(cast, field, bad):
    answer = declared(cast.alice, **bad)

    assert answer.status_code == 422
    assert field in {error["field"] for error in answer.json()["errors"]}


def test_segments_know_it(cast):
    where = {
        "kind": "event_count",
        "event": "x_shelf_scan",
        "where": {"min_price_fen": 100},
        "op": "gte",
        "value": 1,
        "days": 30,
    }
    unknown = {**where, "where": {"colour": "red"}}
    count = "/api/v1/segments/count"
    assert cast.alice.api("POST", count, {"tree": unknown}).status_code == 200  # undeclared: any property

    declared(cast.alice)

    assert cast.alice.api("POST", count, {"tree": where}).status_code == 200
    assert cast.alice.api("POST", count, {"tree": unknown}).status_code == 422  # a typing error, now that it is known
    offered = cast.alice.api("GET", "/api/v1/segments/catalogue").json()["events"]
    [own] = [event for event in offered if event["value"] == "x_shelf_scan"]
    assert (own["label"], own["props"][0]) == ("扫货架码", {"value": "shelf", "label": "货架", "type": "text"})
