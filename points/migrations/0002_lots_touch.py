"""Lots touch their contacts: dynamic segments ask for balances and for points that run out soon."""

from django.db import migrations

from tagging.touch_triggers import touch_triggers


class Migration(migrations.Migration):
    dependencies = [
        ("points", "0001_initial"),
        ("tagging", "0003_memberships"),
    ]

    operations = [
        touch_triggers(
            "points_lot",
            "points",
            columns=("brand_id", "account_id", "remaining", "expires_at"),
            contacts="SELECT a.brand_id, a.contact_id FROM {rows} AS r"
            " JOIN points_pointsaccount a ON a.brand_id = r.brand_id AND a.id = r.account_id",
        ),
    ]
