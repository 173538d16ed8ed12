"""What follows a merge, what comes back with a split, and what was made in between."""

from datetime import timedelta

import pytest
from django.utils import timezone

from campaigns.models import Delivery, Push
from contacts import merging
from contacts.merging import Wanted
from contacts.models import Contact, Identity, Merge
from contacts.oneid import linking
from contacts.oneid.identity import Claim, attach, find
from events import log, reactors
from events.models import Event
from points import ledger
from scrm.lib.errors import Conflict, Invalid, NotFound
from tagging.models import ContactTag, Tag
from tenants.actors import Actor
from tenants.scope import brand_scope

ALICE = Actor("user:1", "alice")
AT = timezone.now()


def customer_and_visitor():
    return attach(
        claims=[Claim((("external_userid", "ww-alice:wm1"),)), Claim((("openid", "wx:o1"),))], at=AT
    ).contact_ids


@pytest.fixture
def two(cast):
    """A customer and a visitor of alice's brand, in its scope."""
    with brand_scope(cast.brand.id):
        yield customer_and_visitor()


def merge(survivor, loser):
    [merge_id] = merging.merge(wanted=[Wanted(survivor, loser)], actor=ALICE, at=AT)
    return merge_id


def test_what_came_since_goes_by_the_identity_it_carries(cast, two):
    customer, visitor = two
    merge_id = merge(customer, visitor)
    later = AT + timedelta(minutes=1)
    log.write([log.NewEvent("page_view", AT, identity=("openid", "wx:o1"))], at=later)
    log.write([log.NewEvent("sign_in", AT, contact_id=customer)], at=later)
    attach(claims=[Claim((("openid", "wx:o1"), ("phone", "13800001111")))], at=later)
    attach(claims=[Claim((("external_userid", "ww-alice:wm1"), ("unionid", "u1")))], at=later)
    assert set(Event.objects.filter(type__in=["page_view", "sign_in"]).values_list("contact_id", flat=True)) == {
        customer
    }

    merging.split(merge_ids=[merge_id], actor=ALICE, at=later)

    assert dict(Event.objects.filter(type__in=["page_view", "sign_in"]).values_list("type", "contact_id")) == {
        "page_view": visitor,
        "sign_in": customer,
    }
    assert dict(Identity.objects.values_list("type", "contact_id")) == {
        "external_userid": customer,
        "unionid": customer,
        "openid": visitor,
        "phone": visitor,
    }


def test_a_delivery_since_goes_back_with_the_external_userid_it_went_to(cast, two):
    customer, visitor = two
    attach(claims=[Claim((("openid", "wx:o1"), ("external_userid", "ww2:x")))], at=AT)
    Identity.objects.filter(value="ww2:x").update(value="ww-alice:wm2")
    merge_id = merge(customer, visitor)
    for number, external in enumerate(["wm1", "wm2"]):
        push = Push.objects.create(name=f"p{number}", created_at=AT)
        Delivery.objects.create(
            brand_id=cast.brand.id,
            push=push,
            contact_id=customer,
            staff=cast.bob,
            external_userid=external,
            status="delivered",
            updated_at=AT,
        )

    merging.split(merge_ids=[merge_id], actor=ALICE, at=AT)

    assert dict(Delivery.objects.values_list("external_userid", "contact_id")) == {"wm1": customer, "wm2": visitor}


def test_points_are_one_balance_and_go_back_as_far_as_they_are_there(two):
    customer, visitor = two
    ledger.grant(contact_id=customer, points=50, key="a", at=AT, expires_at=AT + timedelta(days=9))
    ledger.grant(contact_id=visitor, points=30, key="b", at=AT, expires_at=AT + timedelta(days=3))
    merge_id = merge(customer, visitor)
    assert ledger.statement(contact_id=customer, at=AT).balance == 80
    ledger.spend(contact_id=customer, points=10, key="c", at=AT)  # first to expire first: the visitor's

    merging.split(merge_ids=[merge_id], actor=ALICE, at=AT)

    assert [ledger.statement(contact_id=each, at=AT).balance for each in two] == [50, 20]
    assert ledger.discrepancies() == []


def test_a_movement_of_the_merged_account_can_still_be_reversed(two):
    customer, visitor = two
    granted = ledger.grant(contact_id=visitor, points=30, key="b", at=AT)
    other = ledger.grant(contact_id=visitor, points=5, key="d", at=AT)
    spent = ledger.spend(contact_id=visitor, points=5, key="c", at=AT)
    merge(customer, visitor)

    ledger.reverse(transfer_id=spent.transfer_id, note="", at=AT)
    assert ledger.statement(contact_id=customer, at=AT).balance == 35
    ledger.reverse(transfer_id=other.transfer_id, note="", at=AT)

    assert ledger.statement(contact_id=customer, at=AT).balance == 30
    assert ledger.discrepancies() == []
    assert granted.points == 30


