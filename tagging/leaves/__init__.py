"""The kinds of conditions that tagging itself offers."""

from tagging import conditions
from tagging.leaves import behaviour, lifecycle, profile, relations, tags


def register_all() -> None:
    """Called once, when the app is ready."""
    for condition in (
        profile.Profile(),
        lifecycle.Lifecycle(),
        tags.HasTag(),
        behaviour.EventCount(),
        behaviour.EventRecency(),
        behaviour.EventSum(),
        relations.FollowedBy(),
        lifecycle.Lost(),
    ):
        conditions.register(condition)
