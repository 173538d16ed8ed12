"""Tags with their evidence, and rules that give them."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from contacts.models import Contact
from tenants.tables import TenantModel, tenant_key


class Tag(TenantModel):
    """标签."""

    id = models.BigAutoField(primary_key=True)
    group = models.CharField(_("分组"), max_length=30, blank=True)
    name = models.CharField(_("名称"), max_length=30)
    created_at = models.DateTimeField()

    class Meta:
        verbose_name = verbose_name_plural = _("标签")
        constraints = [
            models.UniqueConstraint(
                fields=["brand", "group", "name"],
                name="tag_once",
                violation_error_message=_("这个分组里已有同名标签。"),
            )
        ]

    def __str__(self) -> str:
        return f"{self.group}·{self.name}" if self.group else self.name


class TagRule(TenantModel):
    """标签规则: near [window_days] [event_type where …] at least [min_count] times → the tag, for [keep_days]."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(_("名称"), max_length=60)
    tag = tenant_key(Tag)
    event_type = models.CharField(_("行为"), max_length=60)
    where = models.JSONField(_("条件"), default=dict, blank=True)
    """{"category": "婴童", "product_id": …, "min_dwell_seconds": 15}: every entry must hold"""
    min_count = models.PositiveIntegerField(_("至少次数"), default=1)
    window_days = models.PositiveIntegerField(_("近几天"), default=30)
    keep_days = models.PositiveIntegerField(_("保留几天"), null=True, blank=True)
    enabled = models.BooleanField(_("启用"), default=True)
    created_at = models.DateTimeField()

    class Meta:
        verbose_name = verbose_name_plural = _("标签规则")


class ContactTag(TenantModel):
    """A contact has a tag: from where, since when, on what evidence, until when."""

    class Source(models.TextChoices):
        MANUAL = "manual", _("手动")
        RULE = "rule", _("规则")
        API = "api", _("接口")

    pk = models.CompositePrimaryKey("brand_id", "contact_id", "tag_id")
    contact = tenant_key(Contact)
    tag = tenant_key(Tag)
    source = models.CharField(max_length=10, choices=Source.choices)
    rule = tenant_key(TagRule, models.SET_NULL, null=True)
    evidence = models.JSONField(default=dict)
    """for a rule: {"event_ids": [≤ 20 latest], "count": n}; for a person: {"actor": …}"""
    given_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    """the tag counts as gone from this moment on, whether or not the row has been swept yet"""

    class Meta:
        verbose_name = verbose_name_plural = _("客户标签")
        indexes = [
            models.Index(fields=["brand", "tag", "contact"], name="contacts_of_tag"),
            models.Index(
                fields=["brand", "expires_at"], name="tag_expiring", condition=models.Q(expires_at__isnull=False)
            ),
        ]
