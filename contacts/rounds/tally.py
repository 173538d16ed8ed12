"""What one step of reconciliation did and found."""

from dataclasses import dataclass


@dataclass(slots=True)
class Tally:
    """Counts of one part of a step: what was compared and asked, and what had to be mended."""

    guides: int = 0
    calls: int = 0
    added: int = 0
    lost: int = 0
    edited: int = 0
    groups: int = 0
    staff: int = 0
    refused: int = 0

    @property
    def mended(self) -> int:
        """How much our picture differed from WeCom's."""
        return self.added + self.lost + self.edited + self.groups + self.staff
