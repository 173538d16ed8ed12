"""The points ledger: transfers of entries that sum to zero, lots with an expiry, and the rules that earn.

Entries and transfers are append-only, and the database refuses to change them. Points are whole numbers."""

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from contacts.models import Contact
from tenants.tables import TenantModel, tenant_key


class PointsAccount(TenantModel):
    """积分账户: a contact's, or one of the programme's own (`code`)."""

    class Programme(models.TextChoices):
        ISSUED = "issued", _("发放")
        REDEEMED = "redeemed", _("消耗")
        EXPIRED = "expired", _("到期")
        ADJUSTED = "adjusted", _("调整")

    id = models.UUIDField(primary_key=True)
    """made_id(brand_id, 'points', contact_id) or made_id(brand_id, 'points', code)"""
    contact = tenant_key(Contact, models.PROTECT, null=True)
    code = models.CharField(max_length=10, choices=Programme.choices, blank=True)
    balance = models.BigIntegerField(default=0)
    """a contact's balance = sum of entries = sum of open lots. The programme's own accounts keep none here: a row
    that every post of a brand had to lock would make them wait for each other"""
    opened_at = models.DateTimeField()

    class Meta:
        verbose_name = verbose_name_plural = _("积分账户")
        constraints = [
            models.UniqueConstraint(fields=["brand", "contact"], name="account_once"),
            models.CheckConstraint(
                condition=models.Q(contact__isnull=False, code="") | models.Q(contact=None) & ~models.Q(code=""),
                name="account_of_contact_or_programme",
            ),
        ]


class Transfer(TenantModel):
    """One movement of points: why, on what reference, under which idempotency key."""

    append_only: ClassVar[bool] = True

    id = models.UUIDField(primary_key=True)
    """made_id(brand_id, 'transfer', key)"""
    key = models.CharField(max_length=200)
    reason = models.CharField(max_length=40)
    """grant, spend, reverse, expire, adjust; with the rule or caller in `reference`"""
    reference = models.CharField(max_length=200, blank=True)
    note = models.CharField(max_length=200, blank=True)
    actor = models.CharField(max_length=80, blank=True)
    occurred_at = models.DateTimeField()
    posted_at = models.DateTimeField()
    reverses = tenant_key("points.Transfer", models.PROTECT, null=True)

    class Meta:
        verbose_name = verbose_name_plural = _("积分流水")
        constraints = [models.UniqueConstraint(fields=["brand", "key"], name="transfer_key_once")]
        indexes = [models.Index(fields=["brand", "-posted_at", "id"], name="transfer_latest")]


class PointsEntry(TenantModel):
    """One side of a transfer. Positive adds to the account."""

    append_only: ClassVar[bool] = True

    id = models.UUIDField(primary_key=True)
    """made_id(transfer_id, account_id)"""
    transfer = tenant_key(Transfer, models.PROTECT)
    account = tenant_key(PointsAccount, models.PROTECT)
    amount = models.BigIntegerField()
    balance_after = models.BigIntegerField(null=True)
    """empty on the programme's own accounts"""
    posted_at = models.DateTimeField()

    class Meta:
        verbose_name = verbose_name_plural = _("积分分录")
        constraints = [
            models.UniqueConstraint(fields=["brand", "transfer", "account"], name="entry_once"),
            models.CheckConstraint(condition=~models.Q(amount=0), name="entry_moves_points"),
        ]
        indexes = [models.Index(fields=["brand", "account", "-posted_at", "id"], name="entry_of_account")]


class Lot(TenantModel):
    """积分批: what one grant left on the account, spent first-to-expire-first."""

    id = models.UUIDField(primary_key=True)
    """the id of the entry that made it"""
    account = tenant_key(PointsAccount, models.PROTECT)
    amount = models.BigIntegerField()
    remaining = models.BigIntegerField()
    expires_at = models.DateTimeField(null=True)
    earned_at = models.DateTimeField()

    class Meta:
        verbose_name = verbose_name_plural = _("积分批")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(remaining__gte=0, remaining__lte=models.F("amount")),
                name="lot_within_amount",
            )
        ]
        indexes = [
            models.Index(
                fields=["brand", "account", "expires_at", "earned_at"],
                name="lot_open",
                condition=models.Q(remaining__gt=0),
            ),
            models.Index(fields=["brand", "expires_at"], name="lot_expiring", condition=models.Q(remaining__gt=0)),
        ]


class LotUse(TenantModel):
    """Which lots a negative entry took its points from: what a reversal gives back to."""

    append_only: ClassVar[bool] = True

    pk = models.CompositePrimaryKey("brand_id", "entry_id", "lot_id")
    entry = tenant_key(PointsEntry, models.PROTECT)
    lot = tenant_key(Lot, models.PROTECT)
    amount = models.BigIntegerField()


class EarnRule(TenantModel):
    """积分规则: an event earns points, at most `per_day` times a brand's day and contact."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(_("名称"), max_length=60)
    event_type = models.CharField(_("行为"), max_length=60)
    points = models.PositiveIntegerField(_("积分"))
    per_day = models.PositiveIntegerField(_("每天最多次数"), default=1)
    keep_days = models.PositiveIntegerField(_("有效天数"), null=True, blank=True, default=365)
    enabled = models.BooleanField(_("启用"), default=True)
    created_at = models.DateTimeField()

    class Meta:
        verbose_name = verbose_name_plural = _("积分规则")
