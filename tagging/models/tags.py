"""Tags with their evidence, and rules that give them."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from contacts.models import Contact
from tenants.tables import TenantModel, tenant_key


class Tag(TenantModel):
    """标签."""

    id = models.BigAutoField(primary_key=True)
    group = models.CharField(_("分组"), max_length=30, blank=True)
    name = models.CharField(_("名称"), max_length=30)
    rank = models.PositiveIntegerField(_("优先级"), default=100, db_default=100)
    """in a group where the stronger tag wins: the smaller number is the stronger"""
    created_at = models.DateTimeField()

    class Meta:
        verbose_name = verbose_name_plural = _("标签")
        constraints = [
            models.UniqueConstraint(
                fields=["brand", "group", "name"],
                name="tag_once",
                violation_error_message=_("这个分组里已有同名标签。"),
            )
        ]

    def __str__(self) -> str:
        return f"{self.group}·{self.name}" if self.group else self.name


class TagGroup(TenantModel):
    """What holds for all tags of a group; a group without a row is an ordinary one."""

    class Exclusive(models.TextChoices):
        NO = "", _("可以同时有")
        LATEST = "latest", _("只留最新的")
        PRIORITY = "priority", _("只留优先级最高的")

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(_("分组"), max_length=30)
    exclusive = models.CharField(_("互斥"), max_length=10, choices=Exclusive.choices, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = _("标签分组")
        constraints = [models.UniqueConstraint(fields=["brand", "name"], name="tag_group_once")]


class TagRule(TenantModel):
    """标签规则: what a contact did in the last [window_days], measured, against a threshold → the tag."""

    class Measure(models.TextChoices):
        COUNT = "count", _("次数")
        SUM = "sum", _("合计")
        RECENCY = "recency", _("最近做过")
        SEQUENCE = "sequence", _("先后做过")
        INTEREST = "interest", _("兴趣分")

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(_("名称"), max_length=60)
    tag = tenant_key(Tag)
    measure = models.CharField(_("衡量"), max_length=10, choices=Measure.choices, default="count", db_default="count")
    event_type = models.CharField(_("行为"), max_length=60)
    """empty for a sequence (see steps) and for an interest (see where)"""
    prop = models.CharField(_("合计的属性"), max_length=60, blank=True, default="", db_default="")
    steps = models.JSONField(_("各步"), default=list, blank=True, db_default=[])
    """of a sequence, as in the condition `sequence`"""
    within_hours = models.PositiveIntegerField(_("首尾相隔不超过"), null=True, blank=True)
    high = models.FloatField(_("达到"), null=True, blank=True)
    """the tag is given from here on; empty: min_count"""
    low = models.FloatField(_("低于"), null=True, blank=True)
    """the tag is taken again below this; empty: the rule never takes it, it runs out after keep_days"""
    half_life_days = models.PositiveIntegerField(_("半衰期"), null=True, blank=True)
    """an event of this age counts half; empty: all events in the window count alike"""
    where = models.JSONField(_("条件"), default=dict, blank=True)
    """{"category": "婴童", "product_id": …, "min_dwell_seconds": 15}: every entry must hold"""
    min_count = models.PositiveIntegerField(_("至少次数"), default=1)
    window_days = models.PositiveIntegerField(_("近几天"), default=30)
    keep_days = models.PositiveIntegerField(_("保留几天"), null=True, blank=True)
    enabled = models.BooleanField(_("启用"), default=True)
    created_at = models.DateTimeField()
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)
    """since when it is put away: it acts no more and cannot be changed; tags go on naming it as their origin"""

    class Meta:
        verbose_name = verbose_name_plural = _("标签规则")


class ContactTag(TenantModel):
    """A contact has a tag: from where, since when, on what evidence, until when."""

    class Source(models.TextChoices):
        MANUAL = "manual", _("手动")
        RULE = "rule", _("规则")
        API = "api", _("接口")
        WECOM = "wecom", _("企业微信")
        IMPORT = "import", _("导入")

    pk = models.CompositePrimaryKey("brand_id", "contact_id", "tag_id")
    contact = tenant_key(Contact)
    tag = tenant_key(Tag)
    source = models.CharField(max_length=10, choices=Source.choices)
    rule = tenant_key(TagRule, models.SET_NULL, null=True)
    evidence = models.JSONField(default=dict)
    """for a rule: {"event_ids": [≤ 20 latest], "count": n}; for a person: {"actor": …}"""
    given_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    """the tag counts as gone from this moment on, whether or not the row has been swept yet"""

    class Meta:
        verbose_name = verbose_name_plural = _("客户标签")
        indexes = [
            models.Index(fields=["brand", "tag", "contact"], include=["expires_at"], name="contacts_of_tag"),
            models.Index(
                fields=["brand", "expires_at"], name="tag_expiring", condition=models.Q(expires_at__isnull=False)
            ),
        ]
