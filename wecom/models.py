"""A brand's corps in WeCom with their apps and secrets, and the inbox of raw callbacks."""

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from tenants.models import Brand
from tenants.secrets import EncryptedField
from tenants.tables import TenantModel, tenant_key
from wecom.policy import policy_named


class QuotaMode(models.TextChoices):
    """How many mass sends a customer may receive (api-reference §3.2). A setting of the corp that no call tells."""

    MONTH_DAYS = "month_days", _("每自然月最多当月天数")
    WEEK_7 = "week_7", _("每自然周最多 7 次")
    DAY_1 = "day_1", _("每天最多 1 次")
    MONTH_4 = "month_4", _("每自然月最多 4 次（旧规则）")


class Corp(TenantModel):
    """企业: one WeCom corp of the brand."""

    id = models.BigAutoField(primary_key=True)
    corpid = models.CharField(_("企业 ID"), max_length=64)
    name = models.CharField(_("名称"), max_length=100)
    quota_mode = models.CharField(_("额度模式"), max_length=12, choices=QuotaMode.choices, default=QuotaMode.MONTH_DAYS)
    callback_token = EncryptedField(blank=True)
    callback_aes_key = EncryptedField(blank=True)
    connected_at = models.DateTimeField(null=True, blank=True)
    trouble_code = models.CharField(max_length=40, blank=True)
    """problem code of the last refusal that an operator must mend, e.g. wecom.ip_untrusted; empty when well"""
    trouble_detail = models.TextField(blank=True)
    """the API that was refused and WeCom's errcode; for people there are trouble_text and trouble_remedy"""
    trouble_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = _("企业")
        constraints = [models.UniqueConstraint(fields=["brand", "corpid"], name="corp_once")]

    def __str__(self) -> str:
        return self.name

    @property
    def trouble_text(self) -> str:
        """What is wrong, in the reader's language; empty when well."""
        return str(policy_named(self.trouble_code).detail) if self.trouble_code else ""

    @property
    def trouble_remedy(self) -> str:
        """What the operator can do about it."""
        return str(policy_named(self.trouble_code).remedy) if self.trouble_code else ""


class CorpApp(TenantModel):
    """应用: one app of a corp; each has its own secret and so its own token."""

    id = models.BigAutoField(primary_key=True)
    corp = tenant_key(Corp)
    agent_id = models.BigIntegerField(_("AgentId"))
    name = models.CharField(_("名称"), max_length=100, blank=True)
    kind = models.CharField(max_length=20, default="contact")
    secret = EncryptedField()

    class Meta:
        verbose_name = verbose_name_plural = _("应用")
        constraints = [models.UniqueConstraint(fields=["brand", "corp", "agent_id"], name="app_once")]


class CallbackEndpoint(models.Model):
    """Global: the unguessable id in a callback URL, and whose it is. Read before any brand is known."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    brand = models.ForeignKey(Brand, models.CASCADE, related_name="+")
    corp_id = models.BigIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)


class InboxItem(TenantModel):
    """回调收件箱: a verified callback as it came, kept until and after it has been handled."""

    class Status(models.TextChoices):
        PENDING = "pending", _("待处理")
        DONE = "done", _("完成")
        FAILED = "failed", _("失败")
        IGNORED = "ignored", _("忽略")

    id = models.BigAutoField(primary_key=True)
    corp = tenant_key(Corp)
    dedupe_key = models.CharField(max_length=64)
    """SHA-256 over the fields that say what happened: the same change delivered twice is one row"""
    event = models.CharField(max_length=64)
    change_type = models.CharField(max_length=64, blank=True)
    payload = models.JSONField()
    received_at = models.DateTimeField()
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    attempts = models.SmallIntegerField(default=0)
    due_at = models.DateTimeField()
    processed_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)

    class Meta:
        verbose_name = verbose_name_plural = _("回调")
        constraints = [models.UniqueConstraint(fields=["brand", "corp", "dedupe_key"], name="callback_once")]
        indexes = [
            models.Index(fields=["brand", "status", "due_at"], name="inbox_due"),
            models.Index(fields=["brand", "-received_at"], name="inbox_latest"),
        ]
