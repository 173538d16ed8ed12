"""What a segment may ask about outreach."""

from campaigns.conditions.crowd import SopTouched
from campaigns.conditions.touch import Journey, Touch, register_references
from tagging.language import conditions


def register() -> None:
    """Called when the app is ready."""
    conditions.register(SopTouched())
    conditions.register(Touch())
    conditions.register(Journey())
    register_references()
