"""The contact budget: the brand's caps, and the ledger of what was reserved and spent."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from campaigns.models.contents import Channel
from campaigns.models.pushes import Push
from contacts.models import Contact
from tenants.tables import TenantModel, tenant_key
from wecom.models import Corp


class BudgetPolicy(TenantModel):
    """触达预算 of the brand: one row. No cap here means none of the brand's; WeCom's quota stays."""

    pk = models.CompositePrimaryKey("brand_id", "channel")
    channel = models.CharField(_("渠道"), max_length=10, choices=Channel.choices)
    cap = models.PositiveSmallIntegerField(_("最多触达次数"))
    window_days = models.PositiveSmallIntegerField(_("窗口天数"), default=7)

    class Meta:
        verbose_name = verbose_name_plural = _("触达预算")


class Reservation(TenantModel):
    """The contact budget's ledger: a plan reserves, a delivery posts, everything else voids."""

    class Status(models.TextChoices):
        RESERVED = "reserved", _("预留")
        POSTED = "posted", _("记账")
        VOIDED = "voided", _("释放")

    pk = models.CompositePrimaryKey("brand_id", "push_id", "contact_id")
    push = tenant_key(Push)
    contact = tenant_key(Contact)
    corp = tenant_key(Corp, models.PROTECT)
    channel = models.CharField(max_length=10, choices=Channel.choices)
    day = models.DateField()
    """the brand's day the touch is meant for, then the day it happened"""
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.RESERVED)
    priority = models.SmallIntegerField(default=50)
    touches = models.PositiveSmallIntegerField(default=1, db_default=1)
    """how many messages it stands for: more than one where two contacts of the push turned out to be one person"""
    made_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = verbose_name_plural = _("触达账")
        indexes = [models.Index(fields=["brand", "contact", "channel", "day"], name="reservation_day")]
