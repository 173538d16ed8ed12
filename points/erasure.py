"""What the ledger forgets of a person: nothing, since its accounts name nobody. Notes written by people do.

An account belongs to a contact's number, whose row is empty and hidden after the erasure: the books stay whole and
anonymous. Notes are free text in an append-only table, so the console asks not to write names there."""

from contacts import erasure
from contacts.erasure import Person


def forget(_person: Person) -> int:
    """Speak for the accounts, so that they stay."""
    return 0


def register_own() -> None:
    """Called when the app starts."""
    erasure.register("points", forget, tables=("points_pointsaccount",))
