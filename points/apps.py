from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PointsConfig(AppConfig):
    name = "points"
    verbose_name = _("积分会员")

    def ready(self) -> None:
        from events import reactors
        from points import conditions, erasure, merging, rules

        reactors.register(reactors.Reactor(name=rules.REACTOR, types=None, handle=rules.react))
        conditions.register()
        merging.register_own()
        erasure.register_own()
