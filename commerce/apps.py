from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CommerceConfig(AppConfig):
    name = "commerce"
    verbose_name = _("订单")

    def ready(self) -> None:
        """Keep orders from the log, and have them follow a merge."""
        from commerce import contact_parts, merging, orders
        from events import reactors

        reactors.register(orders.REACTOR)
        merging.register_own()
        contact_parts.register_own()
