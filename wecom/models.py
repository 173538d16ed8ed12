"""A brand's corps in WeCom with their apps and secrets, and the inbox of raw callbacks.

Global, because they are met before a brand is known: the callback's address, and what belongs to the installation as
a provider (服务商): its suites, who authorised them, and the commands that WeCom sent about that."""

import uuid

from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from tenants.models import Brand
from tenants.secrets import EncryptedField
from tenants.tables import TenantModel, tenant_key
from wecom.policy import policy_named, remedy_of


class QuotaMode(models.TextChoices):
    """How many mass sends a customer may receive (api-reference §3.2). A setting of the corp that no call tells."""

    MONTH_DAYS = "month_days", _("每自然月最多当月天数")
    WEEK_7 = "week_7", _("每自然周最多 7 次")
    DAY_1 = "day_1", _("每天最多 1 次")
    MONTH_4 = "month_4", _("每自然月最多 4 次（旧规则）")


class AppKind(models.TextChoices):
    """What an app of a corp is used for; one app of each corp speaks for 客户联系."""

    CONTACT = "contact", _("客户联系")
    SIDEBAR = "sidebar", _("侧边栏与应用消息")
    DIRECTORY = "directory", _("通讯录同步")


class Suite(models.Model):
    """Global 服务商应用模板: what the installation offers to corps as their provider (api-reference §5)."""

    id = models.BigAutoField(primary_key=True)
    endpoint_id = models.UUIDField(default=uuid.uuid4, unique=True)
    """the unguessable part of its command address"""
    suite_id = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=100)
    secret = EncryptedField()
    token = EncryptedField()
    aes_key = EncryptedField()
    provider_corpid = models.CharField(max_length=64, blank=True)
    provider_secret = EncryptedField(blank=True)
    """with it the link is that of a 代开发 template (get_customized_auth_url), else the install link of a suite"""
    trial = models.BooleanField(default=False)
    """not published yet: links must say so (set_session_info auth_type 1)"""
    ticket = EncryptedField(blank=True)
    ticket_at = models.DateTimeField(null=True, blank=True)
    """WeCom's own time of the suite_ticket; one is good for 30 minutes"""
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = verbose_name_plural = _("服务商应用")

    def __str__(self) -> str:
        return self.name


class AuthorisationLink(models.Model):
    """Global 授权链接: made by a seat of a brand; its `state` comes back with the authorisation, before any brand is
    known."""

    state = models.CharField(primary_key=True, max_length=32)
    suite = models.ForeignKey(Suite, models.CASCADE, related_name="+")
    brand = models.ForeignKey(Brand, models.CASCADE, related_name="+")
    made_by = models.CharField(max_length=64)
    made_by_label = models.CharField(max_length=100, blank=True)
    url = models.TextField()
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
    corp_id = models.BigIntegerField(null=True)
    """the brand's corp that came of it"""
    problem_code = models.CharField(max_length=40, blank=True)
    """why nothing came of it, e.g. wecom.authorised_elsewhere"""


class Authorisation(models.Model):
    """Global 授权: a corp that authorised a suite, and whose it is; nobody's yet while `brand` is null."""

    class Status(models.TextChoices):
        ACTIVE = "active", _("授权中")
        CANCELLED = "cancelled", _("已取消授权")

    id = models.BigAutoField(primary_key=True)
    suite = models.ForeignKey(Suite, models.CASCADE, related_name="+")
    corpid = models.CharField(max_length=64)
    """the provider's own (encrypted) id of the corp, case-sensitive"""
    corp_name = models.CharField(max_length=100)
    agent_id = models.BigIntegerField()
    agent_name = models.CharField(max_length=100, blank=True)
    privilege = models.JSONField(default=dict)
    """what the corp granted, as WeCom tells it (§5.1 auth_info.agent[].privilege)"""
    permanent_code = EncryptedField(blank=True)
    """kept here only until a brand has it as its app's secret"""
    brand = models.ForeignKey(Brand, models.SET_NULL, null=True, related_name="+")
    corp_id = models.BigIntegerField(null=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.ACTIVE)
    authorised_at = models.DateTimeField()
    """WeCom's time of the grant: an older cancellation that arrives late changes nothing"""
    cancelled_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = verbose_name_plural = _("服务商授权")
        constraints = [models.UniqueConstraint(fields=["suite", "corpid"], name="authorised_once")]


