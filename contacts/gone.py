"""Contacts who are nobody of their own any more (merged into another, or erased) and how to see their rows.

A restrictive row policy on contacts_contact hides them: no segment, count, plan or list has to ask. Their rows stay,
because deliveries, ledgers and journals point at them, and because a merge can be split."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from django.db import connection

from contacts.sets import as_array, execute

MAX_ID = 2**63 - 1
"""the largest number a row can have; a larger one that somebody sends is nobody's"""


@contextmanager
def shown() -> Iterator[None]:
    """In the block, contacts_contact has its hidden rows too. Scoped. For merging, splitting and erasing only."""
    execute("SET LOCAL orchard.gone = 'shown'")
    yield
    if not connection.needs_rollback:  # an aborted transaction forgets the setting by itself
        execute("SET LOCAL orchard.gone = ''")


def keep(contact_ids: Collection[int]) -> None:
    """None of these is merged or split until the transaction ends. Scoped.

    For whoever writes rows of several contacts under a unique key: a foreign key holds a contact only after its row is
    written, and by then a merge may hold the contact and wait for the row."""
    execute(
        """SELECT FROM contacts_contact c
           WHERE c.brand_id = current_setting('orchard.brand_id')::bigint AND c.id = ANY (%(ids)s::bigint[])
           ORDER BY c.id FOR KEY SHARE""",
        ids=as_array(sorted(set(contact_ids))),
    )


def current(contact_ids: Collection[int]) -> dict[int, int]:
    """For each of the numbers that is or was a contact, the contact it means today. Scoped; one query.

    Numbers of erased people and of nobody are missing."""
    contact_ids = [number for number in contact_ids if 0 < number <= MAX_ID]
    if not contact_ids:
        return {}
    with shown():
        found = execute(
            """SELECT id, coalesce(merged_into_id, id) FROM contacts_contact c
               WHERE c.brand_id = current_setting('orchard.brand_id')::bigint AND c.id = ANY (%(ids)s::bigint[])
                 AND (c.gone_at IS NULL OR c.merged_into_id IS NOT NULL)""",
            ids=as_array(contact_ids),
        )
    return dict(found)
