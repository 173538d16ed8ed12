"""What is given: one tag for one contact, until when, on what evidence."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Pair = tuple[int, int]
"""(contact id, tag id)"""


@dataclass(frozen=True, slots=True)
class Grant:
    """One tag for one contact: until when (None: for good), on what evidence, by which rule."""

    contact_id: int
    tag_id: int
    expires_at: datetime | None = None
    evidence: dict[str, Any] = field(default_factory=dict)
    rule_id: int | None = None
    moment: datetime | None = None
    """when what it rests on happened; in a group where the latest wins, this is compared. None: now"""
    is_exact: bool = False
    """the rule knows to the moment how long its tag lasts: `expires_at` holds also when it is sooner than before"""

    @property
    def pair(self) -> Pair:
        """Whom and which."""
        return (self.contact_id, self.tag_id)
