"""The books: what an operator or a mini-program sees of grants, spends, reversals and expiry."""

from datetime import timedelta
from threading import Thread

import pytest
from django.db import Error, connection, transaction

from events.models import Event
from points import expiry, ledger
from points.models import Lot, PointsEntry
from tenants.scope import brand_scope
from tests.cast import NOON


@pytest.fixture
def scoped(cast):
    contact = cast.contact()
    with brand_scope(cast.brand.id):
        yield contact


def test_a_grant_is_posted_once(scoped):
    first = ledger.grant(contact_id=scoped.id, points=100, key="A1", at=NOON)
    again = ledger.grant(contact_id=scoped.id, points=100, key="A1", at=NOON)

    assert (first.balance, first.replayed) == (100, False)
    assert (again.transfer_id, again.balance, again.replayed) == (first.transfer_id, 100, True)
    assert ledger.statement(contact_id=scoped.id, at=NOON).balance == 100


def test_a_key_cannot_stand_for_two_movements(scoped):
    ledger.grant(contact_id=scoped.id, points=100, key="A1", at=NOON)

    with pytest.raises(ledger.KeyReused):
        ledger.grant(contact_id=scoped.id, points=50, key="A1", at=NOON)


@pytest.mark.parametrize(("_case", "points"), [("one over", 101), ("far over", 10_000)])
def test_refuses_to_overdraw(scoped, _case, points):
    ledger.grant(contact_id=scoped.id, points=100, key="A1", at=NOON)

    with pytest.raises(ledger.InsufficientPoints, match="100"):
        ledger.spend(contact_id=scoped.id, points=points, key="B1", at=NOON)

    assert ledger.statement(contact_id=scoped.id, at=NOON).balance == 100
    assert PointsEntry.objects.count() == 2


def test_spends_what_expires_first(scoped):
    ledger.grant(contact_id=scoped.id, points=10, key="late", at=NOON, expires_at=NOON + timedelta(days=90))
    ledger.grant(contact_id=scoped.id, points=10, key="soon", at=NOON, expires_at=NOON + timedelta(days=9))
    ledger.grant(contact_id=scoped.id, points=10, key="never", at=NOON)

    ledger.spend(contact_id=scoped.id, points=15, key="B1", at=NOON)

    left = {lot.expires_at: lot.remaining for lot in Lot.objects.all()}
    assert left == {NOON + timedelta(days=9): 0, NOON + timedelta(days=90): 5, None: 10}


def test_expired_points_cannot_be_spent_even_before_the_sweep(scoped):
    ledger.grant(contact_id=scoped.id, points=10, key="A", at=NOON, expires_at=NOON + timedelta(days=1))
    later = NOON + timedelta(days=2)

    assert ledger.statement(contact_id=scoped.id, at=later).balance == 0
    with pytest.raises(ledger.InsufficientPoints):
        ledger.spend(contact_id=scoped.id, points=1, key="B", at=later)


def test_the_sweep_takes_expired_lots_once(scoped):
    ledger.grant(contact_id=scoped.id, points=10, key="A", at=NOON, expires_at=NOON + timedelta(days=1))
    ledger.grant(contact_id=scoped.id, points=7, key="B", at=NOON)
    later = NOON + timedelta(days=2)

    assert (expiry.expire(at=later), expiry.expire(at=later)) == (1, 0)
    assert ledger.statement(contact_id=scoped.id, at=later).balance == 7
    assert ledger.discrepancies() == []


def test_a_reversed_spend_gives_the_points_back_with_their_expiry(scoped):
    soon = NOON + timedelta(days=9)
    ledger.grant(contact_id=scoped.id, points=10, key="A", at=NOON, expires_at=soon)
    spent = ledger.spend(contact_id=scoped.id, points=4, key="B", at=NOON)

    once = ledger.reverse(transfer_id=spent.transfer_id, note="退单", at=NOON)
    twice = ledger.reverse(transfer_id=spent.transfer_id, note="退单", at=NOON)

    assert (once.balance, twice.replayed) == (10, True)
    assert ledger.statement(contact_id=scoped.id, at=soon).balance == 0
    assert ledger.discrepancies() == []


def test_a_grant_spent_meanwhile_cannot_be_reversed_whole(scoped):
    grant = ledger.grant(contact_id=scoped.id, points=10, key="A", at=NOON)
    ledger.spend(contact_id=scoped.id, points=4, key="B", at=NOON)

    with pytest.raises(ledger.AlreadySpent):
        ledger.reverse(transfer_id=grant.transfer_id, note="", at=NOON)


@pytest.mark.parametrize("statement", ["UPDATE points_pointsentry SET amount = 1", "DELETE FROM points_transfer"])
def test_the_database_refuses_to_change_the_books(scoped, statement):
    ledger.grant(contact_id=scoped.id, points=10, key="A", at=NOON)

    with pytest.raises(Error, match="permission denied"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_two_tills_cannot_spend_the_same_points(live_cast):
    contact = live_cast.contact()
    with brand_scope(live_cast.brand.id):
        ledger.grant(contact_id=contact.id, points=100, key="A", at=NOON)
    outcomes = []

    def till(number):
        try:
            with brand_scope(live_cast.brand.id):
                outcomes.append(ledger.spend(contact_id=contact.id, points=60, key=f"till{number}", at=NOON).balance)
        except ledger.InsufficientPoints:
            outcomes.append("refused")
        finally:
            connection.close()

    threads = [Thread(target=till, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(map(str, outcomes)) == ["40", "refused", "refused", "refused"]
    with brand_scope(live_cast.brand.id):
        assert ledger.discrepancies() == []


def test_an_adjustment_is_booked_as_one_and_its_reversal_too(scoped):
    posted = ledger.grant(contact_id=scoped.id, points=10, key="A", reason="adjust", at=NOON)
    back = ledger.reverse(transfer_id=posted.transfer_id, note="误加", at=NOON)

    booked = PointsEntry.objects.filter(transfer_id__in=[posted.transfer_id, back.transfer_id])
    codes = set(booked.exclude(account__code="").values_list("account__code", "amount"))
    assert codes == {("adjusted", -10), ("adjusted", 10)}


def test_the_log_is_told_of_every_movement(scoped):
    ledger.grant(contact_id=scoped.id, points=10, key="A", at=NOON)
    ledger.grant(contact_id=scoped.id, points=10, key="A", at=NOON)
    spent = ledger.spend(contact_id=scoped.id, points=4, key="B", at=NOON)
    ledger.reverse(transfer_id=spent.transfer_id, note="", at=NOON)

    told = Event.objects.filter(contact_id=scoped.id, type__startswith="points_")
    assert sorted((row.type, row.props["points"], row.props["balance"]) for row in told) == [
        ("points_earned", 4, 10),
        ("points_earned", 10, 10),
        ("points_spent", 4, 6),
    ]
