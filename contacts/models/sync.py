"""Full syncs of a corp and their chunks."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from tenants.tables import TenantModel, tenant_key
from wecom.models import Corp


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
    userids = ArrayField(models.CharField())
    cursor = models.TextField(blank=True)
    completed_at = models.DateTimeField(null=True)
    follows_seen = models.IntegerField(default=0)
    attempts = models.IntegerField(default=0)
    error = models.TextField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["brand", "run", "position"], name="chunk_once")]


class Reconciliation(TenantModel):
    """对账: a day's comparing of guides' lists with our rows, and what callbacks had lost. One row per corp and day."""

    id = models.BigAutoField(primary_key=True)
    corp = tenant_key(Corp)
    day = models.DateField()
    """by the brand's calendar"""
    up_to = models.BigIntegerField(default=0)
    """staff id of the guide compared last; the next round goes on after it"""
    guides = models.IntegerField(default=0)
    calls = models.IntegerField(default=0)
    added = models.IntegerField(default=0)
    """friendships that WeCom had and we had not"""
    lost = models.IntegerField(default=0)
    """friendships that we had and WeCom no longer"""
    edited = models.IntegerField(default=0, db_default=0)
    """friendships of which remark, description or tags were other than WeCom's"""
    groups = models.IntegerField(default=0, db_default=0)
    """customer groups that were new, gone, or other than WeCom's"""
    staff = models.IntegerField(default=0, db_default=0)
    """members and stores that were new, gone, or other than WeCom's"""
    refused = models.IntegerField(default=0)
    """guides whose list WeCom did not show"""
    groups_up_to = models.BigIntegerField(default=0, db_default=0)
    """number of the group compared last"""
    surveyed_at = models.DateTimeField(null=True)
    """when WeCom was last asked which guides and which groups there are"""
    last_at = models.DateTimeField()

    class Meta:
        verbose_name = verbose_name_plural = _("对账")
        constraints = [models.UniqueConstraint(fields=["brand", "corp", "day"], name="reconciled_once")]
