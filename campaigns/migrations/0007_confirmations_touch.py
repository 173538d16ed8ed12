"""A guide's confirmation touches whom the batch is for: dynamic segments ask how often it was confirmed."""

from django.db import migrations

from tagging.touch_triggers import touch_triggers


class Migration(migrations.Migration):
    dependencies = [("campaigns", "0006_kept_media"), ("tagging", "0008_spell_causes")]

    operations = [
        touch_triggers(
            "campaigns_batch",
            "outreach",
            columns=("brand_id", "id", "confirmed_at"),
            contacts="SELECT d.brand_id, d.contact_id FROM {rows} AS r"
            " JOIN campaigns_delivery d ON d.brand_id = r.brand_id AND d.batch_id = r.id",
            events=("UPDATE",),
        ),
    ]
