from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("contacts", "0001_initial")]

    operations = [
        migrations.AddIndex(
            model_name="groupmember",
            index=models.Index(
                condition=models.Q(("contact", None), ("kind", 2)),
                fields=["brand", "member_id"],
                name="group_stranger",
            ),
        ),
    ]
