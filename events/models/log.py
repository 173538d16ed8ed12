"""The behaviour log: one append-only table of everything that happens to a contact, and the cursors of its readers."""

from django.db import models
from django.db.models import F, Func, Value
from django.db.models.fields.json import KeyTextTransform
from django.utils.translation import gettext_lazy as _

from tenants.tables import TenantModel


def _number(key: str) -> Func:
    # A function of ours: null for what is not a whole number, so that one odd property never fails a batch.
    return Func(F("props"), Value(key), function="event_number", output_field=models.BigIntegerField())


class Event(TenantModel):
    """行为事件. `id` and `occurred_at` come from the sender and never change, so a retried event is the same row.

    The table is partitioned by month of `occurred_at`. The only updates are linking and erasure."""

    pk = models.CompositePrimaryKey("brand_id", "occurred_at", "id")
    id = models.UUIDField()
    occurred_at = models.DateTimeField(_("发生时间"))
    received_at = models.DateTimeField()
    skew_ms = models.BigIntegerField(null=True)
    """sender's clock minus ours in milliseconds when the batch was sent, if the sender told its time"""
    type = models.CharField(_("类型"), max_length=60)
    source = models.CharField(max_length=20)
    """api, wecom, import or system"""
    contact_id = models.BigIntegerField(null=True)
    """contacts_contact.id; empty while the person is unknown. Reactors skip such rows."""
    identity_type = models.CharField(max_length=20, null=True)  # noqa: DJ001 - no identity is not an empty one
    identity_value = models.CharField(max_length=200, null=True)  # noqa: DJ001
    props = models.JSONField(default=dict)
    category = models.GeneratedField(
        expression=KeyTextTransform("category", "props"),
        output_field=models.TextField(),
        db_persist=True,
        null=True,
    )
    product_id = models.GeneratedField(
        expression=KeyTextTransform("product_id", "props"),
        output_field=models.TextField(),
        db_persist=True,
        null=True,
    )
    amount_fen = models.GeneratedField(
        expression=_number("amount_fen"), output_field=models.BigIntegerField(), db_persist=True, null=True
    )
    dwell_seconds = models.GeneratedField(
        expression=_number("dwell_seconds"), output_field=models.BigIntegerField(), db_persist=True, null=True
    )
    fires = models.BooleanField(default=True)
    """False: counts in segments but wakes no rule, SOP or webhook (imports of old events)"""
    txid = models.BigIntegerField()
    """era + pg_current_xact_id() of the transaction that wrote or linked the row: what readers order by"""

    class Meta:
        verbose_name = verbose_name_plural = _("行为事件")
        indexes = [
            models.Index(fields=["brand", "txid", "id"], name="event_reading"),
            models.Index(fields=["brand", "contact_id", "type", "occurred_at"], name="event_of_contact"),
            # With all that conditions test and sum, so that counting a segment need not read the rows themselves.
            models.Index(
                fields=["brand", "type", "occurred_at", "contact_id"],
                include=["category", "product_id", "amount_fen", "dwell_seconds"],
                name="event_of_type",
            ),
            models.Index(
                fields=["brand", "identity_type", "identity_value"],
                name="event_unlinked",
                condition=models.Q(contact_id=None),
            ),
        ]


class LogEra(models.Model):
    """One row, global: added to transaction ids, and raised when the log is restored into a new cluster."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    era = models.BigIntegerField(default=0)


class ReactorCursor(TenantModel):
    """How far one reactor has read one brand's log: it has seen all rows up to and including (txid, event_id)."""

    pk = models.CompositePrimaryKey("brand_id", "reactor")
    reactor = models.CharField(max_length=60)
    txid = models.BigIntegerField(default=0)
    event_id = models.UUIDField()
    updated_at = models.DateTimeField()
    failing_since = models.DateTimeField(null=True)
    """since when it has failed at every try; empty while it goes on"""
    problem = models.CharField(max_length=200, blank=True, db_default="")
    """class of the exception and where it was raised"""
