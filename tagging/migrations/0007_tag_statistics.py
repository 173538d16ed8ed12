"""A tag is one brand's: the planner, who multiplies shares, took a small brand's popular tag for a rare one.

Beside a brand of a million, 12,500 rows were expected to be 124, and the small brand's segments were planned otherwise
than when it was alone. Autovacuum's ANALYZE keeps the statistics from now on."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("tagging", "0006_corp_tag_rounds")]

    operations = [
        migrations.RunSQL(
            "CREATE STATISTICS brand_of_tag (dependencies) ON brand_id, tag_id FROM tagging_contacttag",
            "DROP STATISTICS brand_of_tag",
        ),
    ]
