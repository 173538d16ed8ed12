"""Regular expressions: an event in hand is matched as the database matches it, and nothing takes for ever."""

import random

import pytest
from django.db import connection

from tagging.language import regex
from tagging.language.matching import matches

ATOMS = ["a", "b", "-", "$x", "\\$", ".", "^", "$", "\\d", "\\w", "\\S", "\\.", "[ab]", "[^a]", "[a-c]", "[\\w.]", "中"]
ATOMS += ["[$a]", "[-a]", "[a-]", "\\-", "[^\\d-]", "[\\]x]", "3", " "]
TIMES = ["", "", "", "?", "*", "+", "{2}", "{1,2}", "{0,3}", "{2,}"]
LETTERS = "aaébü-$.^3 中c\n_]x３"
PATTERNS, TEXTS = 600, 8


def pattern(dice: random.Random, depth: int = 2) -> str:
    """Anything; most of it is taken."""
    parts = []
    for _part in range(dice.randint(0, 4)):
        if depth and dice.random() < 0.3:
            inner = "|".join(pattern(dice, depth - 1) for _branch in range(dice.randint(1, 3)))
            parts.append(f"({dice.choice(['', '?:'])}{inner})")
        else:
            parts.append(dice.choice(ATOMS) + dice.choice(TIMES))
    return "".join(parts)


@pytest.mark.django_db
def test_an_event_in_hand_is_matched_as_the_database_does():
    dice = random.Random(11)
    taken = [made for _n in range(3 * PATTERNS) if not regex.problem(made := pattern(dice))][:PATTERNS]
    asked = [("".join(dice.choices(LETTERS, k=dice.randint(0, 6))), made) for made in taken for _text in range(TEXTS)]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT t ~ p FROM unnest(%s::text[], %s::text[]) AS x (t, p)", [*map(list, zip(*asked, strict=True))]
        )
        said = [row[0] for row in cursor.fetchall()]

    assert len(taken) == PATTERNS
    wrong = [
        (text, made, found) for (text, made), found in zip(asked, said, strict=True) if matches(made, text) != found
    ]
    assert not wrong, wrong[:5]
    assert 0.2 < sum(said) / len(said) < 0.8


@pytest.mark.parametrize("made", [".*" * 49 + "x", ".{0,50}" * 14 + "x", "[^b]{1,50}" * 9 + "b", "(.*a|.*|.*)x"])
def test_expressions_that_have_more_ways_than_time(made):
    assert not regex.problem(made)
    assert not matches(made, "a" * 3000)


def test_a_dollar_that_means_itself():
    assert matches("^\\$9$", "$9")
    assert matches("[$]", "a$")
    assert not matches("^\\$9$", "9")
    assert matches("a.b", "a\nb")
