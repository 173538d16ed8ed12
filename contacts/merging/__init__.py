"""OneID's merges: `merge`, `split`, and the followers by which every app's rows go with a person."""

from contacts.merging.followers import Follower, Moves, followers, register, spoken_for, wait_for
from contacts.merging.operations import Wanted, follow_up, hold, merge, split
from contacts.merging.pairs import FROM, Pairs

__all__ = [
    "FROM",
    "Follower",
    "Moves",
    "Pairs",
    "Wanted",
    "follow_up",
    "followers",
    "hold",
    "merge",
    "register",
    "split",
    "spoken_for",
    "wait_for",
]
