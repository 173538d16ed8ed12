"""UUIDv5 in SQL, the same as scrm.lib.ids.made_id, for keys that are made inside INSERT … SELECT."""

from django.contrib.postgres.operations import CryptoExtension
from django.db import migrations

FUNCTION = r"""
CREATE FUNCTION made_id(name text) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT encode(set_byte(set_byte(substring(hash FOR 16), 6, (get_byte(hash, 6) & 15) | 80),
                           8, (get_byte(hash, 8) & 63) | 128), 'hex')::uuid
    FROM (SELECT public.digest('\x6f5a2f0e6a355c0b9a550c1b0e0a7d11'::bytea || convert_to(name, 'UTF8'), 'sha1')) AS h (hash)
$$
"""


class Migration(migrations.Migration):
    dependencies = [("tenants", "0001_initial")]

    operations = [CryptoExtension(), migrations.RunSQL(FUNCTION, "DROP FUNCTION made_id")]
