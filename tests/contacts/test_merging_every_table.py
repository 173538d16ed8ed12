"""Merges, splits, and what happens in between, over every table that the models tie to a contact."""

from collections import Counter
from datetime import timedelta
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from commerce.models import Order
from contacts import gone, merging, settling
from contacts.merging import Wanted, spoken_for
from contacts.models import Contact, Identity
from contacts.oneid.identity import Claim, attach
from events import log, reactors
from events.models import Event, ReactorCursor
from points import ledger
from tenants.actors import Actor
from tenants.scope import brand_scope
from tests.cast import NOON, Cast
from tests.contacts.any_row import fill, tied
from tests.contacts.histories import differences, digest, people, plain

ALICE = Actor("user:1", "alice")
NOT_MOVED = {
    "tagging_segmentstanding": "what was found of a number; both are looked at again",
    "tagging_contacttouch": "numbers that wait to be looked at",
    "webhooks_webhookdelivery": "what was queued of a number is told of that number, as who it is by then",
}
WRITTEN_BY_THEIR_APPS = ("points_pointsaccount", "events_event", "campaigns_reservation")
"""by tests.contacts.histories: an account and its lots, the log, a reservation and its delivery belong together"""
CHANGED_SINCE = ("contacts_contact", "contacts_identity", "lots", "balances")
PEOPLE = 4
PAIR = st.tuples(st.integers(0, PEOPLE - 1), st.integers(0, PEOPLE - 1))
ACT = st.tuples(st.sampled_from(["merge", "merge", "event", "order", "by number", "points", "identity"]), PAIR)


def test_every_table_says_how_it_follows_a_merge():
    silent = {model._meta.db_table for model in tied()} - spoken_for().keys() - NOT_MOVED.keys()
    assert not silent, f"say in contacts.merging how these follow, or above why not: {silent}"


class EveryTable(TestCase):
    @settings(max_examples=6, deadline=None)
    @given(
        seed=st.integers(0, 10**6),
        pairs=st.lists(PAIR, min_size=1, max_size=4),
        order=st.randoms(use_true_random=False),
    )
    def test_a_random_row_of_any_table_comes_back(self, seed, pairs, order):
        cast, random = Cast.make(), Random(seed)
        with brand_scope(cast.brand.id):
            ids = people(cast, random, PEOPLE)
            models = [model for model in tied() if model._meta.db_table not in WRITTEN_BY_THEIR_APPS]
            for model in models:
                for contact in ids:
                    fill(model, contact, random)
                assert model.objects.exists(), model
            settling.settle(ids)
            before = digest()
            made = []
            for one, other in pairs:
                made += merging.merge(wanted=[Wanted(ids[one], ids[other])], actor=ALICE, at=NOON + timedelta(hours=1))
            order.shuffle(made)
            for each in made:
                merging.split(merge_ids=[each], actor=ALICE, at=NOON + timedelta(hours=2))

            assert differences(before, digest()) == {}, plain(differences(before, digest()))

    @settings(max_examples=10, deadline=None)
    @given(
        seed=st.integers(0, 10**6),
        acts=st.lists(ACT, min_size=2, max_size=9),
        order=st.randoms(use_true_random=False),
    )
    def test_what_was_there_comes_back_and_what_came_since_goes_by_its_identity(self, seed, acts, order):
        cast = Cast.make()
        with brand_scope(cast.brand.id):
            ids = people(cast, Random(seed), PEOPLE)
            before = digest()
        story = Story(cast, ids)
        for number, (act, (one, other)) in enumerate(acts):
            story.act(number, act, one, other)
        with brand_scope(cast.brand.id):
            assert ledger.discrepancies() == []
            order.shuffle(story.merges)
        for each in story.merges:
            with brand_scope(cast.brand.id):
                merging.split(merge_ids=[each], actor=ALICE, at=NOON + timedelta(hours=20))

        with brand_scope(cast.brand.id):
            after = digest()
            lost = {
                table: sorted((Counter(rows) - Counter(after[table])).elements())
                for table, rows in before.items()
                if table not in CHANGED_SINCE
            }
            assert not any(lost.values()), plain(lost)
            assert story.found() == story.expected
            assert ledger.discrepancies() == []
            assert Contact.objects.count() == PEOPLE


class Story:
    """Acts on people, and whose each thing should be in the end."""

    def __init__(self, cast: Cast, ids: list[int]) -> None:
        self.cast, self.ids = cast, ids
        self.merges: list[int] = []
        self.expected: dict[str, int] = {}

    def act(self, number: int, act: str, one: int, other: int) -> None:
        at = NOON + timedelta(minutes=number + 1)
        name, key = f"n{number}", ("external_userid", f"{self.cast.corp.corpid}:wm{one}")
        with brand_scope(self.cast.brand.id):
            now = gone.current(self.ids)[self.ids[one]]
            if act == "merge":
                wanted = [Wanted(self.ids[one], self.ids[other])]
                self.merges += merging.merge(wanted=wanted, actor=ALICE, at=at)
            elif act == "event":
                log.write([log.NewEvent("page_view", at, identity=key, props={"page": name})], at=at)
                self.expected[f"event {name}"] = self.ids[one]
            elif act == "by number":
                log.write([log.NewEvent("page_view", at, contact_id=now, props={"page": name})], at=at)
                self.expected[f"event {name}"] = now
            elif act == "order":
                props = {"order_no": name, "amount_fen": 100}
                log.write([log.NewEvent("order_paid", at, identity=key, props=props)], at=at)
                self.expected[f"order {name}"] = self.ids[one]
            elif act == "identity":
                attach(claims=[Claim((key, ("phone", f"1370000{number:04}")))], at=at)
                self.expected[f"identity 1370000{number:04}"] = self.ids[one]
            elif act == "points":
                ledger.grant(contact_id=now, points=10, key=name, at=at)
                ledger.spend(contact_id=now, points=7, key=f"-{name}", at=at)
            horizon = log.current_txid() + 1
            ReactorCursor.objects.filter(reactor="commerce.orders").delete()
        reactors.react(brand_id=self.cast.brand.id, reactor="commerce.orders", at=at, horizon=horizon)

    def found(self) -> dict[str, int]:
        """Whose each thing is. Scoped."""
        views = Event.objects.filter(type="page_view", props__page__startswith="n").values_list("props", "contact_id")
        found = {f"event {props['page']}": contact for props, contact in views}
        found |= {f"order {no}": who for no, who in Order.objects.values_list("order_no", "contact_id")}
        shown = Identity.objects.filter(type="phone", value__startswith="1370000")
        return found | {f"identity {value}": who for value, who in shown.values_list("value", "contact_id")}
