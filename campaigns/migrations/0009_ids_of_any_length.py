"""WeCom's ids without a length: nothing is rewritten. Back only as long as none is longer than before."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("campaigns", "0008_reminders"),
    ]

    operations = [
        migrations.AlterField("batch", "msgid", models.CharField(blank=True)),
        migrations.AlterField("batch", "jobid", models.CharField(blank=True)),
        migrations.AlterField("batch", "tag_id", models.CharField(blank=True)),
        migrations.AlterField("delivery", "external_userid", models.CharField(blank=True)),
    ]