def test_a_tag_of_both_keeps_the_later_expiry_and_both_kinds_of_evidence(cast, two):
    customer, visitor = two
    tag = Tag.objects.create(name="t", created_at=AT)
    for contact, days in ((customer, 1), (visitor, 5)):
        ContactTag.objects.create(
            brand_id=cast.brand.id,
            contact_id=contact,
            tag=tag,
            source="rule",
            evidence={"count": days},
            given_at=AT,
            expires_at=AT + timedelta(days=days),
        )
    merge(customer, visitor)

    row = ContactTag.objects.get(contact=customer)
    assert row.expires_at == AT + timedelta(days=5)
    assert row.evidence["count"] == 1
    assert row.evidence["merged"][0]["evidence"] == {"count": 5}


def test_who_is_in_one_push_twice_is_written_to_once(cast, two):
    customer, visitor = two
    push = Push.objects.create(name="p", created_at=AT)
    for contact, external in ((customer, "wm1"), (visitor, "wm2")):
        Delivery.objects.create(
            brand_id=cast.brand.id,
            push=push,
            contact_id=contact,
            staff=cast.bob,
            external_userid=external,
            status="planned",
            updated_at=AT,
        )
    merge(customer, visitor)

    shown = dict(Delivery.objects.values_list("external_userid", "status"))
    assert shown == {"wm1": "planned", "wm2": "suppressed"}
    assert Delivery.objects.get(external_userid="wm2").reason == "merged"


def test_an_event_for_the_old_number_is_the_survivors(cast):
    with brand_scope(cast.brand.id):
        customer, visitor = customer_and_visitor()
        merge(customer, visitor)
    body = {
        "events": [
            {
                "id": "0b9c7f5e-3d1a-4a52-8f0e-6a1c2d3e4f50",
                "type": "sign_in",
                "occurred_at": timezone.now().isoformat(),
                "contact_id": visitor,
            }
        ]
    }
    report = cast.alice.api("post", "/api/v1/events", body).json()
    assert report["accepted"] == 1
    with brand_scope(cast.brand.id):
        assert Event.objects.get(type="sign_in").contact_id == customer


def test_what_others_wrote_to_the_loser_meanwhile_follows_by_the_log(cast):
    with brand_scope(cast.brand.id):
        customer, visitor = customer_and_visitor()
        merge(customer, visitor)
        tag = Tag.objects.create(name="t", created_at=AT)
        # A worker that had read the visitor's number before the merge.
        ContactTag.objects.create(brand_id=cast.brand.id, contact_id=visitor, tag=tag, source="rule", given_at=AT)
        horizon = log.current_txid() + 1

    while reactors.react(brand_id=cast.brand.id, reactor="contacts.merging", at=AT, horizon=horizon).more:
        pass

    with brand_scope(cast.brand.id):
        assert ContactTag.objects.get().contact_id == customer


def test_splitting_twice_and_merging_nobody_are_refused(two):
    customer, visitor = two
    merge_id = merge(customer, visitor)
    assert merging.merge(wanted=[Wanted(customer, visitor)], actor=ALICE, at=AT) == []
    merging.split(merge_ids=[merge_id], actor=ALICE, at=AT)
    with pytest.raises(Conflict):
        merging.split(merge_ids=[merge_id], actor=ALICE, at=AT)
    with pytest.raises(NotFound):
        merging.merge(wanted=[Wanted(customer, 10**9)], actor=ALICE, at=AT)


def test_a_log_in_links_and_a_pending_id_is_redeemed(two):
    customer, _visitor = two
    guest = linking.link(refs=[{"unionid": "u7"}, {"pending_id": "p7", "corpid": "ww-alice"}], at=AT)
    assert find({"pending_id": "p7", "corpid": "ww-alice"}).pk == guest

    assert linking.redeem(corpid="ww-alice", found={"p7": "wm1", "p8": "wm9"}, at=AT) == 1

    assert find({"unionid": "u7"}).pk == find({"external_userid": "wm1", "corpid": "ww-alice"}).pk
    assert not Contact.objects.filter(pk=max(guest, customer)).exists()
    assert Merge.objects.count() == 1
    with pytest.raises(Invalid):
        linking.link(refs=[{"device": "d1"}], at=AT)
