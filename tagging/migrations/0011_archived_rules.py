"""A rule may be put away: tags that it gave still name it, so its row stays."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tagging", "0010_scores_touch")]

    operations = [
        migrations.AddField(
            model_name="tagrule",
            name="archived_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
    ]
