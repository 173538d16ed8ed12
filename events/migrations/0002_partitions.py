"""Partitions are made by a function of the owner, which the runtime role may call but not write itself."""

from django.db import migrations

FUNCTION = """
CREATE FUNCTION ensure_event_partition(moment timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    first timestamptz := date_trunc('month', moment AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
    next timestamptz := (date_trunc('month', moment AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC';
    name text := 'events_event_' || to_char(moment AT TIME ZONE 'UTC', 'YYYYMM');
BEGIN
    IF moment NOT BETWEEN now() - interval '10 years' AND now() + interval '1 year' THEN
        RAISE EXCEPTION 'no partition for %', moment;
    END IF;
    -- The runtime role gets no right on the partition: read by its own name it would ignore the parent's policy.
    EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF events_event FOR VALUES FROM (%L) TO (%L)', name, first, next);
    RETURN name;
END
$$;
REVOKE ALL ON FUNCTION ensure_event_partition(timestamptz) FROM PUBLIC;
INSERT INTO events_logera (id, era) VALUES (1, 0);
SELECT ensure_event_partition(now() + make_interval(months => ahead)) FROM generate_series(-2, 3) AS ahead;
"""


class Migration(migrations.Migration):
    dependencies = [("events", "0001_initial")]

    operations = [migrations.RunSQL(FUNCTION, "DROP FUNCTION ensure_event_partition(timestamptz); DELETE FROM events_logera")]
