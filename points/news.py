"""What the log is told of movements, in the transaction that posted them."""

from collections.abc import Sequence
from datetime import datetime

from events import log
from events.log import NewEvent
from scrm.lib.ids import made_id


def tell(posted: Sequence[tuple[object, int, int, int]], *, reason: str, at: datetime) -> None:
    """Write points_earned or points_spent for each (transfer, contact, signed points, balance after). Scoped.

    Their ids are made from the transfers, which are posted once, so a movement is told once."""
    news = [
        NewEvent(
            type="points_earned" if points > 0 else "points_spent",
            occurred_at=at,
            id=made_id(transfer, "event"),
            contact_id=contact,
            props={"points": abs(points), "balance": balance, "reason": reason},
        )
        for transfer, contact, points, balance in posted
    ]
    if news:
        log.write(news, at=at)
