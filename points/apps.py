from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PointsConfig(AppConfig):
    name = "points"
    verbose_name = _("积分会员")

    def ready(self) -> None:
        from events import reactors
        from points import conditions, contact_parts, erasure, merging, rules
        from points.tiers import merging as tier_merging
        from points.tiers import reactor as tier_reactor

        reactors.register(reactors.Reactor(name=rules.REACTOR, types=None, handle=rules.react))
        reactors.register(tier_reactor.REACTOR)
        conditions.register()
        merging.register_own()
        tier_merging.register_own()
        erasure.register_own()
        contact_parts.register_own()
