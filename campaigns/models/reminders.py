"""Reminders of guides."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from campaigns.models.pushes import Push
from tenants.tables import TenantModel, tenant_key


class Reminder(TenantModel):
    """提醒: somebody wants the guides of a push reminded who have not confirmed. A task does it; one at a time."""

    id = models.BigAutoField(primary_key=True)
    push = tenant_key(Push)
    asked_at = models.DateTimeField()
    asked_by = models.CharField(max_length=80)
    asked_by_label = models.CharField(max_length=100, blank=True)
    due_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    """claimed by a task, before the first call"""
    done_at = models.DateTimeField(null=True)
    tasks = models.PositiveIntegerField(default=0)
    """of WeCom's tasks, how many were reminded"""
    problem_code = models.CharField(max_length=60, blank=True)
    """why none was"""

    class Meta:
        verbose_name = verbose_name_plural = _("提醒")
        constraints = [
            models.UniqueConstraint(
                fields=["brand", "push"], condition=models.Q(done_at=None), name="reminder_at_a_time"
            )
        ]
        indexes = [models.Index(fields=["brand", "push"], name="reminder_of_push")]
