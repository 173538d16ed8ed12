"""The people: staff and stores on the brand's side, contacts with their identities on the other, and what ties them."""

from django.contrib.postgres.fields import ArrayField
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
    userid = models.CharField(max_length=64)
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

    class Meta:
        verbose_name = verbose_name_plural = _("客户")
        indexes = [
            models.Index(fields=["brand", "name"], name="contact_name"),
            models.Index(fields=["brand", "phone"], name="contact_phone"),
            models.Index(fields=["brand", "main_guide", "id"], name="contact_guide"),
            models.Index(fields=["brand", "-last_active_at", "-id"], name="contact_active"),
        ]

    def __str__(self) -> str:
        return self.name


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


class Follow(TenantModel):
    """好友关系: a guide and a contact. The row stays when the friendship ends, and is revived by a later one."""

    class LostBy(models.TextChoices):
        CONTACT = "contact", _("客户删除")
        STAFF = "staff", _("员工删除")
        TRANSFER = "transfer", _("继承转移")

    pk = models.CompositePrimaryKey("brand_id", "staff_id", "contact_id")
    staff = tenant_key(Staff)
    contact = tenant_key(Contact)
    external_userid = models.CharField(max_length=64)
    remark = models.CharField(max_length=100, blank=True)
    description = models.CharField(max_length=500, blank=True)
    add_way = models.IntegerField(default=0)
    state = models.CharField(max_length=64, blank=True)
    corp_tag_ids = ArrayField(models.CharField(max_length=64), default=list)
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
    chat_id = models.CharField(max_length=64)
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
    member_id = models.CharField(max_length=64)
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


class SyncRun(TenantModel):
    """One full sync of a corp: its chunks, its counts, and whether they agree with WeCom's."""

    class Status(models.TextChoices):
        RUNNING = "running", _("进行中")
        DONE = "done", _("完成")
        PARTIAL = "partial", _("部分完成")
        FAILED = "failed", _("失败")

    id = models.BigAutoField(primary_key=True)
    corp = tenant_key(Corp)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.RUNNING)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    counts = models.JSONField(default=dict)
    """staff, stores, contacts_listed, contacts_stored, follows_added, _revived, _lost, groups, calls"""
    error = models.TextField(blank=True)

    class Meta:
        verbose_name = verbose_name_plural = _("同步")
        indexes = [models.Index(fields=["brand", "corp", "-started_at"], name="sync_latest")]


class SyncChunk(TenantModel):
    """At most 100 guides of a run; resumes at its cursor. Losses are swept only for a chunk that completed."""

    id = models.BigAutoField(primary_key=True)
    run = tenant_key(SyncRun)
    position = models.IntegerField()
    userids = ArrayField(models.CharField(max_length=64))
    cursor = models.TextField(blank=True)
    completed_at = models.DateTimeField(null=True)
    follows_seen = models.IntegerField(default=0)
    attempts = models.IntegerField(default=0)
    error = models.TextField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["brand", "run", "position"], name="chunk_once")]
