"""POST /api/v1/events: good items are kept, bad ones named, and a retry is harmless."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from events.models import Event
from tenants.models import ApiKey
from tenants.scope import brand_scope
from tests.events.reading import known_as

URL = "/api/v1/events"


def item(**fields):
    """A valid item, as a mini-program's server sends it."""
    made = {
        "id": str(uuid4()),
        "type": "product_view",
        "occurred_at": datetime.now(UTC).isoformat(),
        "identity": {"type": "unionid", "value": "o-zhou"},
        "props": {"product_id": "P1", "category": "巾帕", "dwell_seconds": 3},
    }
    made.update(fields)
    return {name: value for name, value in made.items() if value is not ...}


def kept(cast):
    with brand_scope(cast.brand.id):
        return list(Event.objects.order_by("occurred_at"))


def post(cast, *items, **fields):
    return cast.alice.api("POST", URL, {"events": list(items), **fields})


def test_keeps_what_was_sent(cast):
    contact = known_as(cast.brand.id, ("unionid", "o-zhou"), datetime.now(UTC))
    sent = item()

    response = post(cast, sent)

    assert response.status_code == 200
    assert response.json() == {
        "accepted": 1,
        "duplicate": 0,
        "refused": 0,
        "items": [{"index": 0, "id": sent["id"], "status": "accepted", "linked": True}],
    }
    [row] = kept(cast)
    assert (str(row.id), row.occurred_at.isoformat()) == (sent["id"], sent["occurred_at"])
    assert (row.type, row.props, row.contact_id, row.source) == ("product_view", sent["props"], contact, "api")


def test_a_retry_is_a_duplicate_and_writes_nothing(cast):
    sent = [item(), item()]
    post(cast, *sent)

    again = post(cast, *sent, item()).json()

    assert [line["status"] for line in again["items"]] == ["duplicate", "duplicate", "accepted"]
    assert len(kept(cast)) == 3


def test_the_good_are_kept_and_the_bad_are_named(cast):
    good = [item(), item()]

    response = post(cast, good[0], item(props={"amount_fen": "9.90"}, type="order_paid"), good[1])

    report = response.json()
    assert (response.status_code, report["accepted"], report["refused"]) == (200, 2, 1)
    line = report["items"][1]
    assert (line["index"], line["status"]) == (1, "refused")
    [error] = line["errors"]
    assert (error["field"], error["code"]) == ("props.amount_fen", "event.prop_type")
    assert "分" in error["message"]
    assert error["remedy"]
    assert sorted(str(row.id) for row in kept(cast)) == sorted(each["id"] for each in good)


def _ago(**ago):
    return (datetime.now(UTC) - timedelta(**ago)).isoformat()


