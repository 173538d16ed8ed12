"""What must have a living copy at all times, told by whoever shows files; and making those copies ahead of time."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from media import copies
from media.copies import Need
from media.models import Copy


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that a corp may have to show at any moment."""

    corp_id: int
    need: Need


Teller = Callable[[], Iterable[Wanted]]
"""what is wanted now in the brand of the scope"""

_tellers: dict[str, Teller] = {}


def register(name: str, teller: Teller) -> None:
    """An app tells what it wants; called when the app starts."""
    _tellers[name] = teller


def due(*, at: datetime) -> list[Wanted]:
    """What is wanted and has no copy that lives for another day, but for what failed a moment ago. Scoped."""
    wanted = list(dict.fromkeys(each for teller in _tellers.values() for each in teller()))
    by_corp: dict[int, list[Need]] = {}
    for each in wanted:
        by_corp.setdefault(each.corp_id, []).append(each.need)
    there = {
        (corp_id, need)
        for corp_id, needs in by_corp.items()
        for need in copies.live(corp_id=corp_id, needs=needs, until=at + copies.AHEAD)
    }
    resting = set(
        Copy.objects.filter(Q(due_at__gt=at) | Q(claimed_at__gt=at - copies.CLAIM_VOID)).values_list(
            "corp_id", "media_id", "form"
        )
    )
    return [
        each
        for each in wanted
        if (each.corp_id, each.need) not in there
        # A need whose last form failed a moment ago waits; one whose first failed has the next to try.
        and (each.corp_id, each.need.media_id, each.need.forms[-1]) not in resting
    ]
