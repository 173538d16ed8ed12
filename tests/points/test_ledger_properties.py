"""Whatever is done in whatever order: every transfer sums to zero, and a balance is its entries and its open lots."""

from datetime import timedelta

from django.db.models import Sum
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from points import expiry, ledger
from points.models import PointsAccount, PointsEntry, Transfer
from scrm.lib.errors import Conflict, Refused
from tenants.scope import brand_scope
from tests.cast import NOON, Cast

KEYS = st.sampled_from("abcdef")
STEPS = st.one_of(
    st.tuples(st.just("grant"), st.integers(0, 1), st.integers(1, 50), KEYS, st.none() | st.integers(1, 5)),
    st.tuples(st.just("spend"), st.integers(0, 1), st.integers(1, 60), KEYS, st.none()),
    st.tuples(st.just("reverse"), st.integers(0, 9), st.just(0), KEYS, st.none()),
    st.tuples(st.just("expire"), st.just(0), st.just(0), KEYS, st.none()),
)


class LedgerProperties(TestCase):
    @settings(max_examples=60, deadline=None)
    @given(steps=st.lists(st.tuples(STEPS, st.integers(0, 2)), max_size=14))
    def test_the_books_always_balance(self, steps):
        cast = Cast.make()
        people = [cast.contact("a"), cast.contact("b")]
        at = NOON
        with brand_scope(cast.brand.id):
            for (act, who, points, key, keep_days), days in steps:
                at += timedelta(days=days)
                try:
                    self._step(act, people, who, points, key, keep_days, at)
                except (Refused, Conflict):
                    continue
            for account in PointsAccount.objects.filter(contact__isnull=False):
                assert account.balance >= 0
            assert ledger.discrepancies() == []
            unbalanced = PointsEntry.objects.values("transfer").annotate(total=Sum("amount")).exclude(total=0)
            assert list(unbalanced) == []

    def _step(self, act, people, who, points, key, keep_days, at):
        if act == "grant":
            expires = at + timedelta(days=keep_days) if keep_days else None
            ledger.grant(contact_id=people[who].id, points=points, key=key, at=at, expires_at=expires)
        elif act == "spend":
            ledger.spend(contact_id=people[who].id, points=points, key=key, at=at)
        elif act == "expire":
            expiry.expire(at=at)
        else:
            transfers = list(Transfer.objects.order_by("posted_at", "id").values_list("id", flat=True))
            if transfers:
                ledger.reverse(transfer_id=transfers[who % len(transfers)], note="", at=at)
