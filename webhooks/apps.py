from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class WebhooksConfig(AppConfig):
    name = "webhooks"
    verbose_name = _("事件推送")

    def ready(self) -> None:
        """Read the log."""
        from events import reactors
        from webhooks import queue

        reactors.register(queue.REACTOR)
