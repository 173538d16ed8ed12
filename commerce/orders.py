"""Orders from the log: a reactor notes what was reported of an order and adds it up anew.

Adding up looks at all reports of the order, so late, repeated and reordered events end in the same row. Imported
orders count too: their events fire nothing else, but an order is a fact and not a reaction."""

from dataclasses import dataclass

from django.db.models import Count, Q, Sum

from commerce.models import Order
from contacts.sets import as_json, execute
from events.reactors import Batch, Reactor

TYPES = {
    "order_created": "created",
    "order_paid": "paid",
    "order_refunded": "refunded",
    "order_shipped": "shipped",
    "order_completed": "completed",
    "order_cancelled": "cancelled",
}

_ROWS = """
    json_to_recordset(%(rows)s) AS r (event uuid, no text, contact bigint, kind text, at timestamptz, amount bigint,
                                      category text, product text)
"""
_ORDERS = f"""
    INSERT INTO commerce_order
        (brand_id, id, order_no, contact_id, status, amount_fen, refunded_fen, category, product_id, ordered_at)
    SELECT DISTINCT ON (r.no) %(brand)s, made_id(concat(%(brand)s::text, ':order:', r.no)), r.no, r.contact, 'created',
           0, 0, '', '', r.at
    FROM {_ROWS} ORDER BY r.no, r.at
    ON CONFLICT (brand_id, id) DO NOTHING
"""  # noqa: S608
_REPORTS = f"""
    INSERT INTO commerce_orderreport
        (brand_id, order_id, event_id, contact_id, kind, at, amount_fen, category, product_id)
    SELECT %(brand)s, made_id(concat(%(brand)s::text, ':order:', r.no)), r.event, r.contact, r.kind, r.at, r.amount,
           coalesce(r.category, ''), coalesce(r.product, '')
    FROM {_ROWS}
    ON CONFLICT (brand_id, order_id, event_id) DO NOTHING
    RETURNING order_id
"""  # noqa: S608
_ADDED_UP = """
    UPDATE commerce_order o
    SET status = s.status, amount_fen = s.amount, refunded_fen = s.refunded, category = s.category,
        product_id = s.product, ordered_at = s.ordered_at, paid_at = s.paid_at
    FROM unnest(%(ids)s::uuid[]) AS k (id)
    CROSS JOIN LATERAL (
        SELECT min(r.at) AS ordered_at, min(r.at) FILTER (WHERE r.kind = 'paid') AS paid_at,
               coalesce(
                   (array_agg(r.amount_fen ORDER BY r.at DESC, r.event_id)
                       FILTER (WHERE r.kind = 'paid' AND r.amount_fen IS NOT NULL))[1],
                   (array_agg(r.amount_fen ORDER BY r.at DESC, r.event_id)
                       FILTER (WHERE r.kind = 'created' AND r.amount_fen IS NOT NULL))[1], 0) AS amount,
               coalesce(sum(r.amount_fen) FILTER (WHERE r.kind = 'refunded'), 0) AS refunded,
               coalesce((array_agg(r.category ORDER BY r.at, r.event_id) FILTER (WHERE r.category <> ''))[1], '')
                   AS category,
               coalesce((array_agg(r.product_id ORDER BY r.at, r.event_id) FILTER (WHERE r.product_id <> ''))[1], '')
                   AS product,
               CASE WHEN bool_or(r.kind = 'cancelled') THEN 'cancelled'
                    WHEN bool_or(r.kind = 'refunded')
                         AND coalesce(sum(r.amount_fen) FILTER (WHERE r.kind = 'refunded'), 0)
                             >= coalesce(max(r.amount_fen) FILTER (WHERE r.kind = 'paid'), 0) THEN 'refunded'
                    WHEN bool_or(r.kind = 'completed') THEN 'completed'
                    WHEN bool_or(r.kind = 'shipped') THEN 'shipped'
                    WHEN bool_or(r.kind = 'paid') THEN 'paid'
                    ELSE 'created' END AS status
        FROM commerce_orderreport r WHERE r.brand_id = %(brand)s AND r.order_id = k.id
    ) AS s
    WHERE o.brand_id = %(brand)s AND o.id = k.id
"""


def note(batch: Batch) -> None:
    """Note the batch's reports and add their orders up, in three statements. Scoped."""
    rows = as_json(
        {
            "event": row.id,
            "no": number,
            "contact": row.contact_id,
            "kind": TYPES[row.type],
            "at": row.occurred_at,
            "amount": row.amount_fen,
            "category": row.category,
            "product": row.product_id,
        }
        for row in batch.rows
        if (number := _number(row.props.get("order_no")))
    )
    if rows == "[]":
        return
    execute(_ORDERS, brand=batch.brand_id, rows=rows)
    noted = execute(_REPORTS, brand=batch.brand_id, rows=rows)
    if noted:
        execute(_ADDED_UP, brand=batch.brand_id, ids=sorted({str(order) for (order,) in noted}))


def _number(value: object) -> str:
    """The order number without spaces around it; a report without one is only an event."""
    return value.strip()[:200] if isinstance(value, str) else ""


REACTOR = Reactor("commerce.orders", frozenset(TYPES), note, silent=True)


@dataclass(frozen=True, slots=True)
class Bought:
    """A contact's orders in figures: how many were paid and not taken back, and what they came to."""

    orders: list[Order]
    """the latest first"""
    paid: int
    net_fen: int
    """paid less refunded, cancelled orders left out"""


def bought(*, contact_id: int, limit: int = 10) -> Bought:
    """What a contact ordered. Scoped."""
    orders = Order.objects.filter(contact=contact_id)
    kept = Q(paid_at__isnull=False) & ~Q(status__in=("cancelled", "refunded"))
    paid = Q(paid_at__isnull=False) & ~Q(status="cancelled")
    sums = orders.aggregate(
        paid=Count("pk", filter=kept), amount=Sum("amount_fen", filter=paid), back=Sum("refunded_fen", filter=paid)
    )
    net = (sums["amount"] or 0) - (sums["back"] or 0)
    return Bought(list(orders.order_by("-ordered_at", "pk")[:limit]), sums["paid"], net)
