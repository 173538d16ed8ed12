"""Another brand's key at every door of the REST API: nothing to see, nothing to change, not even a hint.

The walk starts from the URLconf: a new URL without an example in tests/api/world.py fails the first test."""

import re
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from tenants import keys
from tenants.actors import Actor
from tenants.models import ApiKey
from tenants.scope import brand_scope
from tests.api import world
from tests.api.world import CALLS, NOBODY, Call, path_of, rows_of, send

EVERY = sorted(CALLS)
BY_ID = [call for call in EVERY if "<" in call[1]]
names = pytest.mark.parametrize("call", EVERY, ids=" ".join)


def test_the_walk_knows_every_url():
    assert world.implemented() == set(CALLS)


@names
def test_alice_gets_what_charlie_will_not(ours, call):
    """The examples are good calls: else the walk below would prove nothing."""
    answer = send(ours.cast.alice, call, ours.ids)

    if call == ("POST", "pushes/<int:push_id>/recall"):
        assert answer.json()["code"] == "campaigns.too_late"
    else:
        assert answer.status_code < 300, answer.content.decode()


@names
def test_charlie_sees_and_changes_nothing_of_alices(ours, call):
    before = rows_of(ours.cast.brand.pk)

    answer = send(ours.cast.charlie, call, ours.ids)

    assert answer.status_code < 500
    said = answer.content.decode()
    assert not re.search(r"果园|陈小满|小林|静安店|13812345678|ww-alice|o-chen", said), said
    assert rows_of(ours.cast.brand.pk) == before


@pytest.mark.parametrize("call", BY_ID, ids=" ".join)
def test_another_brands_row_answers_as_a_missing_one(ours, call):
    before = rows_of(ours.cast.other.pk)
    nowhere = dict.fromkeys(ours.ids, NOBODY)

    theirs, missing = (send(ours.cast.charlie, call, ids) for ids in (ours.ids, nowhere))

    assert theirs.status_code == missing.status_code == 404
    assert theirs.json() == missing.json()
    assert rows_of(ours.cast.other.pk) == before, "a 404 leaves nothing behind, in the caller's brand neither"


REFERENCES: list[tuple[Call, str]] = [
    (("POST", "segments"), "tree.tag_id"),
    (("POST", "segments/count"), "tree.tag_id"),
    (("POST", "pushes"), "segment_id corp_id variants.0.content_id"),
    (("POST", "tag-rules"), "tag_id"),
    (("POST", "corp-tags"), "corp_id"),
    (("PUT", "lifecycle/stages"), "stages[0].tree.tag_id"),
]


@pytest.mark.parametrize(("call", "fields"), REFERENCES, ids=lambda value: " ".join(value))
def test_another_brands_row_named_in_a_body_is_refused_by_field(ours, call, fields):
    before = rows_of(ours.cast.other.pk)
    nowhere = dict.fromkeys(ours.ids, NOBODY)

    theirs, missing = (send(ours.cast.charlie, call, ids) for ids in (ours.ids, nowhere))

    assert theirs.status_code == missing.status_code == 422
    assert {error["field"] for error in theirs.json()["errors"]} == set(fields.split())
    assert _numberless(theirs.json()) == _numberless(missing.json())
    assert rows_of(ours.cast.other.pk) == before


@pytest.mark.parametrize(
    "call",
    [
        ("GET", "contacts/lookup"),
        ("GET", "points/balance"),
        ("GET", "points/entries"),
        ("POST", "points/grants"),
        ("POST", "points/spends"),
        ("GET", "points/tier"),
        ("GET", "points/tier/history"),
        ("PUT", "points/tier/floor"),
        ("DELETE", "points/tier/floor"),
    ],
    ids=" ".join,
)
def test_another_brands_contact_is_nobody(ours, call):
    before = rows_of(ours.cast.other.pk)

    assert send(ours.cast.charlie, call, ours.ids).status_code == 404
    assert rows_of(ours.cast.other.pk) == before


