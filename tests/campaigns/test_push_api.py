"""Outreach through the REST API, as a mall's developer would use it."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from campaigns.models import Content, Push
from contacts.models import Follow
from tenants.scope import brand_scope

CONTENT = {"name": "会员日", "channel": "single", "text": "今天签到有礼"}


@pytest.fixture
def alice(orchard):
    return orchard.cast.alice


def make_push(alice, **fields):
    said = alice.api("post", "/api/v1/contents", CONTENT, idempotency_key=f"c-{fields}").json()
    body = {"name": "会员日", "variants": [{"content_id": said["id"]}], **fields}
    return alice.api("post", "/api/v1/pushes", body, idempotency_key=f"p-{fields}")


def test_from_content_to_a_scheduled_push_and_back(orchard, alice):
    orchard.contacts(3)

    made = make_push(alice)
    assert made.status_code == 201
    assert made.json()["status"] == "draft"
    path = f"/api/v1/pushes/{made.json()['id']}"
    told = alice.api("post", f"{path}/dry-run").json()
    assert (told["selected"], told["planned"], told["batches"], len(told["sample"])) == (3, 3, 1, 3)
    assert told["per_guide"]["heaviest"] == [{"staff_id": orchard.cast.bob.pk, "name": "小林", "count": 3}]
    assert alice.api("get", path).json()["status"] == "draft", "a dry run changes nothing"
    assert alice.api("post", f"{path}/send", {}).json()["status"] == "scheduled"
    assert alice.api("post", f"{path}/recall").json()["status"] == "draft"
    alice.api("post", f"{path}/send", {})
    assert alice.api("post", f"{path}/cancel").json()["status"] == "cancelled"
    assert alice.api("post", f"{path}/send", {}).json()["code"] == "campaigns.not_draft"


def test_creating_twice_with_one_key_creates_once(orchard, alice):
    first, again = make_push(alice), make_push(alice)

    assert first.json() == again.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    with brand_scope(orchard.brand_id):
        assert Push.objects.count() == Content.objects.count() == 1


def test_an_over_long_text_is_refused_by_field_in_either_language(orchard, alice):
    long = {**CONTENT, "text": "a" * 4186}

    said = alice.api("post", "/api/v1/contents", long, idempotency_key="1")
    in_english = alice.api("post", "/api/v1/contents", long, idempotency_key="2", **{"Accept-Language": "en"})

    assert said.status_code == 422
    (error,) = said.json()["errors"]
    assert (error["field"], error["code"]) == ("text", "content.text_too_long")
    assert error["message"].startswith("文案超出 186 字节。")
    assert in_english.json()["errors"][0]["message"].startswith("Text is 186 bytes too long.")
    with brand_scope(orchard.brand_id):
        assert not Content.objects.exists()


def test_an_empty_audience_is_a_422_with_the_reasons(orchard, alice):
    orchard.contacts(2)
    with brand_scope(orchard.brand_id):
        Follow.objects.update(lost_at=orchard.at)
    path = f"/api/v1/pushes/{make_push(alice).json()['id']}"

    refused = alice.api("post", f"{path}/send", {}, **{"Accept-Language": "en"})

    assert (refused.status_code, refused.json()["code"]) == (422, "campaigns.audience_empty")
    assert "No live friendship 2" in refused.json()["detail"]
    assert alice.api("get", path).json()["status"] == "draft"


def test_deliveries_are_listed_page_by_page_with_their_reasons(orchard, alice):
    people = orchard.contacts(5)
    with brand_scope(orchard.brand_id):
        Follow.objects.filter(contact=people[0]).update(lost_at=orchard.at)
    push = orchard.planned()
    path = f"/api/v1/pushes/{push.pk}/deliveries"

    first = alice.api("get", f"{path}?limit=3").json()
    rest = alice.api("get", f"{path}?limit=3&cursor={first['next_cursor']}").json()

    seen = [row["contact_id"] for row in first["items"] + rest["items"]]
    assert seen == [person.id for person in people]
    assert rest["next_cursor"] is None
    (left_out,) = alice.api("get", f"{path}?status=suppressed").json()["items"]
    assert (left_out["contact_id"], left_out["reason"]) == (people[0].id, "not_friend")


def test_deliveries_of_a_group_push_name_the_chat(orchard, alice):
    chat = orchard.group("甲")
    push = orchard.planned(channel="group")

    (row,) = alice.api("get", f"/api/v1/pushes/{push.pk}/deliveries").json()["items"]

    assert (row["chat_id"], row["status"]) == (chat.pk, "planned")


def test_a_list_costs_the_same_whatever_it_holds(orchard, alice):
    def queries():
        with CaptureQueriesContext(
            connection,
        ) as seen:
            assert alice.api("get", "/api/v1/pushes").status_code == 200
        return len(seen)

    orchard.push()
    queries()
    one = queries()
    for _n in range(4):
        orchard.push()

    assert queries() == one
    assert len(alice.api("get", "/api/v1/pushes").json()["items"]) == 5


@pytest.mark.parametrize(
    ("method", "tail"),
    [
        ("get", ""),
        ("post", "/dry-run"),
        ("post", "/send"),
        ("post", "/recall"),
        ("post", "/cancel"),
        ("get", "/deliveries"),
    ],
)
def test_another_brand_finds_nothing(orchard, method, tail):
    push = orchard.push()

    answer = orchard.cast.charlie.api(method, f"/api/v1/pushes/{push.pk}{tail}", {} if method == "post" else None)

    assert answer.status_code == 404
    assert orchard.again(push).status == "draft"


def test_a_draft_and_a_content_can_be_replaced(orchard, alice):
    push = make_push(alice).json()
    said = push["variants"][0]["content_id"]

    content = alice.api("put", f"/api/v1/contents/{said}", {**CONTENT, "text": "改"})
    renamed = alice.api("put", f"/api/v1/pushes/{push['id']}", {"name": "改名", "variants": push["variants"][:1]})

    assert (content.json()["text"], content.json()["text_bytes"]) == ("改", 3)
    assert renamed.json()["name"] == "改名"
    assert len(alice.api("get", "/api/v1/contents").json()["items"]) == 1


def test_a_status_that_does_not_exist_is_refused(cast):
    answer = cast.alice.api("get", "/api/v1/pushes?status=nope")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "status"
