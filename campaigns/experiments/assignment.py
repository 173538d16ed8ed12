"""Who is in the control group: decided by a hash, so that asking again, or on another machine, answers the same.

A contact's **share** in a push is a number from 0 to 2³²−1, the first 32 bits of an MD5. The control group is the
contacts whose share is below its percentage: it does not depend on who else is in the audience, and the shares of two
pushes are unrelated. MD5 because PostgreSQL and Python both have it; nothing here is secret."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from campaigns.models import DeliveryStatus, LeftOut

SHARES = 2**32


def share(*, push_id: int, key: int) -> int:
    """The share of a contact (or group chat) in a push."""
    digest = hashlib.md5(f"holdout:{push_id}:{key}".encode(), usedforsecurity=False).hexdigest()
    return int(digest[:8], 16)


def threshold(percent: int) -> int:
    """Shares below this are the control group of `percent` %."""
    return SHARES * percent // 100


def is_held_out(*, push_id: int, key: int, percent: int) -> bool:
    """Whether the contact belongs to the push's control group."""
    return share(push_id=push_id, key=key) < threshold(percent)


def share_sql(key: str) -> str:
    """The same number in SQL, with the push's id as its one parameter (%s); `key` is a column."""
    return f"('x' || left(md5('holdout:' || %s || ':' || {key}), 8))::bit(32)::bigint"


def draw_sql(key: str) -> str:
    """An order of drawing at random that repeats itself within one database; the push's id is its parameter (%s)."""
    return f"hashint8extended({key}, %s)"


# ---- when two contacts of one push turn out to be one person


@dataclass(frozen=True, slots=True)
class Assigned:
    """What a push has done with one contact."""

    status: str
    variant_id: int | None
    exposed_at: datetime | None
    """since when the message is out of our hands; None: not sent, or not meant to be"""
    left_out: str = ""

    @property
    def group(self) -> int | None:
        """0: control group, else the variant (-1: that of a push without variants); None: in no group."""
        if self.status in (DeliveryStatus.SUPPRESSED, DeliveryStatus.CANCELLED):
            return None
        return 0 if self.status == DeliveryStatus.HOLDOUT else (self.variant_id or -1)

    @property
    def may_be_seen(self) -> bool:
        """It arrived, or may still: a guide can confirm late."""
        return self.exposed_at is not None or self.status == DeliveryStatus.UNCONFIRMED

    @property
    def _rank(self) -> tuple[int, float]:
        if self.exposed_at is not None:
            return 0, self.exposed_at.timestamp()
        return _UNSEEN.get(self.status, 3), 0


_UNSEEN: dict[str, int] = {DeliveryStatus.PLANNED: 1, DeliveryStatus.HOLDOUT: 1, DeliveryStatus.UNCONFIRMED: 2}


@dataclass(frozen=True, slots=True)
class OfOnePerson:
    """How a push counts a person whom it knew as two contacts."""

    swapped: bool
    """the other contact's assignment is the person's"""
    once: bool
    """the assignment that is not the person's was not sent yet, and is not sent at all"""
    left_out: str
    """of the person's assignment"""
    other_left_out: str


def of_one_person(own: Assigned, other: Assigned) -> OfOnePerson:
    """Which assignment is the person's: the earlier exposed; of none exposed what may still be sent, `own` first.

    To be left out (control group) exposes nobody. Whoever was exposed to one group and belonged to another is
    contaminated: their behaviour speaks for neither. The assignment that does not stand is a duplicate, and a message
    of it that has not left yet is not sent, unless the other one has failed."""
    swapped = other._rank < own._rank
    first, second = (other, own) if swapped else (own, other)
    once = second.status == DeliveryStatus.PLANNED and second.exposed_at is None and first._rank[0] < 2
    mixed = None not in (first.group, second.group) and first.group != second.group
    seen = first.may_be_seen or second.may_be_seen
    before = LeftOut.CONTAMINATED in (own.left_out, other.left_out)
    contaminated = before or (mixed and seen and not once)
    return OfOnePerson(
        swapped=swapped,
        once=once,
        left_out=LeftOut.CONTAMINATED if contaminated else "",
        other_left_out=LeftOut.DUPLICATE if second.group is not None else "",
    )
