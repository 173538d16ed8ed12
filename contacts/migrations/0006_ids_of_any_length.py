"""Types without a length: nothing is rewritten. Back only as long as no id is longer than before."""

from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("contacts", "0005_reconcile_everything"),
    ]

    operations = [
        *(
            migrations.AlterField(model, name, models.CharField())
            for model, name in (
                ("staff", "userid"),
                ("follow", "external_userid"),
                ("groupchat", "chat_id"),
                ("groupmember", "member_id"),
                ("identity", "value"),
            )
        ),
        migrations.AlterField("follow", "corp_tag_ids", ArrayField(models.CharField(), default=list)),
        migrations.AlterField("syncchunk", "userids", ArrayField(models.CharField())),
    ]
