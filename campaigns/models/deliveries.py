"""What became of each contact, or group chat, in each push."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from campaigns.models.pushes import Batch, Push, Variant
from contacts.models import Contact, GroupChat, Staff
from tenants.tables import TenantModel, tenant_key


class DeliveryStatus(models.TextChoices):
    PLANNED = "planned", _("已计划")
    HOLDOUT = "holdout", _("对照组")
    SUPPRESSED = "suppressed", _("未发")
    CREATED = "created", _("待导购确认")
    DELIVERED = "delivered", _("已送达")
    FAILED = "failed", _("未送达")
    UNCONFIRMED = "unconfirmed", _("导购未确认")
    CANCELLED = "cancelled", _("已取消")


class LeftOut(models.TextChoices):
    """Why a delivery counts in no comparison of the groups of its push (campaigns.experiments)."""

    CONTAMINATED = "contaminated", _("合并前分在不同的组")
    DUPLICATE = "duplicate", _("与另一位客户是同一人")


class Delivery(TenantModel):
    """投递: what became of one contact in one push; also of those left out, with the reason."""

    pk = models.CompositePrimaryKey("brand_id", "push_id", "contact_id")
    push = tenant_key(Push)
    contact = tenant_key(Contact)
    variant = tenant_key(Variant, null=True)
    staff = tenant_key(Staff, models.PROTECT, null=True)
    batch = tenant_key(Batch, models.SET_NULL, null=True)
    external_userid = models.CharField(blank=True)
    status = models.CharField(max_length=12, choices=DeliveryStatus.choices)
    reason = models.CharField(max_length=30, blank=True)
    """campaigns.reasons.Reason for suppressed and failed"""
    updated_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True)
    left_out = models.CharField(max_length=12, choices=LeftOut, blank=True, default="", db_default="")
    """why a comparison of the push's groups does not count this row; set by a merge, taken back by a split"""

    class Meta:
        verbose_name = verbose_name_plural = _("投递")
        indexes = [
            models.Index(fields=["brand", "batch"], name="delivery_of_batch"),
            models.Index(fields=["brand", "push", "status", "reason"], name="delivery_status"),
            models.Index(fields=["brand", "contact", "-updated_at"], name="delivery_of_contact"),
        ]


class GroupDelivery(TenantModel):
    """投递（客户群）: what became of one group chat in one push."""

    pk = models.CompositePrimaryKey("brand_id", "push_id", "chat_id")
    push = tenant_key(Push)
    chat = tenant_key(GroupChat)
    variant = tenant_key(Variant, null=True)
    staff = tenant_key(Staff, models.PROTECT, null=True)
    batch = tenant_key(Batch, models.SET_NULL, null=True)
    status = models.CharField(max_length=12, choices=DeliveryStatus.choices)
    reason = models.CharField(max_length=30, blank=True)
    updated_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = verbose_name_plural = _("群投递")
        indexes = [models.Index(fields=["brand", "batch"], name="group_delivery_of_batch")]
