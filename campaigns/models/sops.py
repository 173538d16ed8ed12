"""SOPs, their versions, and who is in them."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from campaigns.models.pushes import Push
from contacts.models import Contact
from tenants.tables import TenantModel, tenant_key


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
