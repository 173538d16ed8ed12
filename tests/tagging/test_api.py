"""Tags and segments over the REST API."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from contacts.models import Contact, Identity
from events import declared
from events.models import Event
from scrm.lib.ids import made_id
from tagging.models import ContactTag, Segment
from tagging.segments import due, segments
from tenants.actors import SYSTEM
from tenants.models import AuditEntry
from tenants.scope import brand_scope
from tests.cast import NOON

SILENT = {"all": [{"kind": "event_recency", "event": "sign_in", "op": "not_within", "days": 30}]}


@pytest.fixture
def people(cast):
    first, second = cast.contact("陈小满", at=NOON), cast.contact("李大树", at=NOON)
    with brand_scope(cast.brand.id):
        key = made_id(cast.brand.id, "identity", "unionid", "o-2")
        Identity.objects.create(id=key, contact=second, type="unionid", value="o-2", first_seen_at=NOON)
    return first.pk, second.pk


def made_tag(person, name="婴童", key="T1"):
    response = person.api("POST", "/api/v1/tags", {"group": "兴趣", "name": name}, idempotency_key=key)
    assert response.status_code == 201, response.json()
    return response.json()["id"]


def made_segment(person, tree=None, name="沉默", key="S1"):
    return person.api("POST", "/api/v1/segments", {"name": name, "tree": tree or SILENT}, idempotency_key=key)


def test_tags_are_made_once_and_listed_with_their_holders(cast, people):
    tag = made_tag(cast.alice)
    assert made_tag(cast.alice) == tag  # the same key: the same answer
    again = cast.alice.api("POST", "/api/v1/tags", {"group": "兴趣", "name": "婴童"}, idempotency_key="T2")
    assert (again.status_code, again.json()["code"]) == (409, "tagging.tag_exists")
    cast.alice.api("POST", f"/api/v1/tags/{tag}/give", {"contacts": [{"id": people[0]}]})

    listed = cast.alice.api("GET", "/api/v1/tags").json()

    assert [(row["id"], row["name"], row["contacts"]) for row in listed["items"]] == [(tag, "婴童", 1)]
    assert cast.charlie.api("GET", "/api/v1/tags").json()["items"] == []


def test_giving_in_bulk_says_what_became_of_each(cast, people):
    tag = made_tag(cast.alice)
    with brand_scope(cast.other.id):
        theirs = Contact.objects.create(name="别家的", created_at=NOON).pk
    refs = [{"id": people[0]}, {"unionid": "o-2"}, {"unionid": "o-2"}, {"id": theirs}, {"unionid": "o-9"}]
    refs += [{"id": "x"}, {"openid": "o1"}, "hello", {"unionid": "a\0b"}, {"id": 10**30}]

    response = cast.alice.api("POST", f"/api/v1/tags/{tag}/give", {"contacts": refs})

    body = response.json()
    assert response.status_code == 200, body
    statuses = [item["status"] for item in body["items"]]
    assert statuses == ["done", "done", "unchanged", *["refused"] * 7]
    assert (body["done"], body["unchanged"], body["refused"]) == (2, 1, 7)
    assert all(item["code"] and item["message"] for item in body["items"] if item["status"] == "refused")
    with brand_scope(cast.brand.id):
        assert {row.contact_id for row in ContactTag.objects.filter(tag_id=tag)} == set(people)
        assert Event.objects.filter(type="tag_given").count() == 2
        assert AuditEntry.objects.get(action="tag.give").actor.startswith("key:")

    taken = cast.alice.api("POST", f"/api/v1/tags/{tag}/take", {"contacts": [{"id": who} for who in people]})
    assert [item["status"] for item in taken.json()["items"]] == ["done", "done"]
    with brand_scope(cast.brand.id):
        assert not ContactTag.objects.exists()


def test_another_brands_tag_and_segment_are_not_found(cast, people):
    tag = made_tag(cast.alice)
    segment = made_segment(cast.alice).json()["id"]

    give = cast.charlie.api("POST", f"/api/v1/tags/{tag}/give", {"contacts": [{"id": people[0]}]})
    read = cast.charlie.api("GET", f"/api/v1/segments/{segment}")
    write = cast.charlie.api("PUT", f"/api/v1/segments/{segment}", {"name": "x", "tree": SILENT})
    away = cast.charlie.api("DELETE", f"/api/v1/segments/{segment}")
    explain = cast.charlie.api("GET", f"/api/v1/segments/{segment}/explain?contact_id={people[0]}")

    assert [r.status_code for r in (give, read, write, away, explain)] == [404] * 5


def test_a_segment_is_made_changed_counted_and_put_away(cast, people):
    made = made_segment(cast.alice).json()
    assert (made["name"], made["version"]) == ("沉默", 1)
    assert "30" in made["sentence"]
    count = cast.alice.api("POST", "/api/v1/segments/count", {"tree": SILENT}).json()
    assert count["count"] == 2

    tree = {"all": [*SILENT["all"], {"kind": "profile", "field": "name", "op": "eq", "value": "李大树"}]}
    changed = cast.alice.api("PUT", f"/api/v1/segments/{made['id']}", {"name": "沉默", "tree": tree}).json()
    renamed = cast.alice.api("PUT", f"/api/v1/segments/{made['id']}", {"name": "沉默的", "tree": tree}).json()
    assert (changed["version"], renamed["version"], renamed["name"]) == (2, 2, "沉默的")

    assert [row["id"] for row in cast.alice.api("GET", "/api/v1/segments").json()["items"]] == [made["id"]]
    cast.alice.api("DELETE", f"/api/v1/segments/{made['id']}")
    assert cast.alice.api("GET", "/api/v1/segments").json()["items"] == []
    assert cast.alice.api("GET", f"/api/v1/segments/{made['id']}").json()["archived_at"]


def test_a_wrong_segment_names_the_place_and_nothing_is_saved(cast):
    tree = {"any": [SILENT, {"kind": "profile", "field": "shoe_size", "op": "eq", "value": 1}]}

    refused = [
        made_segment(cast.alice, tree),
        cast.alice.api("POST", "/api/v1/segments/count", {"tree": tree}),
    ]

    for response in refused:
        body = response.json()
        assert (response.status_code, body["code"]) == (422, "tagging.invalid_condition")
        (error,) = body["errors"]
        assert (error["field"], error["code"]) == ("tree.any[1].field", "tagging.unknown_choice")
        assert "first_added_at" in error["remedy"]
    with brand_scope(cast.brand.id):
        assert not Segment.objects.exists()
    english = cast.alice.api("POST", "/api/v1/segments/count", {"tree": tree}, **{"Accept-Language": "en"}).json()
    assert english["errors"][0]["message"] == "Field can't be shoe_size."


def test_a_name_is_used_once(cast):
    made_segment(cast.alice)

    again = made_segment(cast.alice, key="S2")

    assert (again.status_code, again.json()["code"]) == (409, "tagging.name_taken")


def test_explains_one_contact_leaf_by_leaf(cast, people):
    name = {"kind": "profile", "field": "name", "op": "eq", "value": "李大树"}
    segment = made_segment(cast.alice, {"all": [SILENT, {"none": [name]}]}).json()["id"]

    first, second = (
        cast.alice.api("GET", f"/api/v1/segments/{segment}/explain?contact_id={who}").json() for who in people
    )

    assert (first["held"], second["held"]) == (True, False)
    silent, none = second["tree"]["children"]
    assert (silent["held"], none["held"]) == (True, False)
    (leaf,) = none["children"]
    assert (leaf["path"], leaf["held"], leaf["actual"]) == ("tree.all[1].none[0]", True, "李大树")
    for wrong in ("", "?contact_id=x", f"?contact_id={10**30}"):
        assert cast.alice.api("GET", f"/api/v1/segments/{segment}/explain{wrong}").status_code == 422
    assert cast.alice.api("GET", f"/api/v1/segments/{segment}/explain?contact_id=999999").status_code == 404


def test_listing_segments_asks_as_often_for_many_as_for_one(cast):
    def listed():
        with CaptureQueriesContext(connection) as queries:
            assert cast.alice.api("GET", "/api/v1/segments").status_code == 200
        return len(queries)

    for n in range(4):
        tag = made_tag(cast.alice, f"标签{n}", f"T{n}")
        made_segment(cast.alice, {"kind": "tag", "tag_id": tag}, f"人群{n}", f"S{n}")
        if n == 0:
            listed()  # the key's last use is noted once a minute
            one = listed()

    assert listed() == one


def test_a_list_bears_a_segment_that_asks_for_what_is_no_more(cast):
    leaf = {"kind": "event_count", "event": "x_shelf", "where": {"shelf": "A"}, "op": "gte", "value": 1}
    with brand_scope(cast.brand.id):
        declare = {"name": "x_shelf", "label": "看货架", "actor": SYSTEM, "at": NOON}
        declared.save(props={"shelf": {"type": "text", "label": "货架"}}, **declare)
        made = segments.save(name="看过 A", tree=leaf, actor=SYSTEM, at=NOON)
        assert "货架 A" in segments.sentence(made.tree)
        declared.save(props={"place": {"type": "text"}}, **declare)

    answer = cast.alice.api("GET", "/api/v1/segments")

    assert answer.status_code == 200
    (item,) = answer.json()["items"]
    assert "shelf" in item["sentence"]
    count = cast.alice.api("POST", "/api/v1/segments/count", {"tree": item["tree"]})
    assert (count.status_code, count.json()["errors"][0]["field"]) == (422, "tree.where.shelf")


def test_the_catalogue_tells_what_may_be_asked(cast):
    body = cast.alice.api("GET", "/api/v1/segments/catalogue", **{"Accept-Language": "en"}).json()

    kinds = {row["kind"]: row for row in body["kinds"]}
    assert {"profile", "tag", "event_count", "event_recency", "event_sum", "follow", "lifecycle", "lost"} <= set(kinds)
    gender = next(field for field in kinds["profile"]["fields"] if field["name"] == "gender")
    assert {choice["label"] for choice in gender["choices"]} == {"male", "female"}
    view = next(event for event in body["events"] if event["value"] == "product_view")
    assert {"value": "dwell_seconds", "label": "seconds stayed", "type": "int"} in view["props"]


def test_the_list_says_how_each_segment_is_kept_and_how_many_are_in(cast, people):
    asked = made_segment(cast.alice, name="用时").json()["id"]
    kept = made_segment(cast.alice, {"all": []}, name="名单", key="S2").json()["id"]
    cast.alice.api("PUT", f"/api/v1/segments/{kept}/mode", {"mode": "dynamic"})

    def listed():
        items = cast.alice.api("GET", "/api/v1/segments").json()["items"]
        return {row["id"]: (row["mode"], row["members"], row["filled_at"] is not None) for row in items}

    assert listed() == {asked: ("realtime", 0, False), kept: ("dynamic", 0, False)}
    while due.work(brand_id=cast.brand.id, at=NOON, horizon=2**62):
        pass
    assert listed() == {asked: ("realtime", 0, False), kept: ("dynamic", 2, True)}
    one = cast.alice.api("GET", f"/api/v1/segments/{kept}").json()
    assert (one["mode"], one["members"], one["is_filling"]) == ("dynamic", 2, False)
