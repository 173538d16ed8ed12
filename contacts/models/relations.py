"""What ties contacts to staff and groups."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from contacts.models.people import Contact, Staff
from tenants.tables import TenantModel, tenant_key
from wecom.models import Corp


class Follow(TenantModel):
    """好友关系: a guide and a contact. The row stays when the friendship ends, and is revived by a later one."""

    class LostBy(models.TextChoices):
        CONTACT = "contact", _("客户删除")
        STAFF = "staff", _("员工删除")
        TRANSFER = "transfer", _("继承转移")

    pk = models.CompositePrimaryKey("brand_id", "staff_id", "contact_id")
    staff = tenant_key(Staff)
    contact = tenant_key(Contact)
    external_userid = models.CharField()
    """as all ids of WeCom's, of whatever length: it promises none"""
    remark = models.CharField(max_length=100, blank=True)
    description = models.CharField(max_length=500, blank=True)
    add_way = models.IntegerField(default=0)
    state = models.CharField(max_length=64, blank=True)
    corp_tag_ids = ArrayField(models.CharField(), default=list)
    added_at = models.DateTimeField()
    """WeCom's createtime of the present or last friendship"""
    lost_at = models.DateTimeField(null=True)
    lost_by = models.CharField(max_length=10, choices=LostBy.choices, blank=True)
    last_interacted_at = models.DateTimeField(null=True)
    seen_run = models.BigIntegerField(default=0)
    """the sync run that last saw the pair in WeCom"""

    class Meta:
        verbose_name = verbose_name_plural = _("好友关系")
        constraints = [models.UniqueConstraint(fields=["brand", "staff", "external_userid"], name="follow_once")]
        indexes = [
            models.Index(fields=["brand", "contact"], name="follow_of_contact"),
            models.Index(fields=["brand", "external_userid"], name="follow_external"),
        ]


class GroupChat(TenantModel):
    """客户群."""

    id = models.BigAutoField(primary_key=True)
    corp = tenant_key(Corp)
    chat_id = models.CharField()
    name = models.CharField(_("群名"), max_length=200, blank=True)
    owner = tenant_key(Staff, models.SET_NULL, null=True, blank=True)
    member_count = models.IntegerField(default=0)
    member_version = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(null=True)
    dismissed_at = models.DateTimeField(null=True)
    seen_run = models.BigIntegerField(default=0)

    class Meta:
        verbose_name = verbose_name_plural = _("客户群")
        constraints = [models.UniqueConstraint(fields=["brand", "corp", "chat_id"], name="group_once")]

    def __str__(self) -> str:
        return self.name


class GroupMember(TenantModel):
    """群成员: staff or external; `contact` is empty for a member who is nobody's customer."""

    pk = models.CompositePrimaryKey("brand_id", "chat_id", "member_id")
    chat = tenant_key(GroupChat)
    member_id = models.CharField()
    """userid or external_userid as WeCom gives it"""
    kind = models.SmallIntegerField()
    """WeCom's type: 1 member of the corp, 2 external"""
    contact = tenant_key(Contact, null=True)
    joined_at = models.DateTimeField()
    left_at = models.DateTimeField(null=True)
    join_scene = models.IntegerField(default=0)

    class Meta:
        verbose_name = verbose_name_plural = _("群成员")
        indexes = [
            models.Index(fields=["brand", "contact"], name="group_of_contact"),
            # Who becomes a customer later is looked for here.
            models.Index(
                fields=["brand", "member_id"], name="group_stranger", condition=models.Q(contact=None, kind=2)
            ),
        ]
