"""Where a brand's own systems are told what happened, and each telling."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from tenants.secrets import EncryptedField
from tenants.tables import TenantModel, tenant_key


class Webhook(TenantModel):
    """事件推送: an address of the brand's and the event types it wants."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(_("名称"), max_length=60)
    url = models.CharField(_("地址"), max_length=500)
    types = ArrayField(models.CharField(max_length=60))
    """names of the catalogue of events"""
    secret = EncryptedField()
    """`whsec_` and 24 bytes in base64, as Standard Webhooks has it"""
    old_secret = EncryptedField(blank=True)
    old_secret_until = models.DateTimeField(null=True)
    """until then each call is signed with both, so that the receiver can change over"""
    enabled = models.BooleanField(default=True)
    since = models.DateTimeField()
    """events received earlier are not told, unless a replay asks for them"""
    failures = models.IntegerField(default=0)
    """calls that failed since the last one that went well"""
    rests_until = models.DateTimeField(null=True)
    """after several failures in a row: no call before, then one at a time"""
    succeeded_at = models.DateTimeField(null=True)
    trouble = models.CharField(max_length=40, blank=True)
    """what the last failure was, a code of webhooks.answers; empty when well"""
    created_at = models.DateTimeField()

    class Meta:
        verbose_name = verbose_name_plural = _("事件推送")

    def __str__(self) -> str:
        return self.name


class WebhookDelivery(TenantModel):
    """One event for one webhook. `id` is the order in which events of a contact are told."""

    class Status(models.TextChoices):
        PENDING = "pending", _("等待")
        DELIVERED = "delivered", _("已送达")
        FAILED = "failed", _("失败")

    id = models.BigAutoField(primary_key=True)
    webhook = tenant_key(Webhook)
    event_id = models.UUIDField()
    event_type = models.CharField(max_length=60)
    occurred_at = models.DateTimeField()
    contact_id = models.BigIntegerField()
    """contacts_contact.id, without a foreign key, as in the log"""
    props = models.JSONField(default=dict)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    attempts = models.SmallIntegerField(default=0)
    due_at = models.DateTimeField()
    leased_until = models.DateTimeField(null=True)
    """a worker is at it; if it dies, the delivery is taken up again then"""
    give_up_at = models.DateTimeField()
    queued_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=40, blank=True)
    """code of the last answer, see webhooks.answers"""
    answer_status = models.SmallIntegerField(null=True)
    answer = models.CharField(max_length=500, blank=True)
    """the first characters that the receiver answered"""

    class Meta:
        verbose_name = verbose_name_plural = _("事件推送记录")
        constraints = [models.UniqueConstraint(fields=["brand", "webhook", "event_id"], name="told_once")]
        indexes = [
            models.Index(
                fields=["brand", "webhook", "due_at", "id"], name="webhook_due", condition=models.Q(status="pending")
            ),
            # The lane: what of the same contact waits before.
            models.Index(
                fields=["brand", "webhook", "contact_id", "id"],
                name="webhook_lane",
                condition=models.Q(status="pending"),
            ),
            models.Index(fields=["brand", "webhook", "id"], name="webhook_latest"),
            models.Index(fields=["brand", "contact_id"], name="webhook_contact"),
            models.Index(fields=["brand", "queued_at"], name="webhook_old"),
        ]
