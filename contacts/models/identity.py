"""What a contact is known by (OneID)."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from contacts.models.people import Contact
from tenants.tables import TenantModel, tenant_key


class Identity(TenantModel):
    """身份: one thing a contact is known by. All types here are strong: the same value is the same person."""

    class Type(models.TextChoices):
        UNIONID = "unionid", "unionid"
        EXTERNAL_USERID = "external_userid", _("外部联系人 ID")
        OPENID = "openid", "openid"
        PHONE = "phone", _("手机号")
        MEMBER_ID = "member_id", _("会员号")

    id = models.UUIDField(primary_key=True)
    """made_id(brand_id, 'identity', type, value)"""
    contact = tenant_key(Contact)
    type = models.CharField(max_length=20, choices=Type.choices)
    value = models.CharField(max_length=200)
    """canonical, see contacts.identity.canonical: `corpid:external_userid`, `appid:openid`, else the value itself"""
    first_seen_at = models.DateTimeField()

    class Meta:
        verbose_name = verbose_name_plural = _("身份")
        constraints = [models.UniqueConstraint(fields=["brand", "type", "value"], name="identity_once")]
        indexes = [models.Index(fields=["brand", "contact"], name="identity_of_contact")]


class IdentityConflict(TenantModel):
    """Two identities that say the same person belong to two contacts; kept for review, never guessed."""

    id = models.UUIDField(primary_key=True)
    contact = tenant_key(Contact)
    other = tenant_key(Contact)
    evidence = models.JSONField()
    seen_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = verbose_name_plural = _("身份冲突")
