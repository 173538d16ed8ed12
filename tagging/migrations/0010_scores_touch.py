"""Interest scores touch their contacts: a reckoning anew tells no event, and dynamic segments ask for scores."""

from django.db import migrations

from tagging.touch_triggers import touch_triggers


class Migration(migrations.Migration):
    dependencies = [("tagging", "0009_contacts_of_tag_covers")]

    operations = [
        touch_triggers(
            "tagging_interestscore",
            "interest",
            columns=("brand_id", "contact_id", "kind", "key", "score", "as_of"),
        ),
    ]
