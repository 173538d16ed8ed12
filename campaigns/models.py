"""Outreach: what is said (content), to whom (push, delivery), what it costs (budget), how it leaves (batch); SOPs."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from contacts.models import Contact, GroupChat, Staff
from media.models import Kept
from tagging.models import Segment
from tenants.tables import TenantModel, tenant_key
from wecom.models import Corp


class Channel(models.TextChoices):
    SINGLE = "single", _("单聊")
    GROUP = "group", _("客户群")
    MOMENTS = "moments", _("朋友圈")


class Content(TenantModel):
    """内容: text and attachments as WeCom takes them, valid for its channel when saved."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(_("名称"), max_length=60)
    channel = models.CharField(_("渠道"), max_length=10, choices=Channel.choices, default=Channel.SINGLE)
    text = models.TextField(_("文案"), blank=True)
    attachments = models.JSONField(_("附件"), default=list, blank=True)
    """WeCom's attachment objects, api-reference §12.1 (Moments: §13); `media` in place of a media_id: a kept file"""
    created_at = models.DateTimeField()
    media_ends_at = models.DateTimeField(null=True, editable=False)
    """when WeCom forgets the first of the media_ids that it names itself, at the latest; null: it names none"""

    class Meta:
        verbose_name = verbose_name_plural = _("内容")

    def __str__(self) -> str:
        return self.name


class ContentMedia(TenantModel):
    """A kept file that a content shows: the file cannot go while it does."""

    pk = models.CompositePrimaryKey("brand_id", "content_id", "media_id")
    content = tenant_key(Content)
    media = tenant_key(Kept, models.PROTECT)

    class Meta:
        indexes = [models.Index(fields=["brand", "media"], name="content_of_media")]


