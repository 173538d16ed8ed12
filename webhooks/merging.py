"""What is yet to be told of a person follows them when two contacts become one: the order is kept of the one they are.

What was delivered stays with the number under which it was told."""

from contacts import merging

TABLE = "webhooks_webhookdelivery"


def register_own() -> None:
    """Called when the app starts."""
    waiting = merging.Moves(TABLE, TABLE, [("id", "bigint")], also=" AND t.status <> 'delivered'")
    merging.register(waiting, tables=[TABLE])
