"""What is said about contacts: tags with their evidence, rules that give them, and segments (questions about them)."""

from tagging.models.segments import Segment
from tagging.models.tags import ContactTag, Tag, TagRule

__all__ = [
    "ContactTag",
    "Segment",
    "Tag",
    "TagRule",
]
