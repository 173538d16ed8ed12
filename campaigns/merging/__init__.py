"""How outreach follows a merge of contacts: deliveries with what they reserve, and SOPs."""

from campaigns.budget import ledger
from campaigns.merging.deliveries import RESERVATIONS, Deliveries
from campaigns.merging.enrolments import Enrolments
from contacts.merging import register, wait_for


def register_own() -> None:
    """Called when the app starts."""
    wait_for(ledger.lock)
    register(Deliveries(), tables=["campaigns_delivery"])
    register(RESERVATIONS, tables=["campaigns_reservation"])
    register(Enrolments(), tables=["campaigns_enrolment"])
