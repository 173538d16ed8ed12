"""Who is in a segment, since when and why; what is known of each contact; and what waits to be looked at."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from contacts.models import Contact
from tagging.models.segments import Segment
from tenants.tables import TenantModel, tenant_key


class Membership(TenantModel):
    """One stay of a contact in a segment, `[entered_at, left_at)`."""

    pk = models.CompositePrimaryKey("brand_id", "segment_id", "contact_id", "entered_at")
    segment = tenant_key(Segment)
    contact = tenant_key(Contact)
    entered_at = models.DateTimeField()
    entered_version = models.PositiveIntegerField()
    entered_reason = models.JSONField()
    """{"cause": event, row, time, fill, version, hand; "leaves": the fewest paths that had to flip, "held": how each
    stands now}"""
    left_at = models.DateTimeField(null=True)
    left_version = models.PositiveIntegerField(null=True)
    left_reason = models.JSONField(null=True)

    class Meta:
        verbose_name = verbose_name_plural = _("人群成员")
        constraints = [
            models.UniqueConstraint(
                fields=["brand", "segment", "contact"], name="member_once", condition=models.Q(left_at=None)
            )
        ]
        indexes = [
            models.Index(fields=["brand", "contact", "entered_at"], name="member_of"),
            models.Index(fields=["brand", "segment", "entered_at"], name="member_entered"),
        ]


class SegmentStanding(TenantModel):
    """What was last found of a contact in a dynamic segment: which leaves held, and when to look again.

    A contact of whom no leaf holds and nothing is due has no row."""

    pk = models.CompositePrimaryKey("brand_id", "segment_id", "contact_id")
    # No foreign keys: a first fill writes a row for most contacts, and a row too many is harmless.
    segment_id = models.BigIntegerField()
    contact_id = models.BigIntegerField()
    fill = models.PositiveIntegerField()
    """number of the SegmentFill whose tree the bits are of"""
    bits = models.BigIntegerField()
    """bit n: the tree's nth leaf held"""
    due_at = models.DateTimeField(null=True)
    """the first moment at which time alone can change a leaf"""

    class Meta:
        verbose_name = verbose_name_plural = _("人群判定")
        indexes = [
            models.Index(
                fields=["brand", "due_at", "segment_id", "contact_id"],
                name="standing_due",
                condition=models.Q(due_at__isnull=False),
            )
        ]


class ContactTouch(TenantModel):
    """A row about the contact was changed and dynamic segments have not looked yet. By triggers; gone when read."""

    pk = models.CompositePrimaryKey("brand_id", "contact_id", "source", "txid")
    contact_id = models.BigIntegerField()
    """no foreign key: whoever deletes a contact deletes touches of it in the same breath"""
    source = models.CharField(max_length=12)
    """of tagging.changes.SOURCES"""
    txid = models.BigIntegerField()

    class Meta:
        verbose_name = verbose_name_plural = _("待查客户")
