"""Members' tiers: the brand's rules, where each contact stands since when, and what operators promised by hand."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from contacts.models import Contact
from tenants.tables import TenantModel, tenant_key


class Tier(TenantModel):
    """等级: one rung. Whoever reaches `threshold` of the rules' metric has it."""

    code = models.CharField(primary_key=True, max_length=30)
    """in the database the key is (brand_id, code)"""
    position = models.PositiveIntegerField()
    """1 is the lowest"""
    name = models.CharField(_("名称"), max_length=30)
    threshold = models.BigIntegerField(_("门槛"))
    """whole points, fen or orders, as the metric is"""

    class Meta:
        verbose_name = verbose_name_plural = _("会员等级")
        constraints = [models.UniqueConstraint(fields=["brand", "position"], name="tier_position_once")]

    def __str__(self) -> str:
        return self.name


class TierRules(TenantModel):
    """等级规则: what is measured over which time, and what becomes of a tier when its time is over. One row a brand."""

    class Metric(models.TextChoices):
        GROWTH_VALUE = "growth_value", _("成长值")
        NET_SPEND = "net_spend", _("净消费")
        ORDER_COUNT = "order_count", _("订单数")

    class Window(models.TextChoices):
        ROLLING = "rolling", _("最近 12 个月")
        YEAR = "year", _("自然年")

    class AtEnd(models.TextChoices):
        KEEP = "keep", _("保级，不降")
        ONE_DOWN = "one_down", _("降一级")
        TO_LEVEL = "to_level", _("按成绩定级")

    id = models.BigAutoField(primary_key=True)
    metric = models.CharField(_("指标"), max_length=12, choices=Metric.choices)
    window = models.CharField(_("统计周期"), max_length=7, choices=Window.choices)
    at_end = models.CharField(_("到期未达标"), max_length=8, choices=AtEnd.choices)
    grace_days = models.PositiveIntegerField(_("宽限天数"), default=0)
    protect_days = models.PositiveIntegerField(_("升级保护天数"), default=0)
    since = models.DateTimeField()
    """nothing before this moment is judged by these rules"""
    filled_to = models.BigIntegerField(null=True)
    """contacts up to this id have been looked at since the rules changed; empty: all"""

    class Meta:
        verbose_name = verbose_name_plural = _("等级规则")
        constraints = [models.UniqueConstraint(fields=["brand"], name="tier_rules_once")]


class TierSpell(TenantModel):
    """等级记录: one stay of a contact, `[since, until)`. Whoever never reached a tier has none; else one is open."""

    class Reason(models.TextChoices):
        START = "start", _("开始记录")
        RULES = "rules", _("规则调整")
        REACHED = "reached", _("达到门槛")
        RENEWED = "renewed", _("续期达标")
        KEPT = "kept", _("到期保级")
        ENDED = "ended", _("到期未达标")
        FLOOR = "floor", _("人工保底")
        FLOOR_ENDED = "floor_ended", _("人工保底结束")
        MERGED = "merged", _("合并客户")

    pk = models.CompositePrimaryKey("brand_id", "contact_id", "since")
    contact = tenant_key(Contact)
    since = models.DateTimeField()
    until = models.DateTimeField(null=True)
    tier = models.CharField(max_length=30)
    """a code; empty: none (any more)"""
    was = models.CharField(max_length=30)
    """the tier before; the same when its time began anew"""
    reason = models.CharField(max_length=12, choices=Reason.choices)
    metric = models.BigIntegerField()
    """what the metric was then"""
    held_since = models.DateTimeField()
    """when the contact came to this tier, over renewals"""
    ends_at = models.DateTimeField(null=True)
    """when it is judged anew; empty: never by time"""
    protected_until = models.DateTimeField(null=True)
    """after an upgrade: no downgrade before"""
    by_hand = models.BooleanField(default=False)
    """held because of a floor, not of the metric"""
    base_tier = models.CharField(max_length=30, blank=True, default="")
    """of a spell by hand: the tier under it"""
    base_ends_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True)
    """of an open spell: when time alone may change something next"""
    noted_at = models.DateTimeField()
    """when this was written: what was known at a past moment is what had been written by then"""

    class Meta:
        verbose_name = verbose_name_plural = _("等级记录")
        constraints = [
            models.UniqueConstraint(
                fields=["brand", "contact"], name="tier_spell_open_once", condition=models.Q(until__isnull=True)
            )
        ]
        indexes = [
            models.Index(
                fields=["brand", "tier", "contact"], name="tier_spell_now", condition=models.Q(until__isnull=True)
            ),
            models.Index(fields=["brand", "due_at"], name="tier_spell_due", condition=models.Q(until__isnull=True)),
            models.Index(fields=["brand", "-since", "contact"], name="tier_spell_latest"),
        ]


class TierFloor(TenantModel):
    """人工保底: an operator's word that a contact stands no lower than this, `[since, until)`."""

    id = models.BigAutoField(primary_key=True)
    contact = tenant_key(Contact)
    tier = models.CharField(max_length=30)
    since = models.DateTimeField()
    until = models.DateTimeField(null=True)
    """empty: until somebody takes it back"""
    note = models.CharField(_("原因"), max_length=200)
    actor = models.CharField(max_length=80)
    actor_label = models.CharField(max_length=100, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = _("人工保底等级")
        indexes = [models.Index(fields=["brand", "contact", "since"], name="tier_floor_of_contact")]
