"""Segments: questions about contacts, and who is in them since when."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from tenants.tables import TenantModel, tenant_key


class Segment(TenantModel):
    """人群: a condition tree, computed when used, kept up to date by itself, or taken down once."""

    class Mode(models.TextChoices):
        REALTIME = "realtime", _("用时计算")
        DYNAMIC = "dynamic", _("动态")
        STATIC = "static", _("静态")

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(_("名称"), max_length=60)
    tree = models.JSONField(_("条件"))
    """see tagging.conditions for the grammar"""
    version = models.PositiveIntegerField(default=1)
    mode = models.CharField(
        _("更新方式"), max_length=10, choices=Mode.choices, default=Mode.REALTIME, db_default="realtime"
    )
    """set by tagging.memberships.set_mode"""
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


class SegmentFill(TenantModel):
    """What a dynamic or static segment is being followed as: its tree of one version, and how far the first fill is."""

    pk = models.CompositePrimaryKey("brand_id", "segment_id", "number")
    segment = tenant_key(Segment)
    number = models.PositiveIntegerField()
    """1, 2, …: rises each time the members are taken anew, for a new version or for the same"""
    version = models.PositiveIntegerField()
    """the segment's"""
    tree = models.JSONField()
    """kept, so that the history of an older version can still be told in words"""
    began_at = models.DateTimeField()
    txid = models.BigIntegerField()
    """the fill waits until every transaction older than this has ended: they report no changes yet"""
    next_contact = models.BigIntegerField(default=0)
    """contacts with a smaller id are done"""
    ended_at = models.DateTimeField(null=True)
    is_current = models.BooleanField(default=True)
    problem = models.CharField(max_length=300, blank=True)
    """why the last attempt to follow it failed; shown to operators"""

    class Meta:
        verbose_name = verbose_name_plural = _("人群计算")
        indexes = [
            models.Index(fields=["brand", "segment"], name="fill_current", condition=models.Q(is_current=True)),
        ]
