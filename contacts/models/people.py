"""Staff and stores on the brand's side, contacts on the other."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from tenants.tables import TenantModel, tenant_key
from wecom.models import Corp


class Store(TenantModel):
    """门店: a department of the corp that guides belong to."""

    id = models.BigAutoField(primary_key=True)
    corp = tenant_key(Corp)
    department_id = models.BigIntegerField()
    name = models.CharField(_("名称"), max_length=100)

    class Meta:
        verbose_name = verbose_name_plural = _("门店")
        constraints = [models.UniqueConstraint(fields=["brand", "corp", "department_id"], name="store_once")]

    def __str__(self) -> str:
        return self.name


class Staff(TenantModel):
    """员工: a member of the corp; a guide (导购) if `is_guide`: has 客户联系 and follows customers."""

    id = models.BigAutoField(primary_key=True)
    corp = tenant_key(Corp)
    userid = models.CharField()
    name = models.CharField(_("姓名"), max_length=100, blank=True)
    store = tenant_key(Store, models.SET_NULL, null=True, blank=True)
    is_guide = models.BooleanField(default=False)
    wecom_status = models.SmallIntegerField(default=1)
    """WeCom's: 1 active, 2 disabled, 4 not activated, 5 left"""
    left_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = _("员工")
        constraints = [models.UniqueConstraint(fields=["brand", "corp", "userid"], name="staff_once")]
        indexes = [models.Index(fields=["brand", "store"], name="staff_of_store")]

    def __str__(self) -> str:
        return self.name or self.userid


class Contact(TenantModel):
    """客户: one person, whatever they are known by."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(_("昵称"), max_length=200, blank=True)
    avatar = models.URLField(max_length=500, blank=True)
    gender = models.SmallIntegerField(default=0)
    """WeCom's: 0 unknown, 1 male, 2 female"""
    kind = models.SmallIntegerField(default=1)
    """WeCom's type: 1 WeChat user, 2 WeCom user"""
    phone = models.CharField(_("手机号"), max_length=20, blank=True)
    main_guide = tenant_key(Staff, models.SET_NULL, null=True, blank=True)
    """主导购: the live follow with the latest interaction; kept by contacts.follows"""
    source_state = models.CharField(_("来源"), max_length=64, blank=True)
    """the `state` of the first follow: the channel that brought the contact"""
    first_added_at = models.DateTimeField(_("首次添加"), null=True)
    last_active_at = models.DateTimeField(_("最近互动"), null=True)
    """the latest thing the contact did themselves; kept by a reactor"""
    lost_at = models.DateTimeField(_("流失时间"), null=True)
    """since when no guide is followed any more; empty while there is a live follow"""
    created_at = models.DateTimeField()
    merged_into = tenant_key("contacts.Contact", models.PROTECT, null=True, editable=False)
    """the contact that this one turned out to be: look-ups of this id answer that one"""
    gone_at = models.DateTimeField(null=True, editable=False)
    """since when this row is nobody of its own: merged or erased. A row policy hides such rows; see contacts.gone"""
    erased_at = models.DateTimeField(null=True, editable=False)
    """when this person's data was erased: nothing of WeCom's is written to the row again"""

    class Meta:
        verbose_name = verbose_name_plural = _("客户")
        indexes = [
            models.Index(fields=["brand", "name"], name="contact_name"),
            models.Index(fields=["brand", "phone"], name="contact_phone"),
            models.Index(fields=["brand", "main_guide", "id"], name="contact_guide"),
            models.Index(fields=["brand", "-last_active_at", "-id"], name="contact_active"),
            models.Index(
                fields=["brand", "merged_into"], name="contact_alias", condition=models.Q(merged_into__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return self.name
