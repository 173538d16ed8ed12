"""Customers whose tags WeCom should show soon, and who is at work on a corp's tags, apart from when it is due."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tagging", "0011_archived_rules")]

    operations = [
        migrations.AddField(
            model_name="taglibrary",
            name="hurried",
            field=django.contrib.postgres.fields.ArrayField(models.BigIntegerField(), db_default=[], default=list),
        ),
        migrations.AddField("taglibrary", "hurry_at", models.DateTimeField(null=True)),
        migrations.AddField("taglibrary", "taken_until", models.DateTimeField(null=True)),
    ]
