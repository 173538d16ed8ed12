"""What the ledger forgets of a person: what people wrote on their transfers. The books themselves name nobody.

An account belongs to a contact's number, whose row is empty and hidden after the erasure: the books stay whole and
anonymous, with amounts, moments and reasons. Notes, references and keys that callers chose go."""

from contacts import erasure, traces
from contacts.erasure import Person
from contacts.sets import execute
from points.models import PointsEntry


def forget(person: Person) -> int:
    """Speak for the accounts, so that they stay, and clear their transfers and what the trail says of these."""
    entries = PointsEntry.objects.filter(account__contact__in=person.ids)
    objects = [f"transfer:{each}" for each in entries.values_list("transfer_id", flat=True)]
    cleared = execute("SELECT forget_transfer_notes(%(ids)s::bigint[])", ids=person.ids)[0][0]
    return int(cleared) + traces.in_audit(objects=objects)


def register_own() -> None:
    """Called when the app starts."""
    erasure.register("points", forget, tables=("points_pointsaccount",))
