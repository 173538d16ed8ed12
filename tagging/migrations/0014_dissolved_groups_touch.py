"""A dissolved group counts no more, also for those who had left it before: their own rows do not change."""

from django.db import migrations

from tagging.touch_triggers import touch_triggers


class Migration(migrations.Migration):
    dependencies = [("tagging", "0013_exclusion_runs_and_kept_since")]

    operations = [
        touch_triggers(
            "contacts_groupchat",
            "group",
            columns=("brand_id", "id", "dismissed_at"),
            contacts="SELECT m.brand_id, m.contact_id FROM {rows} AS r"
            " JOIN contacts_groupmember m ON m.brand_id = r.brand_id AND m.chat_id = r.id",
            events=("UPDATE",),
        ),
    ]