@pytest.mark.parametrize(
    ("field", "code", "bad"),
    [
        ("id", "event.id", {"id": ...}),
        ("id", "event.id", {"id": 7}),
        ("id", "event.id", {"id": "{0b9c7f5e-3d1a-4a52-8f0e-6a1c2d3e4f5}"}),
        ("occurred_at", "event.time", {"occurred_at": ...}),
        ("occurred_at", "event.time", {"occurred_at": "2026-11-20T12:00:00"}),
        ("occurred_at", "event.time", {"occurred_at": 1_700_000_000}),
        ("occurred_at", "event.ahead", {"occurred_at": _ago(minutes=-40)}),
        ("occurred_at", "event.too_old", {"occurred_at": _ago(days=7, minutes=1)}),
        ("occurred_at", "event.too_old", {"occurred_at": "0001-01-01T00:00:00+14:00"}),
        ("type", "event.type_unknown", {"type": ...}),
        ("type", "event.type_unknown", {"type": "produkt_view"}),
        ("type", "event.type_unknown", {"type": "x_Größe"}),
        ("type", "event.type_reserved", {"type": "friend_added"}),
        ("type", "event.type_reserved", {"type": "points_earned"}),
        ("props", "event.props_shape", {"props": [1]}),
        ("props", "event.prop_name", {"props": {"a b": 1}}),
        ("props", "event.props_too_many", {"props": {f"p{n}": n for n in range(51)}}),
        ("props.page", "event.prop_type", {"props": {"page": {"nested": 1}}}),
        ("props.product_id", "event.prop_type", {"props": {"product_id": 7}}),
        ("props.dwell_seconds", "event.prop_type", {"props": {"dwell_seconds": True}}),
        ("props.dwell_seconds", "event.prop_type", {"props": {"dwell_seconds": 2**63}}),
        ("props.note", "event.prop_text", {"props": {"note": "x" * 1001}}),
        ("props.note", "event.prop_text", {"props": {"note": "a\x00b"}}),
        ("props.note", "event.prop_text", {"props": {"note": "\ud800"}}),
        ("identity", "event.person", {"identity": ...}),
        ("identity", "event.person", {"contact_id": 1}),
        ("identity.type", "event.identity_type", {"identity": "o-zhou"}),
        ("identity.type", "event.identity_type", {"identity": {"type": "email", "value": "a@b.c"}}),
        ("identity.value", "event.identity_value", {"identity": {"type": "unionid", "value": ""}}),
        ("identity.value", "event.identity_value", {"identity": {"type": "unionid", "value": "\x00"}}),
        ("identity.value", "event.identity_value", {"identity": {"type": "phone", "value": "none"}}),
        ("identity.corpid", "event.identity_value", {"identity": {"type": "external_userid", "value": "wm1"}}),
        ("identity.appid", "event.identity_value", {"identity": {"type": "openid", "value": "o1"}}),
        ("contact_id", "event.contact_unknown", {"identity": ..., "contact_id": 999_999}),
        ("contact_id", "event.contact_unknown", {"identity": ..., "contact_id": "1"}),
    ],
)
def test_says_what_is_wrong_with_an_item(cast, field, code, bad):
    response = post(cast, item(**bad), item())

    assert response.status_code == 200
    first, second = response.json()["items"]
    assert first["status"] == "refused"
    assert (field, code) in {(error["field"], error["code"]) for error in first["errors"]}
    assert all(error["message"] and error["remedy"] for error in first["errors"])
    assert second["status"] == "accepted"
    assert len(kept(cast)) == 1


def test_names_everything_that_is_wrong_with_an_item(cast):
    [line] = post(cast, {"id": "x", "type": "nope", "occurred_at": "now", "props": 1}).json()["items"]

    assert {error["field"] for error in line["errors"]} == {"id", "type", "occurred_at", "props", "identity"}


def test_an_item_that_is_no_object(cast):
    [first, second] = post(cast, "hello", None).json()["items"]

    assert (first["status"], second["errors"][0]["code"]) == ("refused", "event.shape")


@pytest.mark.parametrize(
    ("field", "code", "body"),
    [
        ("events", "events.missing", []),
        ("events", "events.missing", {"event": []}),
        ("events", "events.missing", {"events": {}}),
        ("events", "events.size", {"events": []}),
        ("events", "events.size", {"events": [{}] * 501}),
        ("sent_at", "event.time", {"events": [{}], "sent_at": "yesterday"}),
    ],
)
def test_refuses_what_is_no_batch(cast, field, code, body):
    response = cast.alice.api("POST", URL, body)

    assert response.status_code == 422
    assert response["Content-Type"].startswith("application/problem+json")
    [error] = response.json()["errors"]
    assert (error["field"], error["code"]) == (field, code)
    assert error["remedy"]


def test_the_body_has_a_size(cast):
    response = post(cast, item(props={"note": "x" * (4 * 1024 * 1024)}))

    assert (response.status_code, response.json()["code"]) == (413, "events.too_large")


