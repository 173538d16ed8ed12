"""Pushes, their variants, and the batches in which they leave."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from campaigns.models.contents import Channel, Content
from contacts.models import Staff
from tagging.models import Segment
from tenants.tables import TenantModel, tenant_key
from wecom.models import Corp


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
    msgid = models.CharField(blank=True)
    """WeCom's msgid; for Moments the moment_id once the job is done"""
    jobid = models.CharField(blank=True)
    tag_id = models.CharField(blank=True)
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
