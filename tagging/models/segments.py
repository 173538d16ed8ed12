"""Segments: questions about contacts."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from tenants.tables import TenantModel


class Segment(TenantModel):
    """人群: a condition tree, computed when used."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(_("名称"), max_length=60)
    tree = models.JSONField(_("条件"))
    """see tagging.conditions for the grammar"""
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = _("人群")
        constraints = [
            models.UniqueConstraint(
                fields=["brand", "name"], name="segment_once", violation_error_message=_("已有同名人群。")
            )
        ]

    def __str__(self) -> str:
        return self.name
