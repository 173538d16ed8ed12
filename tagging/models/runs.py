"""Work on all contacts of a brand that goes on in ranges of their ids, over days if need be."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from tagging.models.tags import TagRule
from tenants.tables import TenantModel, tenant_key


class TagRun(TenantModel):
    """One such work: a rule over history, interests anew, a look at all by new stages, one tag each of a group."""

    class Kind(models.TextChoices):
        PREVIEW = "preview", _("预览")
        APPLY = "apply", _("补打")
        INTERESTS = "interests", _("重算兴趣分")
        LIFECYCLE = "lifecycle", _("划分阶段")
        EXCLUSION = "exclusion", _("分组去重")

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    rule = tenant_key(TagRule, null=True)
    rule_fields = models.JSONField(default=dict)
    """the rule as it was when the run began: a preview speaks of this; of an exclusion: {"group": its name}"""
    at = models.DateTimeField()
    """now, in the rule's windows: one moment for all ranges"""
    next_contact = models.BigIntegerField(default=0)
    """contacts with a smaller id are done"""
    result = models.JSONField(default=dict)
    """{"read", "given", "taken", "kept"} so far"""
    began_by = models.CharField(max_length=60, blank=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = verbose_name_plural = _("批量计算")
        indexes = [models.Index(fields=["brand", "id"], name="run_open", condition=models.Q(finished_at=None))]
