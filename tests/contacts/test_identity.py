"""OneID: when several identities are one contact, and when they are not."""

import threading
import time
from collections import Counter
from datetime import timedelta
from random import Random

import pytest
from django.db import connection
from django.utils import timezone

from contacts.models import Contact, Identity, IdentityConflict, Merge
from contacts.oneid import conflicts, identity
from contacts.oneid.identity import Claim, Draft, attach
from contacts.oneid.strengths import slot
from events import log
from events.models import Event
from scrm.lib.errors import Invalid, NotFound
from tenants.actors import SYSTEM
from tenants.scope import brand_scope
from tests.contacts.world import connect

AT = timezone.now()


def external(name: str, corp: str = "ww1"):
    return ("external_userid", f"{corp}:{name}")


def union(name: str):
    return ("unionid", name)


@pytest.fixture
def scope(cast):
    with brand_scope(cast.brand.id):
        yield cast


def test_one_person_with_two_corps_and_one_unionid_is_one_contact(cast, simulator):
    """The same WeChat user befriends guides of both corps of the brand: two external_userids, one unionid."""
    first, second = connect(cast.brand, simulator), connect(cast.brand, simulator, 1)
    people = {}
    for world in (first, second):
        userid = sorted(world.listed())[0][0]
        people[world.corp.corpid] = simulator.act(
            "scan", corpid=world.corp.corpid, userid=userid, unionid="o-one-person-of-two-corps"
        )

    for world in (first, second):
        world.sync()

    shown = [p["external_userid"] for p in people.values()]
    assert len(set(shown)) == 2
    with first.scope():
        contact = identity.find({"unionid": "o-one-person-of-two-corps"})
        for corpid, person in people.items():
            ref = {"external_userid": person["external_userid"], "corpid": corpid}
            assert identity.find(ref) == contact
        assert Identity.objects.filter(contact=contact).count() == 3
        assert Contact.objects.count() == len(first.people()) + len(second.people()) - 1
        assert not IdentityConflict.objects.exists()


def test_two_external_ids_of_one_unionid_in_one_page(scope):
    done = attach(claims=[Claim((external("wm1"), union("u1"))), Claim((external("wm2", "ww2"), union("u1")))], at=AT)

    assert done.contact_ids[0] == done.contact_ids[1]
    assert (len(done.created), done.shared) == (1, {done.contact_ids[0]})


def test_a_unionid_seen_later_joins_the_contact(scope):
    (contact,) = attach(claims=[Claim((external("wm1"),))], at=AT).contact_ids

    done = attach(claims=[Claim((external("wm1"), union("u1")))], at=AT)

    assert (done.contact_ids, done.created, done.fresh) == ([contact], set(), {union("u1"): contact})
    assert identity.find({"unionid": "u1"}).pk == contact


def test_two_contacts_that_are_shown_to_be_one_are_merged(scope):
    wecom, shop = attach(claims=[Claim((external("wm1"),), Draft(name="陈")), Claim((union("u1"),))], at=AT).contact_ids

    for _twice in range(2):
        done = attach(claims=[Claim((external("wm1"), union("u1")))], at=AT)

    assert done.contact_ids == [wecom]
    assert identity.find({"unionid": "u1"}).pk == wecom
    assert identity.find({"id": shop}).pk == wecom  # the old number goes on meaning the person
    assert list(Contact.objects.values_list("pk", flat=True)) == [wecom]
    assert not IdentityConflict.objects.exists()
    assert Merge.objects.get().evidence["value"] == "u1"


@pytest.mark.parametrize("several", [False, True])
def test_a_customer_survives_a_visitor_and_the_older_the_younger(scope, several):
    visitor, friend = attach(claims=[Claim((union("u1"),)), Claim((external("wm1"),))], at=AT).contact_ids
    if not several:
        Contact.objects.filter(pk=friend).update(first_added_at=AT)

    done = attach(claims=[Claim((external("wm1"), union("u1")))], at=AT)

    assert done.contact_ids == [visitor if several else friend]


