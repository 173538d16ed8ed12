"""The reason of a change is the fewest conditions whose change alone turns the verdict; any tree, any change."""

from itertools import combinations
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tagging.language import compiler
from tagging.segments import standings

LEAF = st.just({"kind": "lost"})
TREES = st.recursive(
    LEAF,
    lambda inner: st.builds(
        lambda group, nodes: {group: nodes},
        st.sampled_from(["all", "any", "none"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=6,
)


def turns(tree: Any, before: int, after: int, some: tuple[int, ...]) -> bool:
    """Whether changing just these leaves gives the later verdict."""
    changed = before ^ sum(1 << place for place in some)
    return standings.holds(tree, changed) == standings.holds(tree, after)


@given(TREES, st.integers(0, 2**6 - 1), st.integers(0, 2**6 - 1))
@settings(max_examples=300)
def test_a_reason_is_the_fewest_leaves_that_turn_the_verdict(tree, before, after):
    paths = [path for path, _leaf in compiler.leaves_of(tree)]
    flipped = [place for place in range(len(paths)) if (before ^ after) >> place & 1]

    told = standings.reason(tree, before, after)

    if standings.holds(tree, before) == standings.holds(tree, after):
        assert told == []
        return
    places = tuple(paths.index(path) for path in told)
    assert set(places) <= set(flipped)  # nothing is a reason that did not change
    assert turns(tree, before, after, places)
    smaller = (some for size in range(len(places)) for some in combinations(flipped, size))
    assert not any(turns(tree, before, after, some) for some in smaller)
