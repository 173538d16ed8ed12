"""How often an item was begun without an end: one that kills its workers must not hold up the others."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("wecom", "0003_provider_and_onboarding")]

    operations = [
        migrations.AddField("inboxitem", "begun", models.SmallIntegerField(default=0, db_default=0)),
    ]
