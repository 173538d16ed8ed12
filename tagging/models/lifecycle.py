"""Where contacts stand by the brand's own rules, since when, and where they stood before."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from contacts.models import Contact
from tenants.tables import TenantModel, tenant_key


class LifecycleStage(TenantModel):
    """生命周期阶段: of the ordered stages the first whose tree holds is the contact's."""

    id = models.BigAutoField(primary_key=True)
    position = models.PositiveIntegerField()
    key = models.CharField(max_length=30)
    name = models.CharField(_("名称"), max_length=30)
    tree = models.JSONField(_("条件"))
    created_at = models.DateTimeField()

    class Meta:
        verbose_name = verbose_name_plural = _("生命周期阶段")
        constraints = [models.UniqueConstraint(fields=["brand", "key"], name="stage_once")]


class LifecycleSpell(TenantModel):
    """One stay of a contact in a stage, `[since, until)`; exactly one is open once the contact was looked at."""

    class Cause(models.TextChoices):
        EVENT = "event", _("发生了行为")
        ROW = "row", _("资料或标签有变化")
        TIME = "time", _("时间到了")
        NEW = "new", _("新来的客户")
        FIRST = "first", _("首次划分")
        RULES = "rules", _("阶段修改后重新划分")

        @classmethod
        def untold(cls) -> frozenset[str]:
            """Of these the log has no event: nobody moved."""
            return frozenset({cls.NEW, cls.FIRST, cls.RULES})

    pk = models.CompositePrimaryKey("brand_id", "contact_id", "since")
    contact = tenant_key(Contact)
    since = models.DateTimeField()
    stage = models.CharField(max_length=30)
    """empty: no rule fitted"""
    cause = models.CharField(max_length=8, choices=Cause.choices, blank=True, default="", db_default="")
    """why the contact came into it; empty in rows older than the column"""
    until = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True)
    """of an open spell: when time alone may end it"""

    class Meta:
        verbose_name = verbose_name_plural = _("生命周期")
        constraints = [
            models.UniqueConstraint(
                fields=["brand", "contact"], name="spell_open_once", condition=models.Q(until__isnull=True)
            )
        ]
        indexes = [
            models.Index(
                fields=["brand", "stage", "contact"], name="spell_now", condition=models.Q(until__isnull=True)
            ),
            models.Index(fields=["brand", "since"], name="spell_since"),
            models.Index(fields=["brand", "due_at"], name="spell_due", condition=models.Q(until__isnull=True)),
        ]
