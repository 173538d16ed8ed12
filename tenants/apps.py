from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class TenantsConfig(AppConfig):
    name = "tenants"
    verbose_name = _("设置")

    def ready(self) -> None:
        from tenants import grants

        post_migrate.connect(grants.grant_runtime_role)
