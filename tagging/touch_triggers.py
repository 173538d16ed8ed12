"""Triggers that note whose rows were changed, so that dynamic segments and stages look at these contacts again.

Syncs, merges, bulk tags and sweeps write rows without an event, and an app to the left of tagging cannot call it. A
trigger sees every writer. It works once a statement, on the set of changed rows, and writes nothing for a brand
without a dynamic segment or a lifecycle stage. An update that changes none of the columns that conditions read touches
nobody."""

from collections.abc import Sequence

from django.db.migrations.operations.special import RunSQL

_FUNCTION = """
CREATE FUNCTION tagging_touch_{name}() RETURNS trigger LANGUAGE plpgsql AS $touch$
BEGIN
  -- Row-level security shows the writer's brand only; a superuser's statement may write for several.
  IF NOT EXISTS (SELECT FROM {any}) OR NOT EXISTS (
      SELECT FROM tagging_followed_brands() AS s (brand_id)) THEN
    RETURN NULL;
  END IF;
  INSERT INTO tagging_contacttouch (brand_id, contact_id, source, txid)
  SELECT DISTINCT w.brand_id, w.contact_id, '{source}', pg_current_xact_id()::text::bigint
  FROM ({contacts}) AS w
  WHERE w.contact_id IS NOT NULL AND w.brand_id IN (
      SELECT s.brand_id FROM tagging_followed_brands() AS s (brand_id))
  ON CONFLICT DO NOTHING;
  RETURN NULL;
END
$touch$;
CREATE TRIGGER tagging_touch_{name} AFTER {event} ON {table} REFERENCING {tables}
FOR EACH STATEMENT EXECUTE FUNCTION tagging_touch_{name}();
"""
_SEGMENTS = "SELECT s.brand_id FROM tagging_segment s WHERE s.mode = 'dynamic' AND s.archived_at IS NULL"
_STAGES = "SELECT l.brand_id FROM tagging_lifecyclestage l"
_FOLLOWED = """
CREATE {replace} FUNCTION tagging_followed_brands() RETURNS SETOF bigint LANGUAGE sql STABLE
AS $followed$ {select} $followed$;
"""
# The oldest triggers are made before there are stages: those that are made first bring the question along.
_ENSURE_FOLLOWED = f"""
DO $ensure$ BEGIN
  IF to_regprocedure('tagging_followed_brands()') IS NULL THEN {_FOLLOWED.format(replace="", select=_SEGMENTS)} END IF;
END $ensure$;
"""
# In databases where the triggers are older than the question they ask it in their own words.
_ASK_IT = """
DO $ask$ DECLARE f regprocedure; BEGIN
  FOR f IN SELECT p.oid FROM pg_proc p WHERE p.pronamespace = current_schema()::regnamespace
      AND p.proname LIKE 'tagging\\_touch\\_%' AND p.prosrc LIKE '%tagging_segment s WHERE%' LOOP
    EXECUTE replace(pg_get_functiondef(f),
      'tagging_segment s WHERE s.mode = ''dynamic'' AND s.archived_at IS NULL',
      'tagging_followed_brands() AS s (brand_id)');
  END LOOP;
END $ask$;
"""
_DIFFERENT = (
    "(SELECT {columns} FROM new_rows EXCEPT SELECT {columns} FROM old_rows"
    " UNION (SELECT {columns} FROM old_rows EXCEPT SELECT {columns} FROM new_rows))"
)
_TABLES = {
    "INSERT": ("NEW TABLE AS new_rows", "new_rows", "new_rows"),
    "UPDATE": ("OLD TABLE AS old_rows NEW TABLE AS new_rows", "new_rows", _DIFFERENT),
    "DELETE": ("OLD TABLE AS old_rows", "old_rows", "old_rows"),
}


def touch_triggers(
    table: str,
    source: str,
    *,
    columns: Sequence[str] = ("*",),
    contacts: str = "SELECT r.brand_id, r.contact_id FROM {rows} AS r",
    events: Sequence[str] = ("INSERT", "UPDATE", "DELETE"),
    suffix: str = "",
) -> RunSQL:
    """A migration operation: changed rows of `table` touch their contacts (`source` is of changes.SOURCES).

    `suffix` tells a second set of triggers on the same table from the first.
    `contacts` selects brand_id and contact_id from `{rows}`; `columns` are those that conditions read, among them what
    `contacts` names."""
    forward, backward = [], []
    for event in events:
        tables, any_rows, rows = _TABLES[event]
        name = f"{table}_{event.lower()}{suffix}"
        changed = rows.format(columns=", ".join(columns))
        forward.append(
            _FUNCTION.format(
                name=name,
                any=any_rows,
                source=source,
                contacts=contacts.format(rows=changed),
                event=event,
                table=table,
                tables=tables,
            )
        )
        backward.append(f"DROP TRIGGER tagging_touch_{name} ON {table}; DROP FUNCTION tagging_touch_{name}();")
    return RunSQL(_ENSURE_FOLLOWED + "".join(forward), "".join(backward))


def follow_stages() -> RunSQL:
    """A migration operation: from now on brands with lifecycle stages are followed, too."""
    either = _FOLLOWED.format(replace="OR REPLACE", select=f"{_SEGMENTS} UNION ALL {_STAGES}")
    segments_only = _FOLLOWED.format(replace="OR REPLACE", select=_SEGMENTS)
    return RunSQL(either + _ASK_IT, segments_only)