def test_takes_five_hundred_with_few_queries(cast, django_assert_max_num_queries):
    with django_assert_max_num_queries(16):
        response = post(cast, *[item(identity={"type": "unionid", "value": f"o{n}"}) for n in range(500)])

    assert response.json()["accepted"] == 500
    assert len(kept(cast)) == 500


def test_someone_unknown_is_kept_and_said_to_be(cast):
    report = post(cast, item()).json()

    assert (report["accepted"], report["items"][0]["linked"]) == (1, False)
    [row] = kept(cast)
    assert (row.contact_id, row.identity_type, row.identity_value) == (None, "unionid", "o-zhou")


@pytest.mark.parametrize(
    ("identity", "canonical"),
    [
        ({"type": "external_userid", "value": "wm1", "corpid": "ww1"}, "ww1:wm1"),
        ({"type": "openid", "value": "o1", "appid": "wx1"}, "wx1:o1"),
        ({"type": "phone", "value": "+86 138-0013-8000"}, "13800138000"),
        ({"type": "phone", "value": "１３８００１３８０００"}, "13800138000"),
        ({"type": "member_id", "value": " 会员7 "}, "会员7"),
        ({"type": "member_id", "value": "vip-ａ7\t"}, "VIP-A7"),
        ({"type": "device", "value": " 6F-AB "}, "6f-ab"),
        ({"type": "unionid", "value": "\n o-Zhou "}, "o-Zhou"),
    ],
)
def test_identities_have_one_spelling(cast, identity, canonical):
    contact = known_as(cast.brand.id, (identity["type"], canonical), datetime.now(UTC))

    assert post(cast, item(identity=identity)).json()["accepted"] == 1
    assert kept(cast)[0].contact_id == contact


def test_wechats_ids_are_told_apart_by_case(cast):
    known_as(cast.brand.id, ("unionid", "oA"), datetime.now(UTC))

    [line] = post(cast, item(identity={"type": "unionid", "value": "oa"})).json()["items"]

    assert (line["status"], line["linked"]) == ("accepted", False)


def test_the_edges_of_late_and_early(cast):
    moments = [_ago(days=6, hours=23, minutes=59), _ago(minutes=-9)]

    report = post(cast, *[item(occurred_at=moment) for moment in moments]).json()

    assert report["accepted"] == 2
    assert [row.occurred_at.isoformat() for row in kept(cast)] == moments  # never corrected


def test_a_contact_of_another_brand_is_unknown(cast):
    stranger = known_as(cast.other.id, ("unionid", "o-zhou"), datetime.now(UTC))
    mine = cast.contact().id

    report = post(cast, item(identity=..., contact_id=stranger), item(identity=..., contact_id=mine)).json()

    assert [line["status"] for line in report["items"]] == ["refused", "accepted"]
    assert [row.contact_id for row in kept(cast)] == [mine]


def test_keeps_the_skew_of_the_senders_clock(cast):
    post(cast, item(), sent_at=(datetime.now(UTC) + timedelta(minutes=5)).isoformat())

    assert kept(cast)[0].skew_ms == pytest.approx(300_000, abs=60_000)


def test_a_brands_own_type_carries_free_properties(cast):
    props = {"shelf": "A3", "price": 9.5, "new": True, "note": None, "n": 2}

    assert post(cast, item(type="x_shelf_scan", props=props)).json()["accepted"] == 1
    assert kept(cast)[0].props == props


def test_answers_in_english_when_asked(cast):
    body = {"events": [item(type="nope")]}

    report = cast.alice.api("POST", URL, body, **{"Accept-Language": "en"}).json()

    assert report["items"][0]["errors"][0]["message"] == "The event catalogue has no such type."


def test_needs_a_key_with_the_scope(cast):
    ApiKey.objects.filter(brand=cast.brand).update(scopes=["contacts:read"])

    assert post(cast, item()).status_code == 403
    cast.alice.key = "ok_wrong"
    assert post(cast, item()).status_code == 401
    assert kept(cast) == []
