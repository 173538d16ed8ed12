"""What pg_catalog says of every table, whether or not a model knows it."""

import pytest
from django.conf import settings
from django.db import connection

from tenants.tables import GLOBAL_TABLES

WRONG = """
WITH t AS (SELECT c.*, a.attnum AS brand FROM pg_class c
           LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'brand_id' AND NOT a.attisdropped
           WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p'))
SELECT relname::text, 'no forced policy' FROM t
    WHERE brand IS NOT NULL AND NOT relispartition AND NOT relname = ANY (%(global)s)
    AND NOT (relrowsecurity AND relforcerowsecurity AND EXISTS (SELECT FROM pg_policy WHERE polrelid = t.oid))
UNION ALL SELECT relname, 'partition open to the runtime role' FROM t
    WHERE relispartition AND has_table_privilege(%(role)s, oid, 'SELECT')
UNION ALL SELECT relname, 'can be truncated' FROM t WHERE has_table_privilege(%(role)s, oid, 'TRUNCATE')
UNION ALL SELECT relname, 'owned by the runtime role' FROM t WHERE pg_get_userbyid(relowner) = %(role)s
UNION ALL SELECT i.indexrelid::regclass::text, 'index does not begin with brand_id'
    FROM t JOIN pg_index i ON i.indrelid = t.oid
    WHERE brand IS NOT NULL AND i.indkey[0] <> brand AND NOT relname = ANY (%(global)s)
UNION ALL SELECT conname, 'foreign key does not begin with brand_id'
    FROM t JOIN pg_constraint k ON k.conrelid = t.oid AND k.contype = 'f'
    JOIN pg_class target ON target.oid = k.confrelid
    WHERE brand IS NOT NULL AND NOT t.relname = ANY (%(global)s) AND NOT target.relname = ANY (%(global)s)
    AND k.conkey[1] <> brand
UNION ALL SELECT relname, 'neither tenant nor listed as global' FROM t
    WHERE brand IS NULL AND NOT relname = ANY (%(global)s)
UNION ALL SELECT relname, 'an append-only book that can be changed' FROM t
    WHERE relname = ANY (%(books)s)
    AND (has_table_privilege(%(role)s, oid, 'UPDATE') OR has_table_privilege(%(role)s, oid, 'DELETE'))
"""
BOOKS = ["points_transfer", "points_pointsentry", "points_lotuse", "tenants_auditentry"]


def test_every_table_is_a_tenant_table_or_listed_as_global(db):
    role = settings.DATABASES["default"]["USER"]
    with connection.cursor() as cursor:
        cursor.execute(WRONG, {"role": role, "global": list(GLOBAL_TABLES), "books": BOOKS})
        assert cursor.fetchall() == []


def test_the_suite_runs_as_a_role_that_the_policies_bind(db):
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper, rolbypassrls, rolcreatedb FROM pg_roles WHERE rolname = current_user")
        assert cursor.fetchone() == (False, False, False)


@pytest.mark.parametrize("table", ["contacts_contact", "events_event", "points_transfer", "campaigns_delivery"])
def test_a_partition_or_table_read_without_a_scope_raises(db, table):
    from django.db import Error, transaction

    with pytest.raises(Error), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SELECT 1 FROM {table} LIMIT 1")
