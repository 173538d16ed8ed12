from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class EventsConfig(AppConfig):
    name = "events"
    verbose_name = _("行为")

    def ready(self) -> None:
        """Events can be imported from files."""
        from events.imports import event_rows, kinds

        kinds.register(event_rows.EVENT_ROWS)
