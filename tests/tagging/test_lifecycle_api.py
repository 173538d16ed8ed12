"""Lifecycle stages and WeCom's tags, as a partner's system uses them."""

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from tagging import tags
from tagging.models import LifecycleSpell, TagLibrary
from tagging.rules import rerun, spells
from tenants.actors import SYSTEM
from tenants.scope import brand_scope

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
GIRLS = {"key": "girls", "name": "女性", "tree": {"kind": "profile", "field": "gender", "op": "eq", "value": 2}}
OTHERS = {"key": "others", "name": "其余", "tree": {"all": []}}


@pytest.fixture
def shop(cast):
    now = timezone.now()
    cast.she = cast.contact("陈小满", at=now - 20 * DAY, gender=2).pk
    cast.he = cast.contact("李大树", at=now - 20 * DAY, gender=1).pk
    return cast


def keep(shop, stages):
    answer = shop.alice.api("PUT", "/api/v1/lifecycle/stages", {"stages": stages})
    assert answer.status_code == 200, answer.content.decode()
    return answer.json()


def place(shop, run_id, at=None):
    rerun.run_to_end(brand_id=shop.brand.pk, run_id=run_id, now=at or timezone.now())


def test_stages_are_replaced_and_everybody_is_placed(shop):
    assert shop.alice.api("GET", "/api/v1/lifecycle/stages").json() == {
        "stages": [],
        "unplaced": 0,
        "kept_since": None,
        "running": None,
    }
    begun = keep(shop, [GIRLS])
    assert (begun["running"]["kind"], begun["running"]["share"]) == ("lifecycle", 0)
    place(shop, begun["running"]["id"])
    kept = shop.alice.api("GET", "/api/v1/lifecycle/stages").json()
    assert [(stage["key"], stage["contacts"]) for stage in kept["stages"]] == [("girls", 1)]
    assert (kept["unplaced"], kept["running"]) == (1, None)
    assert "女" in kept["stages"][0]["sentence"]

    spells_of = shop.alice.api("GET", f"/api/v1/contacts/{shop.she}/lifecycle").json()["items"]
    assert [(spell["stage"], spell["name"], spell["until"], spell["cause"]) for spell in spells_of] == [
        ("girls", "女性", None, "first")
    ]


def test_the_usual_stages_can_be_put_as_they_are(shop):
    assert len(keep(shop, shop.alice.api("GET", "/api/v1/lifecycle/defaults").json()["stages"])["stages"]) == 6


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ([], ["stages"]),
        ({}, ["stages"]),
        ({"stages": {"key": "a"}}, ["stages"]),
        ({"stages": [1]}, ["stages"]),
        ({"stages": [{"key": "A", "name": "", "tree": None}]}, ["stages[0].key", "stages[0].name", "stages[0].tree"]),
        ({"stages": [OTHERS, {**GIRLS, "tree": {"all": [{"kind": "nix"}]}}]}, ["stages[1].tree.all[0].kind"]),
        ({"stages": [{**OTHERS, "key": f"k{n}"} for n in range(13)]}, ["stages"]),
    ],
)
def test_wrong_stages_name_their_places_and_nothing_is_kept(shop, body, fields):
    answer = shop.alice.api("PUT", "/api/v1/lifecycle/stages", body)
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, fields)
    assert shop.alice.api("GET", "/api/v1/lifecycle/stages").json()["stages"] == []


def test_the_matrix_tells_moves_from_arrivals_and_placements(shop):
    now = timezone.now()
    begun = keep(shop, [GIRLS, OTHERS])
    with brand_scope(shop.brand.pk):
        # As if that had been three days ago, and she was placed an hour before him.
        spells.look(contact_ids=[shop.she], at=now - 3 * DAY, cause="event")
    place(shop, begun["running"]["id"], now - 3 * DAY + HOUR)
    with brand_scope(shop.brand.pk):
        LifecycleSpell.objects.filter(contact=shop.she).update(until=now - DAY)
        LifecycleSpell.objects.create(contact_id=shop.she, since=now - DAY, stage="others", cause="row")
    start = (now - 3 * DAY + HOUR / 2).isoformat().replace("+", "%2B")
    found = shop.alice.api("GET", f"/api/v1/lifecycle/matrix?start={start}").json()
    assert found["moves"] == [{"from": "girls", "to": "others", "contacts": 1}]
    assert found["placed_first"] == [{"to": "others", "contacts": 1}]
    assert (found["newcomers"], found["placed_anew"]) == ([], [])
    assert [(stage["key"], stage["at_start"], stage["at_end"]) for stage in found["stages"]] == [
        ("girls", 1, 0),
        ("others", 0, 2),
        ("", 0, 0),
    ]
    whole = shop.alice.api("GET", "/api/v1/lifecycle/matrix").json()
    assert whole["start"] == whole["kept_since"], "before it nothing is known"


@pytest.mark.parametrize(
    ("query", "field"),
    [("start=yesterday", "start"), ("end=2026-11-01T00:00:00", "end"), ("start=2099-01-01T00:00:00Z", "start")],
)
def test_an_impossible_period_is_refused(shop, query, field):
    for path in ("lifecycle/matrix", "churn"):
        answer = shop.alice.api("GET", f"/api/v1/{path}?{query}")
        assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, [field])


def test_a_tag_is_tied_to_wecoms_and_untied(shop):
    with brand_scope(shop.brand.pk):
        tag = tags.create(name="婴童", group="兴趣", actor=SYSTEM, at=timezone.now()).pk
    corp = shop.corp.pk
    library = f"/api/v1/corp-tags/libraries/{corp}"
    refused = shop.alice.api("POST", f"{library}/round")
    assert (refused.status_code, refused.json()["code"]) == (409, "tagging.sync_off")
    for body, field in (
        ({"corp_id": corp}, "tag_id"),
        ({"corp_id": corp, "tag_id": tag, "segment_id": 1}, "tag_id"),
        ({"corp_id": 10**9, "tag_id": tag}, "corp_id"),
        ({"corp_id": corp, "tag_id": 10**9}, "tag_id"),
        ({"corp_id": corp, "segment_id": 10**9}, "segment_id"),
    ):
        answer = shop.alice.api("POST", "/api/v1/corp-tags", body, idempotency_key="no")
        assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, [field])

    tied = shop.alice.api("POST", "/api/v1/corp-tags", {"corp_id": corp, "tag_id": tag}, idempotency_key="yes")
    assert (tied.status_code, tied.json()["state"], tied.json()["group"]) == (201, "wanted", "兴趣")
    twice = shop.alice.api("POST", "/api/v1/corp-tags", {"corp_id": corp, "tag_id": tag}, idempotency_key="again")
    assert (twice.status_code, twice.json()["code"]) == (409, "tagging.linked_already")
    with brand_scope(shop.brand.pk):
        TagLibrary.objects.update(due_at=timezone.now() + HOUR, read_at=timezone.now())
    hurried = shop.alice.api("POST", f"{library}/round").json()
    assert (hurried["is_on"], hurried["linked"], hurried["library_read_at"]) == (True, 1, None)
    assert datetime.fromisoformat(hurried["next_round_at"]) <= timezone.now()

    off = shop.alice.api("PUT", library, {"is_on": False, "imports_new": False}).json()
    assert (off["is_on"], off["imports_new"], off["next_round_at"]) == (False, False, None)
    path = f"/api/v1/corp-tags/{tied.json()['id']}"
    assert shop.alice.api("DELETE", path).json()["tag_id"] is None
    assert shop.alice.api("GET", f"/api/v1/corp-tags?corp_id={corp}").json()["items"][0]["tag_id"] is None
