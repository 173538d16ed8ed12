from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class WeComConfig(AppConfig):
    name = "wecom"
    verbose_name = _("企业微信")

    def ready(self) -> None:
        """Celery finds `wecom.tasks` by itself, not the tasks of a package within."""
        from wecom.provider import tasks  # noqa: F401
