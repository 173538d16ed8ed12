"""Fresh statistics are the owner's to take; the runtime role may ask for them after it has written much at once."""

from django.db import migrations

FUNCTION = """
CREATE FUNCTION refresh_statistics(names text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY names LOOP
        IF NOT EXISTS (SELECT FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
                       WHERE c.relnamespace = 'public'::regnamespace AND c.relname = name AND a.attname = 'brand_id') THEN
            RAISE EXCEPTION 'no tenant table %', name;
        END IF;
        EXECUTE format('ANALYZE %I', name);
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION refresh_statistics(text[]) FROM PUBLIC;
"""


class Migration(migrations.Migration):
    dependencies = [("tenants", "0002_made_id")]

    operations = [migrations.RunSQL(FUNCTION, "DROP FUNCTION refresh_statistics(text[])")]
