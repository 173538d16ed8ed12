"""The sweep of expired tags finds them by time."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tagging", "0001_initial")]

    operations = [
        migrations.AddIndex(
            model_name="contacttag",
            index=models.Index(
                fields=["brand", "expires_at"], name="tag_expiring", condition=models.Q(expires_at__isnull=False)
            ),
        ),
    ]