class SuiteCommand(models.Model):
    """Global 指令: an authorisation event of a suite, kept until it is carried out. Its payload may hold a code."""

    class Status(models.TextChoices):
        PENDING = "pending", _("待处理")
        DONE = "done", _("完成")
        FAILED = "failed", _("失败")

    id = models.BigAutoField(primary_key=True)
    suite = models.ForeignKey(Suite, models.CASCADE, related_name="+")
    dedupe_key = models.CharField(max_length=64)
    info_type = models.CharField(max_length=64)
    payload = EncryptedField()
    said_at = models.DateTimeField()
    """WeCom's TimeStamp"""
    received_at = models.DateTimeField()
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    attempts = models.SmallIntegerField(default=0)
    due_at = models.DateTimeField()
    processed_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)

    class Meta:
        verbose_name = verbose_name_plural = _("服务商指令")
        constraints = [models.UniqueConstraint(fields=["suite", "dedupe_key"], name="command_once")]
        indexes = [models.Index(fields=["status", "due_at"], name="command_due")]


class Corp(TenantModel):
    """企业: one WeCom corp of the brand."""

    id = models.BigAutoField(primary_key=True)
    corpid = models.CharField(_("企业 ID"), max_length=64)
    name = models.CharField(_("名称"), max_length=100)
    quota_mode = models.CharField(_("额度模式"), max_length=12, choices=QuotaMode.choices, default=QuotaMode.MONTH_DAYS)
    callback_token = EncryptedField(blank=True)
    callback_aes_key = EncryptedField(blank=True)
    callback_verified_at = models.DateTimeField(null=True, blank=True)
    """when WeCom last proved the callback's address and keys by its handshake (§4.2)"""
    suite = models.ForeignKey(
        Suite, models.PROTECT, null=True, blank=True, related_name="+", db_index=False, db_constraint=False
    )
    """of a corp that authorised a provider's suite: its ids are the provider's own (§5.3); null: self-built apps"""
    connected_at = models.DateTimeField(null=True, blank=True)
    """null: not connected, by a disconnection or a cancelled authorisation; what was synced stays"""
    trouble_code = models.CharField(max_length=40, blank=True)
    """problem code of the last refusal that an operator must mend, e.g. wecom.ip_untrusted; empty when well"""
    trouble_detail = models.TextField(blank=True)
    """the API that was refused, WeCom's errcode, and the address it saw if that is the matter; see trouble_remedy"""
    trouble_at = models.DateTimeField(null=True, blank=True)
    callback_refused_code = models.CharField(max_length=40, blank=True)
    """problem code of the last callback that was refused at the door, e.g. wecom.bad_signature"""
    callback_refused_at = models.DateTimeField(null=True, blank=True)
    """when one was last refused, to the minute"""

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
        """What the operator can do about it; names the address to register where WeCom named it."""
        if not self.trouble_code:
            return ""
        remedy = str(remedy_of(self.trouble_code, provided=self.suite_id is not None))
        _api, _errcode, ip = (*self.trouble_detail.split(" "), "", "", "")[:3]
        return gettext("企业微信看到的服务器 IP 是 %(ip)s。") % {"ip": ip} + remedy if ip else remedy


class CorpApp(TenantModel):
    """应用: one app of a corp; each has its own secret and so its own token."""

    id = models.BigAutoField(primary_key=True)
    corp = tenant_key(Corp)
    agent_id = models.BigIntegerField(_("AgentId"))
    name = models.CharField(_("名称"), max_length=100, blank=True)
    kind = models.CharField(_("用途"), max_length=20, choices=AppKind.choices, default=AppKind.CONTACT)
    secret = EncryptedField(blank=True)
    """of a provider's app the permanent code; empty while the corp is not connected"""

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
    begun = models.SmallIntegerField(default=0, db_default=0)
    """how often a drain has taken it up since anything last came of it: more than one has died over it, or beside it"""
    due_at = models.DateTimeField()
    processed_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)
    welcome_due = models.BooleanField(default=False)
    """it brought a WelcomeCode that nobody has taken up yet"""

    class Meta:
        verbose_name = verbose_name_plural = _("回调")
        constraints = [models.UniqueConstraint(fields=["brand", "corp", "dedupe_key"], name="callback_once")]
        indexes = [
            models.Index(fields=["brand", "status", "due_at"], name="inbox_due"),
            models.Index(fields=["brand", "-received_at"], name="inbox_latest"),
            models.Index(fields=["brand", "received_at"], name="inbox_welcome", condition=models.Q(welcome_due=True)),
        ]
