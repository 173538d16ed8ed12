"""Who uses Orchard: agencies, brands, people and their seats, API keys; and what they did (the audit trail).

Agency, Brand, User, Seat and ApiKey are global: they are read before the brand of a request is known."""

from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from tenants.roles import Role
from tenants.tables import TenantModel


class Agency(models.Model):
    """代理商: runs several brands."""

    name = models.CharField(_("名称"), max_length=100)
    slug = models.SlugField(unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = verbose_name_plural = _("代理商")

    def __str__(self) -> str:
        return self.name


class Brand(models.Model):
    """品牌: the unit of isolation. Days, quiet hours and months are those of its time zone."""

    agency = models.ForeignKey(Agency, models.PROTECT, null=True, blank=True, related_name="brands")
    name = models.CharField(_("名称"), max_length=100)
    slug = models.SlugField(unique=True)
    timezone = models.CharField(_("时区"), max_length=50, default="Asia/Shanghai")
    color = models.CharField(_("品牌色"), max_length=7, default="#0f766e")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = verbose_name_plural = _("品牌")

    def __str__(self) -> str:
        return self.name


class User(AbstractUser):
    """成员: a person who logs in."""

    name = models.CharField(_("姓名"), max_length=50, blank=True)
    language = models.CharField(_("语言"), max_length=10, blank=True)
    session_epoch = models.IntegerField(default=0)
    """Raised to end all of the user's sessions at once: it is part of the session's hash."""

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        # Django's hash of the password, made to change with the epoch too.
        return f"{super()._get_session_auth_hash(secret=secret)}.{self.session_epoch}"  # type: ignore[misc]

    def get_full_name(self) -> str:
        """The person's one name, else the log-in name."""
        return self.name or self.username


class Seat(models.Model):
    """席位: a user's role in one brand, or (brand empty) in all brands of an agency."""

    class Status(models.TextChoices):
        INVITED = "invited", _("已邀请")
        ACTIVE = "active", _("在用")
        REVOKED = "revoked", _("已撤销")

    user = models.ForeignKey(User, models.CASCADE, related_name="seats")
    brand = models.ForeignKey(Brand, models.CASCADE, null=True, blank=True, related_name="+")
    agency = models.ForeignKey(Agency, models.CASCADE, null=True, blank=True, related_name="+")
    role = models.CharField(_("角色"), max_length=20, choices=Role.choices)
    store_id = models.BigIntegerField(null=True, blank=True)
    """contacts_store.id of a store manager; a plain number, since this table has no brand-first key."""
    staff_id = models.BigIntegerField(null=True, blank=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.ACTIVE)
    invite_hash = models.CharField(max_length=64, blank=True)
    invited_at = models.DateTimeField(null=True, blank=True)
    last_seen_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = _("成员")
        constraints = [
            models.UniqueConstraint(fields=["user", "brand"], name="one_seat_per_brand"),
            models.UniqueConstraint(
                fields=["user", "agency"], condition=models.Q(brand=None), name="one_seat_per_agency"
            ),
            models.CheckConstraint(
                condition=models.Q(brand__isnull=False, agency=None) | models.Q(brand=None, agency__isnull=False),
                name="seat_of_brand_or_agency",
            ),
        ]


class ApiKey(models.Model):
    """API 密钥: stored as a SHA-256 hash; the key itself is shown once."""

    brand = models.ForeignKey(Brand, models.CASCADE, related_name="+")
    name = models.CharField(_("名称"), max_length=100)
    prefix = models.CharField(max_length=12)
    key_hash = models.CharField(max_length=64, unique=True)
    scopes = ArrayField(models.CharField(max_length=40), default=list)
    per_minute = models.PositiveIntegerField(_("每分钟请求上限"), default=600)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = _("API 密钥")


class AuditEntry(TenantModel):
    """审计: one row per act of a person or key, written by the operation in its own transaction."""

    append_only: ClassVar[bool] = True

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    actor = models.CharField(max_length=80)
    """`user:7`, `key:3` or `system`."""
    actor_label = models.CharField(max_length=100, blank=True)
    action = models.CharField(max_length=60)
    object_type = models.CharField(max_length=40)
    object_id = models.CharField(max_length=80, blank=True)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)

    class Meta:
        verbose_name = verbose_name_plural = _("审计")
        indexes = [models.Index(fields=["brand", "-at", "id"], name="audit_at")]


class IdempotentResponse(TenantModel):
    """The answer to a creating call, kept 7 days under its Idempotency-Key."""

    id = models.UUIDField(primary_key=True)
    """made_id(brand, key of the caller, method, path, Idempotency-Key)"""
    body_hash = models.CharField(max_length=64)
    status = models.SmallIntegerField(null=True)
    """null while the first call is still running"""
    response = models.JSONField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["brand", "created_at"], name="idempotent_created")]
