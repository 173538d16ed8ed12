"""What a merge of contacts does to a push's groups and to the contact's budget."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("campaigns", "0004_enrolments_touch"),
    ]

    operations = [
        migrations.AddField(
            model_name="delivery",
            name="left_out",
            field=models.CharField(
                blank=True,
                choices=[("contaminated", "合并前分在不同的组"), ("duplicate", "与另一位客户是同一人")],
                db_default="",
                default="",
                max_length=12,
            ),
        ),
        migrations.AddField(
            model_name="reservation",
            name="touches",
            field=models.PositiveSmallIntegerField(db_default=1, default=1),
        ),
    ]
