"""What happens earns points: the sign-in rule, its cap, and what a mini-program reads and spends by API."""

from datetime import timedelta

import pytest

from events import log, reactors
from events.log import NewEvent
from events.models import ReactorCursor
from points import ledger, rules
from points.models import EarnRule
from tagging.segments import segments
from tenants.scope import brand_scope
from tests.cast import NOON


@pytest.fixture
def sign_in_rule(cast):
    with brand_scope(cast.brand.id):
        return EarnRule.objects.create(
            name="每日签到", event_type="sign_in", points=10, per_day=1, keep_days=365, created_at=NOON
        )


def sign_in(cast, contact, at):
    """One sign-in and what the rules make of it, twice: the second time is a repeat."""
    with brand_scope(cast.brand.id):
        log.write([NewEvent(type="sign_in", occurred_at=at, contact_id=contact.id)], at=at)
        horizon = log.current_txid() + 1
    for _again in range(2):
        with brand_scope(cast.brand.id):
            ReactorCursor.objects.filter(reactor=rules.REACTOR).delete()
        reactors.react(brand_id=cast.brand.id, reactor=rules.REACTOR, at=at, horizon=horizon)


def balance(cast, contact, at):
    with brand_scope(cast.brand.id):
        return ledger.statement(contact_id=contact.id, at=at).balance


def test_a_sign_in_earns_once_a_day(cast, sign_in_rule):
    contact = cast.contact()

    sign_in(cast, contact, NOON)
    sign_in(cast, contact, NOON + timedelta(hours=3))

    assert balance(cast, contact, NOON) == 10


def test_the_day_is_the_brands(cast, sign_in_rule):
    contact = cast.contact()
    before_midnight_in_shanghai = NOON.replace(hour=15, minute=59)

    sign_in(cast, contact, before_midnight_in_shanghai)
    sign_in(cast, contact, before_midnight_in_shanghai + timedelta(minutes=2))

    assert balance(cast, contact, NOON) == 20


def test_a_switched_off_rule_pays_nothing(cast, sign_in_rule):
    contact = cast.contact()
    with brand_scope(cast.brand.id):
        EarnRule.objects.update(enabled=False)

    sign_in(cast, contact, NOON)

    assert balance(cast, contact, NOON) == 0


@pytest.mark.parametrize(
    ("op", "value", "expected"),
    [("gte", 10, {"rich"}), ("lt", 10, {"poor", "none"}), ("eq", 0, {"none"}), ("ne", 0, {"rich", "poor"})],
)
def test_segments_ask_for_the_balance(cast, op, value, expected):
    people = {name: cast.contact(name) for name in ("rich", "poor", "none")}
    with brand_scope(cast.brand.id):
        ledger.grant(contact_id=people["rich"].id, points=50, key="a", at=NOON)
        ledger.grant(contact_id=people["poor"].id, points=5, key="b", at=NOON)
        gone = NOON - timedelta(days=1)
        ledger.grant(contact_id=people["none"].id, points=99, key="c", at=NOON - timedelta(days=9), expires_at=gone)
        tree = {"kind": "points_balance", "op": op, "value": value}
        found = {contact.name for contact in segments.sample(tree=tree, at=NOON, limit=9)}

    assert found == expected


def test_the_api_grants_once_per_key_and_refuses_to_overdraw(cast):
    contact = cast.contact()
    grant = {"contact": {"id": str(contact.id)}, "points": 100}

    first = cast.alice.api("post", "/api/v1/points/grants", grant, idempotency_key="G1")
    again = cast.alice.api("post", "/api/v1/points/grants", grant, idempotency_key="G1")
    other = cast.alice.api("post", "/api/v1/points/grants", {**grant, "points": 7}, idempotency_key="G1")
    spend = {"contact": {"id": str(contact.id)}, "points": 101}
    refused = cast.alice.api("post", "/api/v1/points/spends", spend, idempotency_key="S1")
    read = cast.alice.api("get", f"/api/v1/points/balance?id={contact.id}")

    assert (first.status_code, first.json()["balance"]) == (201, 100)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (409, "key.reused")
    assert (refused.status_code, refused.json()["code"]) == (422, "points.insufficient")
    assert read.json()["balance"] == 100


def test_another_brands_contact_is_not_found(cast):
    contact = cast.contact()

    answer = cast.charlie.api("get", f"/api/v1/points/balance?id={contact.id}")

    assert answer.status_code == 404


def test_entries_come_latest_first_page_by_page(cast):
    contact = cast.contact()
    with brand_scope(cast.brand.id):
        for number in range(5):
            ledger.grant(
                contact_id=contact.id, points=number + 1, key=str(number), at=NOON + timedelta(hours=number // 2)
            )

    first = cast.alice.api("get", f"/api/v1/points/entries?id={contact.id}&limit=3").json()
    rest = cast.alice.api("get", f"/api/v1/points/entries?id={contact.id}&limit=3&cursor={first['next_cursor']}").json()

    amounts = [entry["amount"] for entry in first["items"] + rest["items"]]
    assert (amounts[0], set(amounts[1:3]), set(amounts[3:]), rest["next_cursor"]) == (5, {3, 4}, {1, 2}, None)
