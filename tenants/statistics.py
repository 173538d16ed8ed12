"""The planner's statistics, refreshed after much was written at once: autovacuum comes a minute too late for a push
that is planned right after a brand's first sync, and plans it a hundred times slower."""

from collections.abc import Sequence

from django.db import connection, models


def refresh(tables: Sequence[type[models.Model]]) -> None:
    """Take fresh statistics of these tenant tables, of all brands. Seconds on large tables; call it outside a scope."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT refresh_statistics(%s)", [[model._meta.db_table for model in tables]])
