from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TaggingConfig(AppConfig):
    name = "tagging"
    verbose_name = _("标签与人群")

    def ready(self) -> None:
        """Offer the conditions, and let the tag rules read the log."""
        from events import reactors
        from tagging import contact_parts, imports, merging
        from tagging.corp import corp_tags, hurry
        from tagging.language import leaves
        from tagging.rules import interests, reacting, spells
        from tagging.segments import due, followers

        leaves.register_all()
        reactors.register(reacting.REACTOR)
        reactors.register(interests.REACTOR)
        reactors.register(spells.REACTOR)
        # After the rules: whom they tag is looked at in the same round.
        reactors.register(due.REACTOR)
        reactors.register(hurry.REACTOR)
        followers.register(spells.Follower())
        merging.register_own()
        corp_tags.register_own()
        imports.register_own()
        contact_parts.register_own()