def test_two_values_of_what_a_person_has_once_are_two_people(scope):
    first, second = attach(
        claims=[Claim((external("wm1"), union("u1"))), Claim((external("wm2"), union("u2")))], at=AT
    ).contact_ids

    for _twice in range(2):
        done = attach(claims=[Claim((external("wm1"), union("u2")))], at=AT)

    assert done.contact_ids == [first]
    assert identity.find({"unionid": "u2"}).pk == second
    conflict = IdentityConflict.objects.get()
    assert {conflict.contact_id, conflict.other_id} == {first, second}
    assert conflict.evidence["value"] == "u2"


def test_a_second_unionid_of_nobody_is_held_back(scope):
    (contact,) = attach(claims=[Claim((external("wm1"), union("u1")))], at=AT).contact_ids

    done = attach(claims=[Claim((external("wm1"), union("u2")))], at=AT)

    assert (done.contact_ids, done.fresh, done.conflicts) == ([contact], {}, 1)
    with pytest.raises(NotFound):
        identity.find({"unionid": "u2"})
    assert IdentityConflict.objects.get().other_id is None


def test_weak_identities_find_a_person_but_never_unite_two(scope):
    """A tablet in the shop, on which two people log in."""
    device = ("device", "ipad-1")
    first, second = attach(claims=[Claim((union("u1"), device)), Claim((union("u2"), device))], at=AT).contact_ids

    assert first != second
    assert attach(claims=[Claim((device,))], at=AT).contact_ids == [first]
    assert not IdentityConflict.objects.exists()
    # Nobody known by the device becomes the visitor's: the unionid is a person of their own.
    (third,) = attach(claims=[Claim((device, union("u3")))], at=AT).contact_ids
    assert third not in (first, second)


def test_an_identity_keeps_what_it_was_shown_with(scope):
    attach(claims=[Claim((external("wm1"), union("u1")))], at=AT, source="wecom")

    shown = Identity.objects.get(value="u1")
    assert shown.seen_with == Identity.objects.get(value="ww1:wm1").pk
    assert shown.source == "wecom"


def test_a_new_contact_starts_with_its_draft_and_a_known_one_keeps_its_own(scope):
    claim = (external("wm1"),)
    (contact,) = attach(claims=[Claim(claim, Draft(name="陈小满", phone="13800000000"))], at=AT).contact_ids
    attach(claims=[Claim(claim, Draft(name="别人"))], at=AT)

    row = Contact.objects.get(pk=contact)
    assert (row.name, row.phone, row.created_at) == ("陈小满", "13800000000", AT)


def test_events_that_waited_for_a_person_are_theirs(scope):
    moment = AT - timedelta(minutes=5)
    log.write([log.NewEvent("page_view", moment, identity=union("u9"), source="api")], at=AT)
    assert Event.objects.get().contact_id is None

    (contact,) = attach(claims=[Claim((external("wm9"), union("u9")))], at=AT).contact_ids

    assert Event.objects.get().contact_id == contact


def test_another_brands_identity_is_nobodys(cast):
    with brand_scope(cast.brand.id):
        attach(claims=[Claim((union("u1"),))], at=AT)
    with brand_scope(cast.other.id):
        assert identity.resolve([union("u1")]) == {}
        with pytest.raises(NotFound):
            identity.find({"unionid": "u1"})


@pytest.mark.parametrize(
    ("ref", "field"),
    [
        ({}, "identity"),
        ({"nickname": "x"}, "identity"),
        ({"unionid": "a", "phone": "1"}, "identity"),
        ({"external_userid": "wm1"}, "corpid"),
        ({"openid": "o1"}, "appid"),
    ],
)
def test_a_reference_that_names_nobody_is_refused_by_field(scope, ref, field):
    with pytest.raises(Invalid) as refusal:
        identity.find(ref)
    assert [error.field for error in refusal.value.errors] == [field]


