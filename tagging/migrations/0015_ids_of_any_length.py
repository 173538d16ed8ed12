"""What WeCom calls its tags, without a length: nothing is rewritten. Back only while none is longer than before."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tagging", "0014_dissolved_groups_touch"),
    ]

    operations = [
        migrations.AlterField("corptag", "wecom_id", models.CharField(blank=True)),
        migrations.AlterField("corptag", "group_id", models.CharField(blank=True)),
        migrations.AlterField("corptag", "group", models.CharField()),
        migrations.AlterField("corptag", "name", models.CharField()),
    ]
