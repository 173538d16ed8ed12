"""When two contacts of one push turn out to be one person: which assignment is theirs, and whom a comparison counts."""

from dataclasses import dataclass
from datetime import datetime

from campaigns.models import DeliveryStatus, LeftOut


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
