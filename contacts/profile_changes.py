"""What changed in contacts' profiles, told to the log: one `profile_changed` event per field, with old and new value.

Whoever changes rows of contacts_contact does it inside `noted(…)`: what the rows said before travels to the end of
the block as one JSON text, and one INSERT … SELECT compares. So a condition on a profile can be asked of a past
moment: from now back, each event undoes its change. A contact's first values are no change."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime

from contacts.sets import execute
from events import log

FIELDS = (
    "name",
    "avatar",
    "gender",
    "kind",
    "phone",
    "main_guide_id",
    "source_state",
    "first_added_at",
    "lost_at",
)
"""Columns of contacts_contact that are noted; last_active_at follows from the log itself."""

_COLUMNS = ", ".join(f"'{field}', c.{field}" for field in FIELDS)
SNAPSHOT = f"""
SELECT coalesce(jsonb_agg(jsonb_build_object('id', c.id, {_COLUMNS})), '[]')::text
FROM contacts_contact c
WHERE c.brand_id = current_setting('orchard.brand_id')::bigint AND c.id = ANY (%(ids)s::bigint[])
"""  # noqa: S608 - our own column names

# A whole phone number stays out of the log: that it was set, changed or removed is what conditions ask about.
_SHOWN = """CASE WHEN field.name <> 'phone' OR length({0} #>> '{{}}') < 8 THEN {0}
            ELSE to_jsonb(left({0} #>> '{{}}', 3) || '****' || right({0} #>> '{{}}', 4)) END"""

CHANGES = f"""
SELECT made_id(concat_ws(':', c.brand_id, 'profile_changed', c.id, field.name, %s, field.new)) AS id,
       %s::timestamptz AS occurred_at, 'profile_changed' AS type, c.id AS contact_id,
       jsonb_build_object('field', field.name, 'old', {_SHOWN.format("field.old")},
                          'new', {_SHOWN.format("field.new")}) AS props
FROM jsonb_array_elements(%s::jsonb) AS was (row)
CROSS JOIN LATERAL (SELECT (was.row ->> 'id')::bigint AS id) AS one
JOIN contacts_contact c ON c.brand_id = current_setting('orchard.brand_id')::bigint AND c.id = one.id
CROSS JOIN LATERAL (SELECT jsonb_build_object({_COLUMNS}) AS row) AS now
CROSS JOIN LATERAL (SELECT name, was.row -> name AS old, now.row -> name AS new FROM unnest(%s::text[]) AS name) field
WHERE was.row - 'id' IS DISTINCT FROM now.row AND field.old IS DISTINCT FROM field.new
"""  # noqa: S608


@contextmanager
def noted(contact_ids: Collection[int], *, at: datetime) -> Iterator[None]:
    """Tell the log what the block changes in these contacts' profiles, as of `at`. Scoped; two statements.

    Props: `field` (see FIELDS), `old` and `new` as JSON values (a number, a text, null); phones masked."""
    before = _snapshot(contact_ids) if contact_ids else ""
    yield
    if before:
        moment = at.isoformat()
        log.write_select(select=CHANGES, params=[moment, at, before, list(FIELDS)], at=at)


def _snapshot(contact_ids: Collection[int]) -> str:
    text = str(execute(SNAPSHOT, ids=sorted(contact_ids))[0][0])
    return "" if text == "[]" else text
