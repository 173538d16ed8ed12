"""How orders follow a merge of contacts: they move; what was reported since goes by the identity it was reported of."""

from contacts.merging import FROM, Moves, Pairs, register

_REPORTS = Moves(
    "commerce_orderreport",
    "commerce_orderreport",
    [("order_id", "uuid"), ("event_id", "uuid")],
    since="""EXISTS (SELECT FROM events_event e
        WHERE e.brand_id = t.brand_id AND e.occurred_at = t.at AND e.id = t.event_id
          AND e.identity_type = i.type AND e.identity_value = i.value)""",
)
_ORDERS = Moves("commerce_order", "commerce_order", [("id", "uuid")])


class Orders:
    """Orders with their reports."""

    name = "commerce_order"

    def merge(self, pairs: Pairs) -> None:
        """Both move."""
        _REPORTS.merge(pairs)
        _ORDERS.merge(pairs)

    def split(self, pairs: Pairs) -> None:
        """Back; an order made since is whose it was at its first report."""
        _REPORTS.split(pairs)
        _ORDERS.split(pairs)
        pairs.write(
            f"""UPDATE commerce_order t SET contact_id = p.loser FROM {FROM}
                WHERE t.brand_id = %(brand)s AND t.contact_id = p.survivor AND p.loser = (
                    SELECT r.contact_id FROM commerce_orderreport r
                    JOIN events_event e ON e.brand_id = %(brand)s AND e.occurred_at = r.at AND e.id = r.event_id
                    WHERE r.brand_id = %(brand)s AND r.order_id = t.id
                    ORDER BY e.received_at, r.at, r.event_id LIMIT 1)"""  # noqa: S608
        )


def register_own() -> None:
    """Called when the app starts."""
    register(Orders(), tables=["commerce_order", "commerce_orderreport"])
