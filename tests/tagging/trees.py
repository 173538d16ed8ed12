"""Random condition trees of every kind of leaf."""

from typing import Any

from hypothesis import strategies as st

from tests.tagging.population import World
from tests.tagging.tree_leaves import DRAWS


def leaves(world: World, *, but: frozenset[str] = frozenset()) -> st.SearchStrategy[dict[str, Any]]:
    """A leaf, of each kind as often as of any other."""
    return st.sampled_from([kind for kind in DRAWS if kind not in but]).flatmap(lambda kind: DRAWS[kind](world))


def trees(world: World) -> st.SearchStrategy[dict[str, Any]]:
    """Groups of groups of leaves, or a leaf alone."""
    return st.recursive(
        leaves(world),
        lambda children: st.builds(
            lambda group, nodes: {group: nodes},
            st.sampled_from(["all", "any", "none"]),
            st.lists(children, min_size=1, max_size=3),
        ),
        max_leaves=6,
    )
