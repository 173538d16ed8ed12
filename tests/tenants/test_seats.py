"""Seats: invited, taken, changed, revoked; and the sessions that end with them."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from scrm.lib.errors import Conflict, Invalid, NotFound
from tenants import seats
from tenants.actors import Actor
from tenants.models import AuditEntry, Seat, User
from tenants.roles import Role
from tenants.scope import brand_scope

ALICE = Actor("user:1", "alice")


def invited(cast, name: str = "eve", role: str = Role.OPERATOR, **more) -> seats.Invited:
    with brand_scope(cast.brand.pk):
        return seats.invite(
            brand_id=cast.brand.pk, username=name, name="伊芙", role=role, actor=ALICE, at=timezone.now(), **more
        )


def test_an_invited_person_sets_a_password_and_works(cast):
    link = invited(cast)
    eve = Client()

    assert "伊芙" not in eve.get(f"/join/{link.token}x/").content.decode()
    weak = eve.post(f"/join/{link.token}/", {"password": "short", "again": "short"})
    assert weak.status_code == 422
    done = eve.post(f"/join/{link.token}/", {"password": "a-long-password-1", "again": "a-long-password-1"})

    assert done.status_code == 302
    user = User.objects.get(username="eve")
    assert [place.brand for place in seats.places_of(user=user)] == [cast.brand]
    assert eve.get(f"/join/{link.token}/").status_code == 404  # it works once


def test_before_it_is_taken_an_invitation_opens_nothing(cast):
    invited(cast)

    assert seats.places_of(user=User.objects.get(username="eve")) == []


def test_an_invitation_ends_after_a_week(cast):
    link = invited(cast)

    with pytest.raises(NotFound):
        seats.invitation(token=link.token, at=timezone.now() + timedelta(days=7, seconds=1))


def test_somebody_with_a_login_takes_a_seat_only_as_themselves(cast):
    link = invited(cast, "charlie")
    stranger = Client()

    assert stranger.post(f"/join/{link.token}/").headers["Location"].startswith("/login/")
    assert Seat.objects.get(pk=link.seat_id).status == Seat.Status.INVITED
    charlie = Client()
    charlie.force_login(cast.charlie.user)
    charlie.post(f"/join/{link.token}/")
    assert {place.brand.slug for place in seats.places_of(user=cast.charlie.user)} == {"cotton", "yin"}


@pytest.mark.parametrize("act", ["revoke", "change"])
def test_sessions_end_at_once(cast, act):
    link = invited(cast)
    eve = Client()
    eve.post(f"/join/{link.token}/", {"password": "a-long-password-1", "again": "a-long-password-1"})
    assert eve.get("/agency/").status_code == 200

    with brand_scope(cast.brand.pk):
        if act == "revoke":
            seats.revoke(brand_id=cast.brand.pk, seat_id=link.seat_id, actor=ALICE, at=timezone.now())
        else:
            seats.change(
                brand_id=cast.brand.pk, seat_id=link.seat_id, role=Role.ANALYST, actor=ALICE, at=timezone.now()
            )

    assert eve.get("/agency/").headers["Location"].startswith("/login/")
    with brand_scope(cast.brand.pk):
        entry = AuditEntry.objects.order_by("-id")[0]
    assert (entry.action, entry.actor, entry.object_id) == (f"seat.{act}", "user:1", str(link.seat_id))
    assert entry.before["role"] == "operator"


def test_a_brand_keeps_an_owner(cast):
    brand = cast.brand
    own = Seat.objects.get(user=cast.alice.user)
    Seat.objects.filter(user=cast.dora).update(status=Seat.Status.REVOKED)

    with brand_scope(brand.pk):
        with pytest.raises(seats.LastOwner):
            seats.revoke(brand_id=brand.pk, seat_id=own.pk, actor=ALICE, at=timezone.now())
        with pytest.raises(seats.LastOwner):
            seats.change(brand_id=brand.pk, seat_id=own.pk, role=Role.OPERATOR, actor=ALICE, at=timezone.now())
    own.refresh_from_db()
    assert (own.status, own.role) == ("active", "owner")


def test_another_brands_seat_is_not_there(cast):
    theirs = Seat.objects.get(user=cast.charlie.user)

    with brand_scope(cast.brand.pk), pytest.raises(NotFound):
        seats.revoke(brand_id=cast.brand.pk, seat_id=theirs.pk, actor=ALICE, at=timezone.now())
    theirs.refresh_from_db()
    assert theirs.status == "active"


@pytest.mark.parametrize(
    ("_case", "role", "field"),
    [("a store manager without store", "store_manager", "store_id"), ("an unknown role", "king", "role")],
)
def test_refuses_a_wrong_invitation(cast, _case, role, field):
    with pytest.raises(Invalid) as refusal:
        invited(cast, "mallory", role)

    assert [error.field for error in refusal.value.errors] == [field]
    assert not User.objects.filter(username="mallory").exists()


def test_a_member_is_not_invited_twice(cast):
    with pytest.raises(Conflict):
        invited(cast, "alice")


def test_a_name_that_waits_for_its_person_cannot_be_taken_by_another_brand(cast):
    invited(cast, "newcomer")

    with pytest.raises(Conflict), brand_scope(cast.other.pk):
        seats.invite(
            brand_id=cast.other.pk, username="newcomer", name="", role=Role.OPERATOR, actor=ALICE, at=timezone.now()
        )

    assert not Seat.objects.filter(brand=cast.other, user__username="newcomer").exists()


def test_logging_in_is_slowed_after_five_wrong_passwords(cast):
    name = f"eve-{uuid4().hex}"
    User.objects.create_user(name, password="the-right-password")
    client = Client(REMOTE_ADDR=f"10.1.{uuid4().int % 250}.{uuid4().int % 250}")

    answers = [client.post("/login/", {"username": name, "password": "wrong"}).status_code for _ in range(6)]
    locked = client.post("/login/", {"username": name, "password": "the-right-password"})

    assert answers == [422] * 5 + [429]
    assert locked.status_code == 429
    assert int(locked.headers["Retry-After"]) > 0


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/", "/\\evil.example"])
def test_logging_in_leads_nowhere_else(cast, target):
    password = "orchard-alice-1"

    response = Client().post("/login/", {"username": "alice", "password": password, "next": target})

    assert response.headers["Location"] == "/"


def test_behind_a_proxy_one_callers_guesses_do_not_lock_out_another(cast, settings):
    settings.ORCHARD_PROXIES = 1
    settings_of = {"REMOTE_ADDR": "10.9.9.9"}
    guesser, honest = (f"203.0.113.{uuid4().int % 200}", f"198.51.100.{uuid4().int % 200}")
    for _number in range(100):
        body = {"username": uuid4().hex, "password": "wrong"}
        Client(**settings_of).post("/login/", body, headers={"x-forwarded-for": f"1.2.3.4, {guesser}"})

    body = {"username": "alice", "password": "orchard-alice-1"}
    locked = Client(**settings_of).post("/login/", body, headers={"x-forwarded-for": f"5.6.7.8, {guesser}"})
    free = Client(**settings_of).post("/login/", body, headers={"x-forwarded-for": honest})

    assert (locked.status_code, free.status_code) == (429, 302)