@pytest.mark.parametrize(
    ("type_", "one", "other", "same"),
    [
        ("unionid", "oAbC", " oAbC\t", True),
        ("unionid", "oAbC", "oabc", False),  # WeChat's ids are compared letter by letter
        ("member_id", "vip007", " VIP007", True),
        ("member_id", "ＶＩＰ００７", "VIP007", True),
        ("device", "AB-12", "ab-12", True),
        ("order_phone", "１３８００００１１１１", "+86 138 0000 1111", True),
    ],
)
def test_case_and_white_space(type_, one, other, same):
    assert (identity.canonical(type_, one) == identity.canonical(type_, other)) is same


def test_a_blank_value_names_nobody(scope):
    with pytest.raises(Invalid):
        identity.find({"unionid": "  "})


@pytest.mark.parametrize(
    "spelled",
    [
        "13800001111",
        "+86 138 0000 1111",
        "86-138-0000-1111",
        "0086 13800001111",
        "（＋８６）１３８００００１１１１",
        "\u202d+86 138 0000 1111\u202c",
        "\ufeff'13800001111",
        "13800001111.0",
    ],
)
def test_a_phone_has_one_spelling(spelled):
    assert identity.canonical("phone", spelled) == "13800001111"


@pytest.mark.parametrize("spelled", ["1.38E+10", "1.38e10", "1.380000E+10", "1", "110", "不详", "1" * 21])
def test_what_is_left_of_a_phone_names_nobody(scope, spelled):
    """Many rows of a spreadsheet may have the same remains: they are not one person."""
    with pytest.raises(Invalid):
        identity.find({"phone": spelled})


@pytest.mark.parametrize("type_", ["unionid", "member_id", "device"])
def test_marks_without_width_do_not_count(type_):
    assert identity.canonical(type_, "\ufeffA1\u200b \u200e") == identity.canonical(type_, "A1")


