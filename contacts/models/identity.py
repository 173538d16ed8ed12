"""What a contact is known by (OneID), what contradicts itself, and what was merged because of it."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from contacts.models.people import Contact
from tenants.tables import TenantModel, tenant_key


class Identity(TenantModel):
    """身份: one thing a contact is known by. How much a type proves: contacts.oneid.strengths."""

    class Type(models.TextChoices):
        UNIONID = "unionid", "unionid"
        EXTERNAL_USERID = "external_userid", _("外部联系人 ID")
        OPENID = "openid", "openid"
        PHONE = "phone", _("手机号")
        MEMBER_ID = "member_id", _("会员号")
        ORDER_PHONE = "order_phone", _("订单手机号")
        DEVICE = "device", _("设备")
        PENDING_ID = "pending_id", "pending_id"

    id = models.UUIDField(primary_key=True)
    """made_id(brand_id, 'identity', type, value)"""
    contact = tenant_key(Contact)
    type = models.CharField(max_length=20, choices=Type.choices)
    value = models.CharField()
    """canonical, as events.spelling says: `corpid:external_userid`, `appid:openid`, else the value itself"""
    first_seen_at = models.DateTimeField()
    seen_with = models.UUIDField(null=True)
    """the identity of the same contact that it was first shown together with: the evidence that ties it here"""
    source = models.CharField(max_length=20, blank=True, db_default="")
    """who showed it: wecom, api, import, mini_program, console"""

    class Meta:
        verbose_name = verbose_name_plural = _("身份")
        constraints = [models.UniqueConstraint(fields=["brand", "type", "value"], name="identity_once")]
        indexes = [models.Index(fields=["brand", "contact"], name="identity_of_contact")]


class IdentityConflict(TenantModel):
    """Evidence that two contacts are one person while something speaks against it; kept for review, never guessed.

    `other` is empty when the evidence is a value that the contact cannot have beside its own (held back)."""

    class Resolution(models.TextChoices):
        MERGED = "merged", _("已合并")
        KEPT_APART = "kept_apart", _("保持分开")
        ERASED = "erased", _("已删除")

    id = models.UUIDField(primary_key=True)
    contact = tenant_key(Contact)
    other = tenant_key(Contact, null=True)
    evidence = models.JSONField()
    seen_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)
    resolution = models.CharField(max_length=12, choices=Resolution.choices, blank=True, db_default="")
    resolved_by = models.CharField(max_length=100, blank=True, db_default="")
    reason = models.CharField(max_length=200, blank=True, db_default="")

    class Meta:
        verbose_name = verbose_name_plural = _("身份冲突")
        indexes = [
            models.Index(
                fields=["brand", "-seen_at", "id"], name="conflict_open", condition=models.Q(resolved_at=None)
            ),
            models.Index(fields=["brand", "contact"], name="conflict_of_contact"),
            models.Index(fields=["brand", "other"], name="conflict_of_other"),
        ]


class Merge(TenantModel):
    """合并: one contact became an alias of another. The journal that splitting reads."""

    id = models.BigAutoField(primary_key=True)
    survivor = tenant_key(Contact)
    loser = tenant_key(Contact)
    merged_at = models.DateTimeField()
    actor = models.CharField(max_length=80)
    actor_label = models.CharField(max_length=100, blank=True, db_default="")
    reason = models.CharField(max_length=200, blank=True, db_default="")
    evidence = models.JSONField(default=dict)
    """{"type", "value", "seen_with"}: the identity that both had; empty for a merge by hand"""
    before = models.JSONField(null=True)
    """the survivor's row as it was"""
    after = models.JSONField(null=True)
    """the survivor's row as the merge left it"""
    split_at = models.DateTimeField(null=True)
    split_by = models.CharField(max_length=100, blank=True, db_default="")
    split_reason = models.CharField(max_length=200, blank=True, db_default="")

    class Meta:
        verbose_name = verbose_name_plural = _("合并")
        indexes = [
            models.Index(fields=["brand", "survivor", "id"], name="merge_of_survivor"),
            models.Index(fields=["brand", "loser", "id"], name="merge_of_loser"),
        ]


class MergeMoved(TenantModel):
    """Which rows of one kind a merge moved or changed, by key: what a split takes back."""

    pk = models.CompositePrimaryKey("brand_id", "merge_id", "kind")
    merge = tenant_key(Merge)
    kind = models.CharField(max_length=60)
    rows = models.JSONField()
    """[{key columns}, …] of moved rows; [{"before": row, "after": row}, …] of changed ones"""
