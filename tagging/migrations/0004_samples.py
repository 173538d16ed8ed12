"""A fixed 64th (and 16th) of the contacts, and of what is written of them, has its own indexes: estimates read these.

They are a hundredth part of their table in size. Made in one go they hold up writers for about ten seconds per twenty
million events; a large installation makes them beforehand with CREATE INDEX CONCURRENTLY on each partition."""

from django.db import migrations

INDEXES = (
    ("contact", "contacts_contact", "id", "(brand_id, id)"),
    ("tag", "tagging_contacttag", "contact_id", "(brand_id, tag_id, contact_id) INCLUDE (expires_at)"),
    ("event", "events_event", "contact_id", "(brand_id, type, occurred_at, contact_id)"),
)
MASKS = (63, 15)


class Migration(migrations.Migration):
    dependencies = [
        ("tagging", "0003_memberships"),
        ("contacts", "0003_merging"),
        ("events", "0002_partitions"),
    ]

    operations = [
        migrations.RunSQL(
            f"CREATE INDEX IF NOT EXISTS sampled_{name}_{mask} ON {table} {columns}"
            f" WHERE (hashint8({key}) & {mask}) = 0",
            f"DROP INDEX sampled_{name}_{mask}",
        )
        for name, table, key, columns in INDEXES
        for mask in MASKS
    ]
