"""The kinds of conditions that tagging itself offers."""

from tagging.language import conditions
from tagging.language.leaves import (
    behaviour,
    events,
    interest,
    lifecycle,
    orders,
    people,
    profile,
    relations,
    sequence,
    stage,
    tags,
)


def register_all() -> None:
    """Called once, when the app is ready."""
    for condition in (
        profile.Profile(),
        lifecycle.Lifecycle(),
        people.HasIdentity(),
        people.InSegment(),
        people.Bucket(),
        tags.HasTag(),
        behaviour.EventCount(),
        behaviour.EventRecency(),
        sequence.Sequence(),
        events.Event(),
        orders.Order(),
        behaviour.EventSum(),
        interest.Interest(),
        relations.FollowedBy(),
        people.InGroup(),
        lifecycle.Lost(),
        stage.InStage(),
    ):
        conditions.register(condition)
