"""Groups made exclusive are settled by a run; since when stages are kept is found by an index."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tagging", "0012_marking_soon")]

    operations = [
        migrations.AlterField(
            "tagrun",
            "kind",
            models.CharField(
                max_length=10,
                choices=[
                    ("preview", "预览"),
                    ("apply", "补打"),
                    ("interests", "重算兴趣分"),
                    ("lifecycle", "划分阶段"),
                    ("exclusion", "分组去重"),
                ],
            ),
        ),
        migrations.AddIndex("lifecyclespell", models.Index(fields=["brand", "since"], name="spell_since")),
    ]
