"""What the ledger tells a person, and forgets: what people wrote on their transfers. The books name nobody.

An account belongs to a contact's number, whose row is empty and hidden after the erasure: the books stay whole and
anonymous, with amounts, moments and reasons. Notes, references and keys that callers chose go."""

from typing import Any

from contacts.personal_data import erasure, export, traces
from contacts.personal_data.erasure import Person
from contacts.sets import execute
from points.models import Lot, PointsEntry

MOVEMENT = (
    "amount",
    "balance_after",
    "posted_at",
    "transfer__occurred_at",
    "transfer__reason",
    "transfer__reference",
    "transfer__note",
)


def forget(person: Person) -> int:
    """Speak for the accounts, so that they stay, and clear their transfers and what the trail says of these."""
    entries = PointsEntry.objects.filter(account__contact__in=person.ids)
    objects = [f"transfer:{each}" for each in entries.values_list("transfer_id", flat=True)]
    cleared = execute("SELECT forget_transfer_notes(%(ids)s::bigint[])", ids=person.ids)[0][0]
    return int(cleared) + traces.in_audit(objects=objects)


def movements(contact_ids: list[int]) -> list[dict[str, Any]]:
    """What moved these contacts' points, the first first: amount, balance after, why, on what reference. Scoped."""
    rows = PointsEntry.objects.filter(account__contact__in=contact_ids).order_by("posted_at", "id")
    return [dict(row) for row in rows.values(*MOVEMENT)]


def lots(contact_ids: list[int]) -> list[dict[str, Any]]:
    """What each grant left on these contacts' accounts, and until when. Scoped."""
    rows = Lot.objects.filter(account__contact__in=contact_ids).order_by("earned_at", "id")
    return [dict(row) for row in rows.values("amount", "remaining", "earned_at", "expires_at")]


def register_own() -> None:
    """Called when the app starts."""
    export.register("points_pointsentry", movements)
    export.register("points_lot", lots)
    erasure.register("points", forget, tables=("points_pointsaccount",))
