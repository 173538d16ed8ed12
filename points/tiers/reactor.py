"""What the log tells of contacts that may change their tier: an upgrade comes at once."""

from commerce import orders
from events.reactors import Batch, Reactor
from points.models import TierRules
from points.tiers import keeping

ORDERS = frozenset(orders.TYPES)
POINTS = frozenset({"points_earned"})
PEOPLE = frozenset({"contact_merged", "contact_split"})


def types() -> frozenset[str]:
    """What counts for the brand's metric. Scoped. Of points, what lowers it is found in the ledger when it matters."""
    metric = TierRules.objects.values_list("metric", flat=True).first()
    if metric is None:
        return frozenset()
    return PEOPLE | (POINTS if metric == TierRules.Metric.GROWTH_VALUE else ORDERS)


def handle(batch: Batch) -> None:
    """Look at the contacts of the batch. Scoped; seeing an event again changes nothing."""
    # The orders' own reactor may be behind; whichever comes first notes the report, the other finds it there.
    orders.note(Batch(batch.brand_id, [row for row in batch.rows if row.type in ORDERS], batch.at))
    at = max([batch.at, *(row.received_at for row in batch.rows)])
    parted = {row.contact_id: row.occurred_at for row in batch.rows if row.type == "contact_split"}
    parted |= {row.props["other_id"]: row.occurred_at for row in batch.rows if row.type == "contact_split"}
    # What each of two had reached while they were one is lived through again, and told after the split.
    for moment in sorted(set(parted.values())):
        keeping.look([who for who, when in parted.items() if when == moment], at=at, told_from=moment)
    keeping.look({row.contact_id for row in batch.rows} - parted.keys(), at=at)


REACTOR = Reactor("points.tiers", types, handle, silent=True)