class Push(TenantModel):
    """推送: one content, or variants of it, to a segment over one channel."""

    class Status(models.TextChoices):
        DRAFT = "draft", _("草稿")
        SCHEDULED = "scheduled", _("待发")
        PLANNING = "planning", _("规划中")
        SENDING = "sending", _("进行中")
        DONE = "done", _("完成")
        CANCELLED = "cancelled", _("已取消")
        FAILED = "failed", _("失败")

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(_("名称"), max_length=60)
    channel = models.CharField(_("渠道"), max_length=10, choices=Channel.choices, default=Channel.SINGLE)
    status = models.CharField(_("状态"), max_length=10, choices=Status.choices, default=Status.DRAFT)
    segment = tenant_key(Segment, models.PROTECT, null=True, blank=True)
    segment_tree = models.JSONField(null=True)
    """snapshot of the segment's tree that the plan used"""
    corp = tenant_key(Corp, models.PROTECT, null=True, blank=True)
    """the corp that sends; the brand's only one unless set"""
    priority = models.SmallIntegerField(_("优先级"), default=50)
    holdout_percent = models.PositiveSmallIntegerField(_("对照组 %"), default=0)
    max_recipients = models.PositiveIntegerField(_("最多人数"), null=True, blank=True)
    scheduled_at = models.DateTimeField(null=True, blank=True)
    """not sent before; a send adds 2 minutes of grace in which it can be recalled"""
    sop_version = tenant_key("campaigns.SopVersion", models.PROTECT, null=True)
    sop_step = models.SmallIntegerField(null=True)
    planned_at = models.DateTimeField(null=True)
    dispatched_at = models.DateTimeField(null=True)
    done_at = models.DateTimeField(null=True)
    counts = models.JSONField(default=dict)
    """selected, planned, holdout, suppressed {reason: n}: written by the plan"""
    error = models.TextField(blank=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=80, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = _("推送")
        indexes = [models.Index(fields=["brand", "status", "scheduled_at"], name="push_due")]

    def __str__(self) -> str:
        return self.name


class Variant(TenantModel):
    """变体: who matches `condition` gets `content`; the first match in order of `position` wins."""

    id = models.BigAutoField(primary_key=True)
    push = tenant_key(Push)
    position = models.PositiveSmallIntegerField()
    name = models.CharField(_("名称"), max_length=60, blank=True)
    condition = models.JSONField(null=True, blank=True)
    """a condition tree of tagging.conditions; empty: everybody"""
    content = tenant_key(Content, models.PROTECT)

    class Meta:
        verbose_name = verbose_name_plural = _("变体")
        constraints = [models.UniqueConstraint(fields=["brand", "push", "position"], name="variant_once")]


class Batch(TenantModel):
    """发送批次: one call to WeCom. Claimed before the call and marked after it, so it is made at most once."""

    class Status(models.TextChoices):
        PENDING = "pending", _("待派发")
        CLAIMED = "claimed", _("派发中")
        CREATED = "created", _("待确认")
        UNKNOWN = "unknown", _("状态未明")
        REFUSED = "refused", _("被拒绝")
        CANCELLED = "cancelled", _("已取消")
        FINAL = "final", _("已完成")

    id = models.UUIDField(primary_key=True)
    """made_id(brand_id, 'batch', push_id, variant_id, staff_id, seq)"""
    push = tenant_key(Push)
    variant = tenant_key(Variant)
    corp = tenant_key(Corp, models.PROTECT)
    staff = tenant_key(Staff, models.PROTECT, null=True)
    """the guide who confirms; empty for a Moments task, which many guides publish"""
    seq = models.PositiveIntegerField(default=0)
    size = models.PositiveIntegerField()
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    due_at = models.DateTimeField()
    claimed_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(null=True)
    """when WeCom made the task, by our clock"""
    msgid = models.CharField(max_length=128, blank=True)
    """WeCom's msgid; for Moments the moment_id once the job is done"""
    jobid = models.CharField(max_length=128, blank=True)
    tag_id = models.CharField(max_length=64, blank=True)
    """Moments: the corp tag that aims it"""
    tagged_to = models.BigIntegerField(default=0)
    """Moments: pairs up to this contact id carry the tag"""
    tagged_at = models.DateTimeField(null=True)
    confirmed_at = models.DateTimeField(null=True)
    poll_due_at = models.DateTimeField(null=True)
    polled_at = models.DateTimeField(null=True)
    polls = models.PositiveIntegerField(default=0)
    reminders = models.PositiveSmallIntegerField(default=0)
    attempts = models.PositiveSmallIntegerField(default=0)
    error_code = models.CharField(max_length=60, blank=True)
    error = models.TextField(blank=True)

    class Meta:
        verbose_name = verbose_name_plural = _("发送批次")
        indexes = [
            models.Index(fields=["brand", "status", "due_at"], name="batch_due"),
            models.Index(fields=["brand", "push", "status"], name="batch_of_push"),
            models.Index(fields=["brand", "status", "poll_due_at"], name="batch_poll"),
        ]


class DeliveryStatus(models.TextChoices):
    PLANNED = "planned", _("已计划")
    HOLDOUT = "holdout", _("对照组")
    SUPPRESSED = "suppressed", _("未发")
    CREATED = "created", _("待导购确认")
    DELIVERED = "delivered", _("已送达")
    FAILED = "failed", _("未送达")
    UNCONFIRMED = "unconfirmed", _("导购未确认")
    CANCELLED = "cancelled", _("已取消")


class LeftOut(models.TextChoices):
    """Why a delivery counts in no comparison of the groups of its push (campaigns.assignment)."""

    CONTAMINATED = "contaminated", _("合并前分在不同的组")
    DUPLICATE = "duplicate", _("与另一位客户是同一人")


class Delivery(TenantModel):
    """投递: what became of one contact in one push; also of those left out, with the reason."""

    pk = models.CompositePrimaryKey("brand_id", "push_id", "contact_id")
    push = tenant_key(Push)
    contact = tenant_key(Contact)
    variant = tenant_key(Variant, null=True)
    staff = tenant_key(Staff, models.PROTECT, null=True)
    batch = tenant_key(Batch, models.SET_NULL, null=True)
    external_userid = models.CharField(max_length=64, blank=True)
    status = models.CharField(max_length=12, choices=DeliveryStatus.choices)
    reason = models.CharField(max_length=30, blank=True)
    """campaigns.reasons.Reason for suppressed and failed"""
    updated_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True)
    left_out = models.CharField(max_length=12, choices=LeftOut, blank=True, default="", db_default="")
    """why a comparison of the push's groups does not count this row; set by a merge, taken back by a split"""

    class Meta:
        verbose_name = verbose_name_plural = _("投递")
        indexes = [
            models.Index(fields=["brand", "batch"], name="delivery_of_batch"),
            models.Index(fields=["brand", "push", "status", "reason"], name="delivery_status"),
            models.Index(fields=["brand", "contact", "-updated_at"], name="delivery_of_contact"),
        ]


class GroupDelivery(TenantModel):
    """投递（客户群）: what became of one group chat in one push."""

    pk = models.CompositePrimaryKey("brand_id", "push_id", "chat_id")
    push = tenant_key(Push)
    chat = tenant_key(GroupChat)
    variant = tenant_key(Variant, null=True)
    staff = tenant_key(Staff, models.PROTECT, null=True)
    batch = tenant_key(Batch, models.SET_NULL, null=True)
    status = models.CharField(max_length=12, choices=DeliveryStatus.choices)
    reason = models.CharField(max_length=30, blank=True)
    updated_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = verbose_name_plural = _("群投递")
        indexes = [models.Index(fields=["brand", "batch"], name="group_delivery_of_batch")]


