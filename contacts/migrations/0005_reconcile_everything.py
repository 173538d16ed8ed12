from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("contacts", "0004_reconciliation"),
    ]

    operations = [
        *(
            migrations.AddField("reconciliation", name, models.IntegerField(default=0, db_default=0))
            for name in ("edited", "groups", "staff")
        ),
        migrations.AddField("reconciliation", "groups_up_to", models.BigIntegerField(default=0, db_default=0)),
        migrations.AddField("reconciliation", "surveyed_at", models.DateTimeField(null=True)),
    ]