def test_a_key_of_another_brand_replays_nothing(ours):
    """Alice and charlie chose one Idempotency-Key for one body: two brands, two tags."""
    mine = ours.cast.alice.api("post", "/api/v1/tags", {"name": "同名"}, idempotency_key="one")
    theirs = ours.cast.charlie.api("post", "/api/v1/tags", {"name": "同名"}, idempotency_key="one")

    assert (mine.status_code, theirs.status_code) == (201, 201)
    assert mine.json()["id"] != theirs.json()["id"]
    assert "Idempotent-Replayed" not in theirs.headers


def test_a_cursor_of_another_brand_opens_nothing(ours):
    ours.cast.contact("第二位")
    cursor = ours.cast.alice.api("get", "/api/v1/contacts?limit=1").json()["next_cursor"]

    answer = ours.cast.charlie.api("get", f"/api/v1/contacts?cursor={cursor}")

    assert (answer.status_code, answer.json()["items"]) == (200, [])


@names
def test_without_a_key(ours, call):
    answer = Client().generic(call[0], path_of(call[1], ours.ids), b"{}", content_type="application/json")

    _is_problem(answer, 401)
    assert answer["WWW-Authenticate"] == "Bearer"


@names
def test_with_every_scope_but_the_one_it_needs(ours, call):
    others = sorted(set(keys.SCOPES) - {CALLS[call].scope})
    ApiKey.objects.filter(brand=ours.cast.brand).update(scopes=others)
    before = rows_of(ours.cast.brand.pk)

    _is_problem(send(ours.cast.alice, call, ours.ids), 403)
    assert rows_of(ours.cast.brand.pk) == before


@names
def test_the_one_scope_is_enough(ours, call):
    ApiKey.objects.filter(brand=ours.cast.brand).update(scopes=[CALLS[call].scope])

    assert send(ours.cast.alice, call, ours.ids).status_code not in (401, 403)


@names
def test_with_a_revoked_key(ours, call):
    alice = Actor("user:1", "alice")
    with brand_scope(ours.cast.brand.pk):
        made = keys.make(brand_id=ours.cast.brand.pk, name="旧", scopes=keys.SCOPES, actor=alice, at=timezone.now())
        keys.revoke(brand_id=ours.cast.brand.pk, key_id=made.id, actor=alice, at=timezone.now())
    ours.cast.alice.key = made.key

    _is_problem(send(ours.cast.alice, call, ours.ids), 401)


@names
def test_over_the_keys_limit(ours, call, monkeypatch):
    monkeypatch.setattr("tenants.api_auth.time.time", lambda: 1_700_000_000.0)  # 20 s into a minute
    key = ApiKey.objects.get(brand=ours.cast.brand)
    cache.set(f"api-rate:{key.pk}:{1_700_000_000 // 60}", key.per_minute)
    before = rows_of(ours.cast.brand.pk)

    answer = send(ours.cast.alice, call, ours.ids)

    _is_problem(answer, 429)
    assert (answer.json()["code"], answer["Retry-After"]) == ("rate.limited", "40")
    assert rows_of(ours.cast.brand.pk) == before


def test_the_limit_is_counted(cast):
    ApiKey.objects.filter(brand=cast.brand).update(per_minute=2)

    # A clock minute may end in between: of five calls at least one is one too many.
    codes = [cast.alice.api("get", "/api/v1/tags").status_code for _n in range(5)]

    assert set(codes) == {200, 429}
    assert cast.charlie.api("get", "/api/v1/tags").status_code == 200, "another key has a count of its own"


def _is_problem(answer: Any, status: int) -> None:
    assert answer.status_code == status, answer.content.decode()
    assert answer["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert (body["status"], bool(body["detail"]), bool(body["code"])) == (status, True, True)


def _numberless(body: Any) -> str:
    return re.sub(r"\d+", "#", str(body))
