"""What the log tells of contacts that may change their tier: an upgrade comes at once."""

from commerce import orders
from events.reactors import Batch, Reactor
from points.models import TierRules
from points.tiers import keeping

ORDERS = frozenset({"order_created", "order_paid"})
POINTS = frozenset({"points_earned"})
PEOPLE = frozenset({"contact_merged", "contact_split"})


def types() -> frozenset[str]:
    """What counts for the brand's metric. Scoped. Refunds and reversals wait for the end of the spell."""
    metric = TierRules.objects.values_list("metric", flat=True).first()
    if metric is None:
        return frozenset()
    return PEOPLE | (POINTS if metric == TierRules.Metric.GROWTH_VALUE else ORDERS)


def handle(batch: Batch) -> None:
    """Look at the contacts of the batch. Scoped; seeing an event again changes nothing."""
    # The orders' own reactor may be behind; whichever comes first notes the report, the other finds it there.
    orders.note(Batch(batch.brand_id, [row for row in batch.rows if row.type in ORDERS], batch.at))
    who = {row.contact_id for row in batch.rows}
    who |= {row.props["other_id"] for row in batch.rows if row.type in PEOPLE and "other_id" in row.props}
    keeping.look(who, at=max([batch.at, *(row.received_at for row in batch.rows)]))


REACTOR = Reactor("points.tiers", types, handle, silent=True)
