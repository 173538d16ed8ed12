"""When a contact last did something themselves: a reactor keeps Contact.last_active_at."""

from contacts.sets import as_json, execute
from events.reactors import Batch, Reactor

BY_THE_CONTACT = frozenset(
    {
        *("page_view", "product_view", "search", "add_cart", "order_created", "order_paid", "share", "sign_in", "draw"),
        *("friend_added", "group_joined", "moment_liked", "moment_commented"),
    }
)
"""Types of the catalogue that are the customer's own act; a brand's own types (x_…) count too."""


def note(batch: Batch) -> None:
    """Move last_active_at forward, never back, in one statement. Scoped."""
    latest = {row.contact_id: row.occurred_at for row in batch.rows if _is_own_act(row.type)}  # in order of occurred_at
    if latest:
        execute(
            """UPDATE contacts_contact c SET last_active_at = r.moment
               FROM json_to_recordset(%(rows)s) AS r (id bigint, moment timestamptz)
               WHERE c.brand_id = %(brand)s AND c.id = r.id
                 AND (c.last_active_at IS NULL OR c.last_active_at < r.moment)""",
            brand=batch.brand_id,
            rows=as_json({"id": contact, "moment": moment} for contact, moment in latest.items()),
        )


def _is_own_act(type_: str) -> bool:
    return type_ in BY_THE_CONTACT or type_.startswith("x_")


REACTOR = Reactor("contacts.activity", None, note)
