"""The control group: the same for Python and the database, the same tomorrow, and as large as asked for."""

from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from campaigns.experiments.control_group import SHARES, is_held_out, share, share_sql, threshold

KEYS = st.integers(1, 2**62)


class TestTheSameInTheDatabase(TestCase):
    @settings(max_examples=100, deadline=None)
    @given(push_id=KEYS, key=KEYS)
    def test_share(self, push_id, key):
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {share_sql('k')} FROM (SELECT %s::bigint AS k) t", [push_id, key])
            assert cursor.fetchone()[0] == share(push_id=push_id, key=key)


@given(push_id=KEYS, key=KEYS, percent=st.integers(0, 99))
def test_a_larger_control_group_contains_the_smaller(push_id, key, percent):
    if is_held_out(push_id=push_id, key=key, percent=percent):
        assert is_held_out(push_id=push_id, key=key, percent=percent + 1)


@given(push_id=KEYS, key=KEYS)
def test_nobody_is_held_out_at_0_and_everybody_at_100(push_id, key):
    assert not is_held_out(push_id=push_id, key=key, percent=0)
    assert is_held_out(push_id=push_id, key=key, percent=100)
    assert 0 <= share(push_id=push_id, key=key) < SHARES == threshold(100)


@given(push_id=st.integers(1, 10**6), percent=st.sampled_from([1, 5, 10, 25, 50]))
@settings(max_examples=25, deadline=None)
def test_the_group_is_about_as_large_as_asked_for(push_id, percent):
    people = 4000
    held = sum(is_held_out(push_id=push_id, key=key, percent=percent) for key in range(1, people + 1))
    spread = (people * percent / 100 * (1 - percent / 100)) ** 0.5

    assert abs(held - people * percent / 100) < 6 * spread


def test_the_groups_of_two_pushes_are_unrelated():
    both = sum(
        is_held_out(push_id=1, key=k, percent=50) and is_held_out(push_id=2, key=k, percent=50) for k in range(4000)
    )

    assert 850 < both < 1150
