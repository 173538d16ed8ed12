from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("wecom", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="corp",
            name="callback_refused_code",
            field=models.CharField(blank=True, max_length=40),
        ),
        migrations.AddField(
            model_name="corp",
            name="callback_refused_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="inboxitem",
            name="welcome_due",
            field=models.BooleanField(default=False),
        ),
        migrations.AddIndex(
            model_name="inboxitem",
            index=models.Index(
                condition=models.Q(("welcome_due", True)), fields=["brand", "received_at"], name="inbox_welcome"
            ),
        ),
    ]
