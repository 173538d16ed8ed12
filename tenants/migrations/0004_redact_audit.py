"""The audit trail is append-only for the runtime role; erasing a person's data is the one change it may ask for.

The policy binds the owner too, so the function reaches the rows of the scope's brand only."""

from django.db import migrations

FUNCTION = """
CREATE FUNCTION redact_audit(words text[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    changed bigint;
BEGIN
    UPDATE tenants_auditentry a SET before = NULL, after = '{"erased": true}'
    WHERE a.brand_id = current_setting('orchard.brand_id')::bigint
      AND EXISTS (SELECT FROM unnest(words) AS word
                  WHERE length(word) > 3
                    AND strpos(coalesce(a.before::text, '') || coalesce(a.after::text, ''), word) > 0);
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END
$$;
REVOKE ALL ON FUNCTION redact_audit(text[]) FROM PUBLIC;
"""


class Migration(migrations.Migration):
    dependencies = [("tenants", "0003_refresh_statistics")]

    operations = [migrations.RunSQL(FUNCTION, "DROP FUNCTION redact_audit(text[])")]
