"""企业标签: WeCom's tags, which of ours they stand for, and on whom both sides agree."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from contacts.models import Contact, Staff
from tagging.models.segments import Segment
from tagging.models.tags import Tag
from tenants.tables import TenantModel, tenant_key
from wecom.models import Corp


class TagLibrary(TenantModel):
    """How a corp's tags and ours are kept the same."""

    id = models.BigAutoField(primary_key=True)
    corp = tenant_key(Corp)
    is_on = models.BooleanField(_("同步"), default=False)
    imports_new = models.BooleanField(_("企业微信的新标签自动建成标签"), default=True)
    due_at = models.DateTimeField(null=True)
    """when the two sides are compared next"""
    hurried = ArrayField(models.BigIntegerField(), default=list, db_default=[])
    """numbers of contacts who are to be marked before that: see tagging.corp.hurry"""
    hurry_at = models.DateTimeField(null=True)
    """when those are to be marked"""
    taken_until = models.DateTimeField(null=True)
    """a worker has the corp in hand until then"""
    read_at = models.DateTimeField(null=True)
    problem = models.CharField(max_length=300, blank=True)
    next_contact = models.BigIntegerField(default=0, db_default=0)
    """a round goes through the contacts in order of id; those before are done"""
    round_ended_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = verbose_name_plural = _("标签库")
        constraints = [models.UniqueConstraint(fields=["brand", "corp"], name="library_once")]


class CorpTag(TenantModel):
    """One tag of a corp. With `tag` it stands for a tag of ours, with `segment` for the segment's members."""

    class State(models.TextChoices):
        KNOWN = "known", _("未对应")
        WANTED = "wanted", _("待创建")
        ADDING = "adding", _("创建中")
        LINKED = "linked", _("同步中")
        GONE = "gone", _("企业微信已删除")

    id = models.BigAutoField(primary_key=True)
    corp = tenant_key(Corp)
    tag = tenant_key(Tag, models.SET_NULL, null=True)
    segment = tenant_key(Segment, models.SET_NULL, null=True)
    wecom_id = models.CharField(blank=True)
    group_id = models.CharField(blank=True)
    group = models.CharField()
    """as WeCom last told it; while it is still to be made: what it will be called"""
    name = models.CharField()
    state = models.CharField(max_length=10, choices=State.choices)
    asked_at = models.DateTimeField(null=True)
    """when WeCom was asked to make it, while the outcome is unknown"""
    listings = models.IntegerField(default=0)
    problem = models.CharField(max_length=300, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = _("企业标签")
        constraints = [
            models.UniqueConstraint(
                fields=["brand", "corp", "wecom_id"], name="corp_tag_once", condition=~models.Q(wecom_id="")
            ),
            models.UniqueConstraint(
                fields=["brand", "corp", "tag"], name="corp_tag_of_tag", condition=models.Q(tag__isnull=False)
            ),
        ]


class CorpTagMark(TenantModel):
    """What both sides last agreed on for a pair of guide and customer: what a change is told from."""

    pk = models.CompositePrimaryKey("brand_id", "corp_tag_id", "contact_id", "staff_id")
    corp_tag = tenant_key(CorpTag)
    contact = tenant_key(Contact)
    staff = tenant_key(Staff)
    has = models.BooleanField(default=True, db_default=True)
    """False: the pair lost the tag at `agreed_at`; kept for a day, since a list read before then may still show it"""
    agreed_at = models.DateTimeField()

    class Meta:
        verbose_name = verbose_name_plural = _("企业标签标记")
