"""What is said about contacts: tags with their evidence, rules that give them, and segments (questions about them)."""

from tagging.models.corp_tags import CorpTag, CorpTagMark, TagLibrary
from tagging.models.interests import InterestPolicy, InterestScore
from tagging.models.lifecycle import LifecycleSpell, LifecycleStage
from tagging.models.memberships import ContactTouch, Membership, SegmentStanding
from tagging.models.runs import TagRun
from tagging.models.segments import Segment, SegmentFill
from tagging.models.tags import ContactTag, Tag, TagGroup, TagRule

__all__ = [
    "ContactTag",
    "ContactTouch",
    "CorpTag",
    "CorpTagMark",
    "InterestPolicy",
    "InterestScore",
    "LifecycleSpell",
    "LifecycleStage",
    "Membership",
    "Segment",
    "SegmentFill",
    "SegmentStanding",
    "Tag",
    "TagGroup",
    "TagLibrary",
    "TagRule",
    "TagRun",
]
