"""Empties the test database between transactional tests: TRUNCATE is the owner's right, not the runtime role's."""

from contextlib import closing
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

# Reference rows that migrations wrote.
KEPT = ("django_migrations", "django_content_type", "auth_permission", "events_logera")

TABLES = """
    SELECT string_agg(DISTINCT coalesce(pg_partition_root(oid), oid)::regclass::text, ', ') FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND pg_relation_size(oid) > 0
      AND NOT relname = ANY (%s)
"""
"""A table that nobody wrote to since it was emptied has no size; emptying it again costs as much as if it had."""


class Command(BaseCommand):
    help = "Empty every table of a test database, as the owner."
    stealth_options = ("reset_sequences", "allow_cascade", "inhibit_post_migrate")

    def add_arguments(self, parser: CommandParser) -> None:
        """Those of Django's own flush, which the test framework passes."""
        parser.add_argument("--noinput", "--no-input", action="store_false", dest="interactive")
        parser.add_argument("--database", default="default")

    def handle(self, *args: Any, **options: Any) -> None:
        """Refuses a database whose name does not begin with test_."""
        owner = connections["owner"]
        name = owner.settings_dict["NAME"]
        if not name.startswith("test_"):
            raise CommandError(f"flush empties test databases only; {name} is none.")
        # A connection of its own: tests may not use the owner's, and this runs between them.
        with (
            closing(owner.get_new_connection(owner.get_connection_params())) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(TABLES, [list(KEPT)])
            (written,) = cursor.fetchone()
            if written:
                cursor.execute(f"TRUNCATE {written} RESTART IDENTITY CASCADE")
            connection.commit()
