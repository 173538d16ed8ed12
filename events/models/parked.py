"""Events that a reactor could not take."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from tenants.tables import TenantModel


class ParkedEvent(TenantModel):
    """停住的行为: one event that made one reactor fail, put aside so that the rest goes on.

    It names nobody: the event is read from the log again when it is replayed."""

    pk = models.CompositePrimaryKey("brand_id", "reactor", "occurred_at", "event_id")
    reactor = models.CharField(max_length=60)
    event_id = models.UUIDField()
    occurred_at = models.DateTimeField()
    type = models.CharField(max_length=60)
    problem = models.CharField(max_length=200)
    """class of the exception and where it was raised; its text may name people and is in the process's log only"""
    parked_at = models.DateTimeField()
    tried_at = models.DateTimeField(null=True)
    """when a replay failed last"""
    tries = models.IntegerField(default=1)

    class Meta:
        verbose_name = verbose_name_plural = _("停住的行为")
