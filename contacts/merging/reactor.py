"""A second look at each merge: what other transactions wrote to the loser before they could know of it."""

from contacts.merging.operations import follow_up
from events.reactors import Batch, Reactor


def look_again(batch: Batch) -> None:
    """By the time a reactor meets the merge's event, whoever began before it has ended. Scoped."""
    merges = {row.props["merge_id"] for row in batch.rows if row.type == "contact_merged"}
    if merges:
        follow_up(merge_ids=merges, at=batch.at)


REACTOR = Reactor("contacts.merging", frozenset({"contact_merged"}), look_again)
