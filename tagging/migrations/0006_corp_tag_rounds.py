"""One round for all tags of a corp, and what a pair has lost."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tagging", "0005_rules_and_corp_tags"),
    ]

    operations = [
        migrations.RemoveField(
            model_name="corptag",
            name="due_at",
        ),
        migrations.RemoveField(
            model_name="corptag",
            name="marked_at",
        ),
        migrations.RemoveField(
            model_name="corptag",
            name="next_contact",
        ),
        migrations.AddField(
            model_name="corptagmark",
            name="has",
            field=models.BooleanField(db_default=True, default=True),
        ),
        migrations.AddField(
            model_name="taglibrary",
            name="next_contact",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="taglibrary",
            name="round_ended_at",
            field=models.DateTimeField(null=True),
        ),
    ]
