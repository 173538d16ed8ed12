"""GET /api/v1/contacts, /contacts/lookup and /contacts/{id}, as a brand's own systems call them."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from commerce.models import Order
from contacts.merging import Wanted, merge
from contacts.models import Contact, Follow, Identity
from contacts.oneid.identity import Claim, attach
from points import ledger
from tagging.models import ContactTag, Tag
from tenants.models import ApiKey
from tenants.scope import brand_scope

LIST = "/api/v1/contacts"


@pytest.fixture
def chen(cast) -> Contact:
    return cast.contact("陈小满", phone="13812345678", source_state="poster")


def known_as(cast, contact: Contact, *keys: tuple[str, str]) -> None:
    """Give a contact identities."""
    with brand_scope(cast.brand.id):
        (other,) = attach(claims=[Claim(keys)], at=timezone.now()).contact_ids
        Identity.objects.filter(contact=other).update(contact=contact)
        Contact.objects.filter(pk=other).delete()


def test_lists_all_in_pages(cast):
    ids = [cast.contact(f"客户{number}").pk for number in range(5)]

    seen, cursor = [], ""
    for _page in range(3):
        page = cast.alice.api("get", f"{LIST}?limit=2" + (f"&cursor={cursor}" if cursor else "")).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]

    assert seen == ids
    assert cursor is None


def test_the_number_of_queries_does_not_grow(cast, django_assert_num_queries):
    for number in range(30):
        cast.contact(f"客户{number}")
    cast.alice.api("get", LIST)
    with django_assert_num_queries(6):  # key, (scope, savepoint) × 2, the page
        assert len(cast.alice.api("get", LIST).json()["items"]) == 30


@pytest.mark.parametrize(
    ("_case", "query", "hits"),
    [
        ("part of the name", "q=小满", True),
        ("another name", "q=小红", False),
        ("whole phone", "q=13812345678", True),
        ("part of a phone", "q=138123", False),
        ("channel", "source_state=poster", True),
        ("other channel", "source_state=leaflet", False),
        ("not lost", "lost=false", True),
        ("lost", "lost=true", False),
    ],
)
def test_filters(cast, chen, _case, query, hits):
    items = cast.alice.api("get", f"{LIST}?{query}").json()["items"]
    assert [item["id"] for item in items] == ([chen.pk] if hits else [])


def test_filters_by_guide_and_store(cast, chen):
    for query in (f"guide_id={cast.bob.pk}", f"store_id={cast.store.pk}"):
        assert len(cast.alice.api("get", f"{LIST}?{query}").json()["items"]) == 1
    assert cast.alice.api("get", f"{LIST}?guide_id={cast.bob.pk + 1}").json()["items"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [("limit=0", "limit"), ("cursor=x", "cursor"), ("lost=perhaps", "lost"), ("guide_id=a", "guide_id")],
)
def test_a_bad_query_names_the_field(cast, query, field):
    response = cast.alice.api("get", f"{LIST}?{query}")
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]


def test_detail_with_identities_friendships_and_groups(cast, chen):
    known_as(cast, chen, ("external_userid", f"ww-alice:wm{chen.pk}"), ("unionid", "o1"))
    with brand_scope(cast.brand.id):
        lost_at = timezone.now() - timedelta(days=1)
        Follow.objects.filter(contact=chen).update(lost_at=lost_at, lost_by="contact", remark="老客")

    body = cast.alice.api("get", f"{LIST}/{chen.pk}").json()

    assert body["name"] == "陈小满"
    assert body["main_guide"]["store"] == {"id": cast.store.pk, "name": "静安店"}
    assert {each["type"]: each["value"] for each in body["identities"]}["unionid"] == "o1"
    (follow,) = body["follows"]
    assert (follow["guide"]["userid"], follow["remark"], follow["lost_by"]) == ("bob", "老客", "contact")
    assert body["groups"] == []


def test_phones_are_masked_unless_the_key_may_read_them(cast, chen):
    assert cast.alice.api("get", f"{LIST}/{chen.pk}").json()["phone"] == "138****5678"
    ApiKey.objects.filter(name="alice").update(scopes=["contacts:read", "contacts:read_phone"])
    assert cast.alice.api("get", f"{LIST}/{chen.pk}").json()["phone"] == "13812345678"
    assert cast.alice.api("get", LIST).json()["items"][0]["phone"] == "13812345678"


@pytest.mark.parametrize(
    "query", ["unionid=o1", "external_userid=wm1&corpid=ww-alice", "openid=op1&appid=wx1", "phone=%2B86 138-1234-5678"]
)
def test_looks_up_by_identity(cast, chen, query):
    known_as(
        cast,
        chen,
        ("external_userid", "ww-alice:wm1"),
        ("unionid", "o1"),
        ("openid", "wx1:op1"),
        ("phone", "13812345678"),
    )
    response = cast.alice.api("get", f"{LIST}/lookup?{query}")
    assert (response.status_code, response.json()["id"]) == (200, chen.pk)


def test_lookup_refuses_what_is_no_identity(cast):
    response = cast.alice.api("get", f"{LIST}/lookup?external_userid=wm1")
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "corpid")
    assert cast.alice.api("get", f"{LIST}/lookup?unionid=nobody").status_code == 404


def test_another_brands_contact_is_not_there(cast, chen):
    known_as(cast, chen, ("unionid", "o1"))
    assert cast.charlie.api("get", f"{LIST}/{chen.pk}").status_code == 404
    assert cast.charlie.api("get", f"{LIST}/lookup?unionid=o1").status_code == 404
    assert cast.charlie.api("get", LIST).json()["items"] == []


def test_a_key_without_the_scope_reads_nothing(cast, chen):
    ApiKey.objects.filter(name="alice").update(scopes=["events:write"])
    for path in (LIST, f"{LIST}/{chen.pk}", f"{LIST}/lookup?unionid=o1"):
        assert cast.alice.api("get", path).status_code == 403


def test_one_contact_says_what_the_page_says(cast, chen):
    at = timezone.now()
    with brand_scope(cast.brand.id):
        tag = Tag.objects.create(name="婴童", group="兴趣", created_at=at)
        ContactTag.objects.create(brand_id=cast.brand.id, contact=chen, tag=tag, source="manual", given_at=at)
        ledger.grant(contact_id=chen.pk, points=50, key="k", at=at)
        Order.objects.create(
            id=uuid4(), order_no="NO-1", contact=chen, status="paid", amount_fen=990, ordered_at=at, paid_at=at
        )

    told = cast.alice.api("get", f"{LIST}/{chen.pk}").json()

    assert [(each["group"], each["name"], each["source"]) for each in told["tags"]] == [("兴趣", "婴童", "manual")]
    assert (told["stage"]["key"], told["stage"]["since"]) == ("new", None)
    assert told["points"] == {"balance": 50, "expiring": 0, "tier": None}
    assert (told["orders"]["paid"], told["orders"]["net_fen"]) == (1, 990)
    assert told["orders"]["latest"][0]["order_no"] == "NO-1"
    assert (told["interests"], told["open_conflicts"]) == ([], 0)


def test_parts_that_a_key_may_not_see_are_null(cast, chen):
    ApiKey.objects.filter(brand=cast.brand).update(scopes=["contacts:read"])

    told = cast.alice.api("get", f"{LIST}/{chen.pk}").json()

    assert (told["tags"], told["points"]) == (None, None)
    assert told["orders"]["paid"] == 0


def test_the_number_of_a_merged_contact_answers_the_survivor(cast, chen):
    other = cast.contact("小满")
    with brand_scope(cast.brand.id):
        merge(wanted=[Wanted(chen.pk, other.pk)], at=timezone.now())

    assert cast.alice.api("get", f"{LIST}/{other.pk}").json()["id"] == chen.pk


def test_a_delivery_phone_is_masked_like_any_other(cast, chen):
    known_as(cast, chen, ("order_phone", "13911112222"))

    told = cast.alice.api("get", f"{LIST}/{chen.pk}").json()["identities"]

    assert {"type": "order_phone", "value": "139****2222"} in told
