"""Who acts: passed to operations that write the audit trail, never looked up behind their back."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Actor:
    """A person, an API key or the system itself."""

    id: str
    """`user:7`, `key:3` or `system`"""
    label: str = ""
    """what people call them"""


SYSTEM = Actor("system", "Orchard")