class BudgetPolicy(TenantModel):
    """触达预算 of the brand: one row. No cap here means none of the brand's; WeCom's quota stays."""

    pk = models.CompositePrimaryKey("brand_id", "channel")
    channel = models.CharField(_("渠道"), max_length=10, choices=Channel.choices)
    cap = models.PositiveSmallIntegerField(_("最多触达次数"))
    window_days = models.PositiveSmallIntegerField(_("窗口天数"), default=7)

    class Meta:
        verbose_name = verbose_name_plural = _("触达预算")


class Reservation(TenantModel):
    """The contact budget's ledger: a plan reserves, a delivery posts, everything else voids."""

    class Status(models.TextChoices):
        RESERVED = "reserved", _("预留")
        POSTED = "posted", _("记账")
        VOIDED = "voided", _("释放")

    pk = models.CompositePrimaryKey("brand_id", "push_id", "contact_id")
    push = tenant_key(Push)
    contact = tenant_key(Contact)
    corp = tenant_key(Corp, models.PROTECT)
    channel = models.CharField(max_length=10, choices=Channel.choices)
    day = models.DateField()
    """the brand's day the touch is meant for, then the day it happened"""
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.RESERVED)
    priority = models.SmallIntegerField(default=50)
    touches = models.PositiveSmallIntegerField(default=1, db_default=1)
    """how many messages it stands for: more than one where two contacts of the push turned out to be one person"""
    made_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = verbose_name_plural = _("触达账")
        indexes = [models.Index(fields=["brand", "contact", "channel", "day"], name="reservation_day")]


class Sop(TenantModel):
    """流程: an automation with versions; the highest number is the live one while it is enabled."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(_("名称"), max_length=60)
    enabled = models.BooleanField(_("启用"), default=False)
    created_at = models.DateTimeField()

    class Meta:
        verbose_name = verbose_name_plural = _("流程")

    def __str__(self) -> str:
        return self.name


class SopVersion(TenantModel):
    """One published, immutable form of an SOP."""

    id = models.BigAutoField(primary_key=True)
    sop = tenant_key(Sop)
    number = models.PositiveIntegerField()
    trigger = models.JSONField()
    """{"event": "friend_added", "where": {...}}"""
    steps = models.JSONField()
    """[{"wait_seconds": n, "content_id": id, "condition": tree | null}, …]: wait, then send to those who match"""
    goal_event = models.CharField(max_length=60, blank=True)
    """an event of this type takes the contact out at once"""
    published_at = models.DateTimeField()

    class Meta:
        verbose_name = verbose_name_plural = _("流程版本")
        constraints = [models.UniqueConstraint(fields=["brand", "sop", "number"], name="sop_version_once")]


class Enrolment(TenantModel):
    """入组: one contact inside one SOP version, because of one event."""

    class Status(models.TextChoices):
        ACTIVE = "active", _("在内")
        DONE = "done", _("走完")
        GOAL = "goal", _("达成目标")
        EXITED = "exited", _("退出")

    id = models.UUIDField(primary_key=True)
    """made_id(brand_id, 'enrolment', sop_id, contact_id, event_id)"""
    sop_version = tenant_key(SopVersion)
    contact = tenant_key(Contact)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.ACTIVE)
    reason = models.CharField(max_length=40, blank=True)
    step = models.SmallIntegerField(default=0)
    """the step that is due next"""
    due_at = models.DateTimeField(null=True)
    entered_at = models.DateTimeField()
    left_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = verbose_name_plural = _("入组")
        indexes = [
            models.Index(
                fields=["brand", "sop_version", "due_at"],
                name="enrolment_due",
                condition=models.Q(status="active"),
            ),
            models.Index(fields=["brand", "contact"], name="enrolment_of_contact"),
        ]


class SopTouch(TenantModel):
    """Who a step of an SOP writes to: the audience of the push that carries the step."""

    pk = models.CompositePrimaryKey("brand_id", "push_id", "contact_id")
    push = tenant_key(Push)
    contact = tenant_key(Contact)


class Welcome(TenantModel):
    """欢迎语: what a corp says to a customer who has just added a guide. One per corp."""

    id = models.BigAutoField(primary_key=True)
    corp = tenant_key(Corp)
    is_on = models.BooleanField(_("启用"), default=False)
    content = tenant_key(Content, models.PROTECT, null=True, blank=True)
    """instead of the text, if set"""
    text = models.TextField(_("文案"), blank=True)
    media = tenant_key(Kept, models.PROTECT, null=True, blank=True)
    """a picture, video or file that goes with the text"""
    updated_at = models.DateTimeField()

    class Meta:
        verbose_name = verbose_name_plural = _("欢迎语")
        constraints = [models.UniqueConstraint(fields=["brand", "corp"], name="welcome_once")]
