"""Old months go by a function of the owner: the runtime role may ask for it, and can't reach a month that is young."""

from django.db import migrations

FUNCTION = """
CREATE FUNCTION drop_oldest_event_partition(months integer) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    first text := 'events_event_' || to_char(now() AT TIME ZONE 'UTC' - make_interval(months => months), 'YYYYMM');
    name text;
BEGIN
    -- A slip of the number must not cost a year that somebody meant to keep.
    IF months < 12 THEN
        RAISE EXCEPTION 'the log keeps at least 12 months, not %', months;
    END IF;
    SELECT min(c.relname) INTO name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'events_event'::regclass AND c.relname ~ '^events_event_[0-9]{6}$' AND c.relname < first;
    IF name IS NOT NULL THEN
        EXECUTE format('DROP TABLE %I', name);
    END IF;
    RETURN name;
END
$$;
REVOKE ALL ON FUNCTION drop_oldest_event_partition(integer) FROM PUBLIC;
"""


class Migration(migrations.Migration):
    dependencies = [("events", "0003_catalogue_imports_parked")]

    operations = [migrations.RunSQL(FUNCTION, "DROP FUNCTION drop_oldest_event_partition(integer)")]
