from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class WebhooksConfig(AppConfig):
    name = "webhooks"
    verbose_name = _("事件推送")

    def ready(self) -> None:
        """Read the log; follow and forget people with the rest of the house."""
        from contacts.personal_data import erasure, export
        from events import reactors
        from webhooks import merging, people, queue

        reactors.register(queue.REACTOR)
        merging.register_own()
        erasure.register("webhooks", people.forget, tables=("webhooks_webhookdelivery",))
        export.register("webhooks_webhookdelivery", people.told)
