"""Enrolments touch their contacts: dynamic segments ask where somebody stands in an SOP."""

from django.db import migrations

from tagging.touch_triggers import touch_triggers


class Migration(migrations.Migration):
    dependencies = [
        ("campaigns", "0003_welcome"),
        ("tagging", "0003_memberships"),
    ]

    operations = [
        touch_triggers(
            "campaigns_enrolment",
            "outreach",
            columns=("brand_id", "contact_id", "sop_version_id", "status"),
        ),
    ]
