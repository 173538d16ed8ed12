"""What is said about contacts: tags with their evidence, rules that give them, and segments (questions about them)."""

from tagging.models.memberships import ContactTouch, Membership, SegmentStanding
from tagging.models.segments import Segment, SegmentFill
from tagging.models.tags import ContactTag, Tag, TagRule

__all__ = [
    "ContactTag",
    "ContactTouch",
    "Membership",
    "Segment",
    "SegmentFill",
    "SegmentStanding",
    "Tag",
    "TagRule",
]
