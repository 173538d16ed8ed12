"""What outreach forgets of a person: whom it wrote to. That something was sent, and what it cost, stays."""

from contacts.personal_data import erasure
from contacts.personal_data.erasure import Person
from contacts.sets import touched


def forget(person: Person) -> int:
    """Sent deliveries lose the external_userid; what is not sent yet is not sent; SOPs forget the person."""
    rows = touched(
        """UPDATE campaigns_delivery SET external_userid = '',
             status = CASE WHEN status = 'planned' THEN 'cancelled' ELSE status END,
             reason = CASE WHEN status = 'planned' THEN 'contact_gone' ELSE reason END, updated_at = %(at)s
           WHERE brand_id = %(brand)s AND contact_id = ANY (%(ids)s)""",
        brand=person.brand,
        ids=person.ids,
        at=person.at,
    )
    rows += touched(
        """UPDATE campaigns_reservation SET status = 'voided', settled_at = %(at)s
           WHERE brand_id = %(brand)s AND contact_id = ANY (%(ids)s) AND status = 'reserved'""",
        brand=person.brand,
        ids=person.ids,
        at=person.at,
    )
    for table in ("campaigns_soptouch", "campaigns_enrolment"):
        rows += touched(
            f"DELETE FROM {table} WHERE brand_id = %(brand)s AND contact_id = ANY (%(ids)s)",  # noqa: S608
            brand=person.brand,
            ids=person.ids,
        )
    return rows


def register_own() -> None:
    """Called when the app starts."""
    tables = ("campaigns_delivery", "campaigns_reservation", "campaigns_soptouch", "campaigns_enrolment")
    erasure.register("campaigns", forget, tables=tables)
