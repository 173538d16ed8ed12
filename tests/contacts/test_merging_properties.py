"""Whatever is merged into whatever, in whatever order it is split: every row is as it was."""

from datetime import timedelta
from random import Random

from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from contacts import merging
from contacts.merging import Wanted
from contacts.models import Contact, Merge
from points import ledger
from tenants.actors import Actor
from tenants.scope import brand_scope
from tests.cast import NOON, Cast
from tests.contacts.histories import differences, digest, people, plain

ALICE = Actor("user:1", "alice")
LATER = NOON + timedelta(hours=1)
PEOPLE = 5
PAIR = st.tuples(st.integers(0, PEOPLE - 1), st.integers(0, PEOPLE - 1))


class Undo(Exception):
    """Rolls a savepoint back."""


class MergingProperties(TestCase):
    @settings(max_examples=15, deadline=None)
    @given(
        seed=st.integers(0, 10**6),
        acts=st.lists(st.lists(PAIR, min_size=1, max_size=3), min_size=1, max_size=3),
        order=st.randoms(use_true_random=False),
        together=st.booleans(),
    )
    def test_split_restores_every_row(self, seed, acts, order, together):
        cast = Cast.make()
        with brand_scope(cast.brand.id):
            ids = people(cast, Random(seed), PEOPLE)
            before = digest()
            made = []
            for pairs in acts:
                wanted = [Wanted(ids[one], ids[other]) for one, other in pairs]
                made += merging.merge(wanted=wanted, actor=ALICE, at=LATER)
            assert ledger.discrepancies() == []
            assert Contact.objects.count() == PEOPLE - len(made)  # the losers are nobody's

            order.shuffle(made)
            for some in [made] if together else [[each] for each in made]:
                merging.split(merge_ids=some, actor=ALICE, at=LATER + timedelta(hours=1))

            assert differences(before, digest()) == {}, plain(differences(before, digest()))
            assert ledger.discrepancies() == []
            assert not Merge.objects.filter(split_at=None).exists()

    @settings(max_examples=6, deadline=None)
    @given(seed=st.integers(0, 10**6), pairs=st.lists(PAIR, min_size=2, max_size=4), which=st.integers(0, 9))
    def test_splitting_one_of_several_is_as_if_it_had_never_been(self, seed, pairs, which):
        cast = Cast.make()
        with brand_scope(cast.brand.id):
            ids = people(cast, Random(seed), PEOPLE)
            try:
                with transaction.atomic():
                    made = merge_each(ids, pairs)
                    if not made:
                        return
                    gone = made[which % len(made)]
                    kept = list(Merge.objects.exclude(pk=gone).order_by("pk").values_list("survivor_id", "loser_id"))
                    raise Undo
            except Undo:
                pass
            with_all = merge_each(ids, pairs)
            merging.split(merge_ids=[with_all[which % len(with_all)]], actor=ALICE, at=LATER)
            after = digest()
            merging.split(
                merge_ids=list(Merge.objects.filter(split_at=None).values_list("pk", flat=True)), actor=ALICE, at=LATER
            )
            for survivor, loser in kept:
                merging.merge(wanted=[Wanted(survivor, loser)], actor=ALICE, at=LATER)
            without = digest()
            without.pop("lots"), after.pop("lots")  # a lot moved anew has a new id

            assert differences(without, after) == {}, plain(differences(without, after))


def merge_each(ids, pairs):
    made = []
    for one, other in pairs:
        made += merging.merge(wanted=[Wanted(ids[one], ids[other])], actor=ALICE, at=LATER)
    return made
