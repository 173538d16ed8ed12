"""Transfers are append-only; an erasure may take from a person's transfers what people wrote on them."""

from django.db import migrations

FUNCTION = """
CREATE FUNCTION forget_transfer_notes(contacts bigint[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    changed bigint;
BEGIN
    -- Keys that callers chose may say anything; those of our own making name transfers and rules.
    UPDATE points_transfer t
    SET note = '', reference = '',
        key = CASE WHEN split_part(t.key, ':', 1) IN ('grant', 'spend')
                   THEN concat(split_part(t.key, ':', 1), ':erased:', t.id) ELSE t.key END
    WHERE t.brand_id = current_setting('orchard.brand_id')::bigint AND t.id IN (
        SELECT e.transfer_id FROM points_pointsentry e
        JOIN points_pointsaccount a ON a.brand_id = e.brand_id AND a.id = e.account_id
        WHERE e.brand_id = current_setting('orchard.brand_id')::bigint AND a.contact_id = ANY (contacts));
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END
$$;
REVOKE ALL ON FUNCTION forget_transfer_notes(bigint[]) FROM PUBLIC;
"""


class Migration(migrations.Migration):
    dependencies = [("points", "0003_member_tiers")]

    operations = [migrations.RunSQL(FUNCTION, "DROP FUNCTION forget_transfer_notes(bigint[])")]
