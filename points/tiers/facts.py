"""What is known of contacts that counts for their tiers, dated twice: for when it counts, and when it became known.

* Growth value: points that rules and the brand's systems gave (`earn`, `grant`), less those of them that were taken
  back by a reversal. Not the balance: spending and expiry change nothing, nor do corrections by hand and merges.
* Net spend, number of orders: paid orders by the moment of payment, as their reports add up (commerce.orders). A
  refund or a cancellation lowers the amount of that day, from when it became known."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any
from uuid import UUID

from contacts import gone
from contacts.sets import as_array, execute
from points.models import TierRules
from points.tiers.course import Fact

Metric = TierRules.Metric
EARNED = ("earn", "grant")
_ASKED = "unnest(%(ids)s::bigint[], %(starts)s::timestamptz[]) AS u (id, start)"
# Every step is a LATERAL by a full key, kept apart by OFFSET 0: rows just written have no statistics, and joined
# freely the planner reads the brand's whole ledger for a few contacts (decision 0010).
# Ledger entries stay with the account of a contact that was merged, so its aliases' accounts are read too.
_ACCOUNTS = """
    CROSS JOIN LATERAL (SELECT u.id AS who UNION ALL
                        SELECT x.id FROM contacts_contact x
                        WHERE x.brand_id = %(brand)s AND x.merged_into_id = u.id) k
    CROSS JOIN LATERAL (SELECT a.id FROM points_pointsaccount a
                        WHERE a.brand_id = %(brand)s AND a.contact_id = k.who OFFSET 0) a
    CROSS JOIN LATERAL (SELECT n.transfer_id, n.amount FROM points_pointsentry n
                        WHERE n.brand_id = %(brand)s AND n.account_id = a.id AND n.posted_at >= u.start OFFSET 0) n
"""
_GROWTH = f"""
    SELECT u.id, t.posted_at, coalesce(o.occurred_at, t.occurred_at), n.amount
    FROM {_ASKED} {_ACCOUNTS}
    CROSS JOIN LATERAL (SELECT t.posted_at, t.occurred_at, t.reason, t.reverses_id FROM points_transfer t
                        WHERE t.brand_id = %(brand)s AND t.id = n.transfer_id OFFSET 0) t
    LEFT JOIN LATERAL (SELECT o.occurred_at, o.reason FROM points_transfer o
                       WHERE o.brand_id = %(brand)s AND o.id = t.reverses_id OFFSET 0) o ON TRUE
    WHERE (n.amount > 0 AND t.reason = ANY (%(earned)s) OR n.amount < 0 AND o.reason = ANY (%(earned)s))
"""  # noqa: S608
# Orders of which a payment counts: the others cannot matter, whatever is said of them.
_ORDERS = f"""
    FROM {_ASKED}
    CROSS JOIN LATERAL (SELECT o.id FROM commerce_order o WHERE o.brand_id = %(brand)s AND o.contact_id = u.id
                        AND u.start <= (SELECT max(p.at) FROM commerce_orderreport p WHERE p.brand_id = %(brand)s
                                        AND p.order_id = o.id AND p.kind = 'paid') OFFSET 0) o
    CROSS JOIN LATERAL (SELECT * FROM commerce_orderreport r
                        WHERE r.brand_id = %(brand)s AND r.order_id = o.id OFFSET 0) r
"""  # noqa: S608
_REPORTS = f"""
    SELECT u.id, r.order_id, r.event_id, r.kind, r.at, r.amount_fen, coalesce(e.received_at, r.at),
           coalesce(e.fires, FALSE)
    {_ORDERS}
    LEFT JOIN LATERAL (SELECT e.received_at, e.fires FROM events_event e
                       WHERE e.brand_id = %(brand)s AND e.occurred_at = r.at AND e.id = r.event_id OFFSET 0) e ON TRUE
