"""One module per part of the console. Views read the request, call ONE operation or read, and show what came."""

from importlib import import_module

MODULES = (
    "cockpit",
    "contacts",
    "oneid",
    "segments",
    "memberships",
    "tags",
    "corp_tags",
    "lifecycle",
    "catalogue",
    "imports",
    "pushes",
    "welcome",
    "media",
    "points",
    "tiers",
    "wecom",
    "provider",
    "members",
    "keys",
    "webhooks",
    "inbox",
    "audit",
)


def load() -> None:
    """Import the modules, so that their pages are registered."""
    for name in MODULES:
        import_module(f"console.pages.{name}")
