"""The audit trail is append-only; an erasure may take values out, found by what they say or what the act was on."""

from django.db import migrations

FUNCTION = """
CREATE FUNCTION forget_in_audit(pattern text, objects text[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    changed bigint;
BEGIN
    UPDATE tenants_auditentry a SET before = NULL, after = '{"erased": true}'
    WHERE a.brand_id = current_setting('orchard.brand_id')::bigint
      AND (concat(a.object_type, ':', a.object_id) = ANY (objects)
           OR coalesce(a.before::text, '') || coalesce(a.after::text, '') ~ pattern);
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END
$$;
REVOKE ALL ON FUNCTION forget_in_audit(text, text[]) FROM PUBLIC;
"""


class Migration(migrations.Migration):
    dependencies = [("tenants", "0004_redact_audit")]

    operations = [
        migrations.RunSQL(FUNCTION, "DROP FUNCTION forget_in_audit(text, text[])"),
        migrations.RunSQL("DROP FUNCTION redact_audit(text[])", migrations.RunSQL.noop),
    ]
