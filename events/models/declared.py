"""What a brand says of its own event types."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from tenants.tables import TenantModel


class DeclaredType(TenantModel):
    """自有行为类型: a type `x_…` with typed properties, checked for each event from the moment it is declared."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(_("类型"), max_length=60)
    label = models.CharField(_("名称"), max_length=40)
    props = models.JSONField(default=dict)
    """property → {"type": "text" | "int" | "bool", "label": str, "unit": str, "required": bool}"""
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    class Meta:
        verbose_name = verbose_name_plural = _("自有行为类型")
        constraints = [models.UniqueConstraint(fields=["brand", "name"], name="event_type_declared_once")]

    def __str__(self) -> str:
        return self.label