"""  # noqa: S608
# What may have been reached at most: nothing that lowers an amount is looked at, so nobody is left out.
_MOST = {
    Metric.GROWTH_VALUE: f"SELECT u.id, sum(n.amount)::bigint FROM {_ASKED} {_ACCOUNTS}"  # noqa: S608
    " WHERE n.amount > 0 GROUP BY u.id",
    Metric.NET_SPEND: f"SELECT u.id, sum(greatest(r.amount_fen, 0))::bigint {_ORDERS}"
    " WHERE r.kind IN ('paid', 'created') GROUP BY u.id",
    Metric.ORDER_COUNT: f"SELECT u.id, count(DISTINCT o.id) {_ORDERS} GROUP BY u.id",
}


def most(metric: str, *, brand_id: int, starts: Mapping[int, datetime]) -> dict[int, int]:
    """An amount that each contact cannot have been above since its start; contacts with nothing are missing. Scoped."""
    with gone.shown():
        return {who: int(n) for who, n in _ask(_MOST[Metric(metric)], brand_id, starts)}


def of(metric: str, *, brand_id: int, starts: Mapping[int, datetime]) -> dict[int, list[Fact]]:
    """What counts from each contact's start on, and whatever lowered it. Scoped."""
    found: dict[int, list[Fact]] = defaultdict(list)
    if metric == Metric.GROWTH_VALUE:
        with gone.shown():
            rows = _ask(_GROWTH, brand_id, starts, earned=list(EARNED))
        for who, known, counted, amount in rows:
            found[who].append(Fact(known, min(counted, known), amount))
        return found
    reports = sorted(
        (Report(*row) for row in _ask(_REPORTS, brand_id, starts)), key=attrgetter("contact", "order", "known")
    )
    for (who, _order), some in groupby(reports, key=attrgetter("contact", "order")):
        found[who] += _of_order(list(some), count=metric == Metric.ORDER_COUNT)
    return found


@dataclass(frozen=True, slots=True)
class Report:
    """What was reported of an order, and when that became known."""

    contact: int
    order: UUID
    event: UUID
    kind: str
    at: datetime
    amount: int | None
    known: datetime
    fires: bool


def _of_order(reports: Sequence[Report], *, count: bool) -> Iterator[Fact]:
    """What each report changed of what the order counts for, and when."""
    counted, worth = reports[0].known, 0
    for known, some in groupby(reports, key=attrgetter("known")):
        fires = any(each.fires for each in some)
        day, value = _worth([each for each in reports if each.known <= known], count=count)
        day = min(day or known, known)
        if (day, value) != (counted, worth):
            changed = ((counted, -worth), (day, value))
            yield from (Fact(known, moment, by, fires) for moment, by in changed if by)
        counted, worth = day, value


def _worth(reports: Sequence[Report], *, count: bool) -> tuple[datetime | None, int]:
    """(when it was paid, what it counts for), of these reports: the same sums as commerce.orders makes."""
    paid = [each for each in reports if each.kind == "paid"]
    if not paid or any(each.kind == "cancelled" for each in reports):
        return None, 0
    said = (_amount(paid), _amount([each for each in reports if each.kind == "created"]), 0)
    amount = next(each for each in said if each is not None)
    back = sum(each.amount or 0 for each in reports if each.kind == "refunded")
    when = min(each.at for each in paid)
    if count:
        most = max((each.amount or 0 for each in paid), default=0)
        is_returned = any(each.kind == "refunded" for each in reports) and back >= most
        return when, 0 if is_returned else 1
    return when, max(0, amount - back)


def _amount(reports: Sequence[Report]) -> int | None:
    """Of the latest report that says one; of several at one moment, the first event's."""
    said = [each for each in reports if each.amount is not None]
    latest = max((each.at for each in said), default=None)
    return min((each for each in said if each.at == latest), key=attrgetter("event")).amount if said else None


def _ask(sql: str, brand_id: int, starts: Mapping[int, datetime], **more: Any) -> list[tuple[Any, ...]]:
    return execute(sql, brand=brand_id, ids=as_array(starts), starts=list(starts.values()), **more)
