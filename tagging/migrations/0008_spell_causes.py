"""Why a contact came into a stage; and rows that are changed make stages look again, as they do dynamic segments."""

from django.db import migrations, models

from tagging.touch_triggers import follow_stages, touch_triggers


class Migration(migrations.Migration):
    dependencies = [("tagging", "0007_tag_statistics")]

    operations = [
        migrations.AddField(
            model_name="lifecyclespell",
            name="cause",
            field=models.CharField(
                blank=True,
                choices=[
                    ("event", "发生了行为"),
                    ("row", "资料或标签有变化"),
                    ("time", "时间到了"),
                    ("new", "新来的客户"),
                    ("first", "首次划分"),
                    ("rules", "阶段修改后重新划分"),
                ],
                db_default="",
                default="",
                max_length=8,
            ),
        ),
        follow_stages(),
        # Only moves are told to the log. Segments that ask for stages look at whoever was placed, or is in none now.
        touch_triggers(
            "tagging_lifecyclespell",
            "stage",
            columns=("brand_id", "contact_id", "stage", "until"),
            events=("INSERT", "UPDATE"),
        ),
    ]
