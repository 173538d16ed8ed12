from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CampaignsConfig(AppConfig):
    name = "campaigns"
    verbose_name = _("触达")

    def ready(self) -> None:
        from campaigns import conditions, erasure, merging
        from campaigns.contents import media_use
        from campaigns.sop import sop
        from campaigns.welcome import welcome
        from events import reactors

        reactors.register(reactors.Reactor(name=sop.REACTOR, types=None, handle=sop.react))
        conditions.register()
        welcome.register()
        merging.register_own()
        erasure.register_own()
        media_use.register_own()
