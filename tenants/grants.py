"""What the runtime role may do: SELECT, INSERT, UPDATE, DELETE; on append-only books the first two only."""

from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import connections

# DDL that the product needs at run time: functions that run as the owner.
OWNER_FUNCTIONS = (
    "drop_oldest_event_partition(integer)",
    "ensure_event_partition(timestamptz)",
    "forget_in_audit(text,text[])",
    "forget_transfer_notes(bigint[])",
    "refresh_statistics(text[])",
)

_GRANTABLE = """
    SELECT relname FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
"""


def grant_runtime_role(*, using: str, **_signal: Any) -> None:
    """After each migrate: exact grants, table by table. Default privileges would open every future partition too."""
    role = settings.DATABASES["default"]["USER"]
    append_only = {model._meta.db_table for model in apps.get_models() if getattr(model, "append_only", False)}
    with connections[using].cursor() as cursor:
        quoted = connections[using].ops.quote_name(role)
        cursor.execute("SELECT current_user = %s", [role])
        if cursor.fetchone()[0]:
            return  # migrating as the runtime role: it can't grant itself anything
        cursor.execute(f"GRANT USAGE ON SCHEMA public TO {quoted}")
        cursor.execute(_GRANTABLE)
        for (table,) in cursor.fetchall():
            cursor.execute(f"REVOKE ALL ON {table} FROM {quoted}")
            cursor.execute(f"GRANT {_rights(table, append_only)} ON {table} TO {quoted}")
        for function in OWNER_FUNCTIONS:
            cursor.execute("SELECT to_regprocedure(%s)", [function])
            if cursor.fetchone()[0]:
                cursor.execute(f"GRANT EXECUTE ON FUNCTION {function} TO {quoted}")


def _rights(table: str, append_only: set[str]) -> str:
    if table == "django_migrations":
        return "SELECT"  # /readyz and `makemigrations --check` read it
    return "SELECT, INSERT" if table in append_only else "SELECT, INSERT, UPDATE, DELETE"