def test_two_workers_who_meet_a_person_at_once_make_one_contact(live_cast):
    """Without the brand's identity lock each would make a contact, and one of them would have no identity."""
    together = threading.Barrier(6)
    found: list[int] = []

    def meet() -> None:
        together.wait()
        with brand_scope(live_cast.brand.id):
            found.extend(attach(claims=[Claim((external("wm1"), union("u1")))], at=AT).contact_ids)
        connection.close()

    workers = [threading.Thread(target=meet) for _number in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert len(found) == 6
    assert len(set(found)) == 1
    with brand_scope(live_cast.brand.id):
        assert Contact.objects.count() == 1


# ---- evidence that contradicts itself through several people

PHONE, CARD, APP = ("phone", "13800001111"), ("member_id", "M1"), ("openid", "wx:o1")


def bridge():
    """Two people, each with a unionid, and a third of whom only a member number is known."""
    claims = [Claim((PHONE, union("u1"))), Claim((CARD,)), Claim((APP, union("u2")))]
    return attach(claims=claims, at=AT).contact_ids


def test_one_log_in_that_names_two_people_unites_nobody(scope):
    bridge()

    attach(claims=[Claim((CARD, PHONE, APP))], at=AT)

    assert len(set(identity.resolve([PHONE, CARD, APP]).values())) == 3
    assert IdentityConflict.objects.filter(resolved_at=None).count() == 2


@pytest.mark.parametrize("at_once", [True, False])
def test_two_people_are_not_united_by_way_of_a_third(scope, at_once):
    first, third, second = bridge()
    claims = [Claim((CARD, PHONE)), Claim((CARD, APP))]

    for some in [claims] if at_once else [claims[:1], claims[1:]]:
        attach(claims=some, at=AT)

    assert identity.resolve([PHONE, CARD, APP]) == {PHONE: first, CARD: first, APP: second}
    conflict = IdentityConflict.objects.get(resolved_at=None)
    assert {conflict.contact_id, conflict.other_id} in ({first, second}, {third, second})


def test_a_new_unionid_beside_another_persons_card_unites_nobody(scope):
    card, phone = attach(claims=[Claim((CARD,)), Claim((PHONE, union("u1")))], at=AT).contact_ids

    attach(claims=[Claim((CARD, PHONE, union("u2")))], at=AT)

    found = identity.resolve([CARD, PHONE, union("u1"), union("u2")])
    assert found == {CARD: card, PHONE: phone, union("u1"): phone, union("u2"): card}
    assert IdentityConflict.objects.filter(resolved_at=None).count() == 1


def test_of_many_who_are_one_the_oldest_customer_survives(scope):
    old, _visitor, young = attach(claims=[Claim((PHONE,)), Claim((CARD,)), Claim((APP,))], at=AT).contact_ids
    Contact.objects.filter(pk__in=[old, young]).update(first_added_at=AT)

    done = attach(claims=[Claim((CARD, PHONE)), Claim((CARD, APP))], at=AT)

    assert set(done.contact_ids) == {old}
    assert list(Contact.objects.values_list("pk", flat=True)) == [old]


def test_who_is_kept_apart_stays_apart_as_somebody_else_too(scope):
    first, second, third = attach(claims=[Claim((PHONE,)), Claim((CARD,)), Claim((APP,))], at=AT).contact_ids
    [merge_id] = conflicts.merge_people(survivor_id=first, loser_id=second, reason="r", actor=SYSTEM, at=AT)
    conflicts.split_people(merge_id=merge_id, reason="两位", actor=SYSTEM, at=AT)
    conflicts.merge_people(survivor_id=third, loser_id=first, reason="r", actor=SYSTEM, at=AT)

    attach(claims=[Claim((APP, CARD))], at=AT)

    assert identity.resolve([PHONE, CARD, APP]) == {PHONE: third, CARD: second, APP: third}


def test_a_conflict_of_merged_contacts_is_settled_when_they_become_one(scope):
    one, other = attach(claims=[Claim((PHONE, union("u1"))), Claim((APP, union("u2")))], at=AT).contact_ids
    attach(claims=[Claim((PHONE, APP))], at=AT)
    first, second = attach(claims=[Claim((CARD,)), Claim((union("u9"),))], at=AT).contact_ids
    for survivor, loser in ((first, one), (second, other)):
        conflicts.merge_people(survivor_id=survivor, loser_id=loser, reason="r", actor=SYSTEM, at=AT)
    assert [conflicts.number_of(each) for each in (first, second)] == [1, 1]

    conflicts.merge_people(survivor_id=first, loser_id=second, reason="r", actor=SYSTEM, at=AT)

    assert conflicts.number_of(first) == 0
    assert IdentityConflict.objects.get().resolution == "merged"


@pytest.mark.parametrize("seed", range(4))
def test_no_contact_ever_has_two_values_of_what_a_person_has_once(scope, seed):
    """Random log-ins of few people who lend each other phones and cards, several at a time."""
    chance = Random(seed)
    pool = [("unionid", "u"), ("openid", "wx:o"), ("member_id", "M"), ("phone", "1380000000")]
    for _batch in range(4):
        claims = []
        for _log_in in range(8):
            some = chance.sample(pool, chance.randint(1, 3))
            claims.append(Claim(tuple((type_, f"{value}{chance.randint(1, 9)}") for type_, value in some)))
        attach(claims=claims, at=AT)

    held = Counter(
        (contact, slot(type_, value))
        for contact, type_, value in Identity.objects.values_list("contact_id", "type", "value")
        if slot(type_, value)
    )
    assert held
    assert set(held.values()) == {1}


def test_what_was_learnt_while_waiting_counts(live_cast):
    """A log-in that unites two known contacts looks again once it has the brand's identity lock."""
    brand = live_cast.brand.id
    with brand_scope(brand):
        card, phone = attach(claims=[Claim((CARD,)), Claim((PHONE, union("u1")))], at=AT).contact_ids

    def log_in() -> None:
        with brand_scope(brand):
            attach(claims=[Claim((CARD, PHONE))], at=AT)
        connection.close()

    worker = threading.Thread(target=log_in)
    with brand_scope(brand):
        attach(claims=[Claim((CARD, union("u2")))], at=AT)
        worker.start()
        until = time.monotonic() + 60
        while not _somebody_waits() and time.monotonic() < until:
            time.sleep(0.02)
    worker.join()

    with brand_scope(brand):
        assert identity.resolve([CARD, PHONE]) == {CARD: card, PHONE: phone}
        assert IdentityConflict.objects.count() == 1


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
        )
        return bool(cursor.fetchone()[0])
