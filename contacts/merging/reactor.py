"""A second look at each merge and split: what other transactions wrote before they could know of it."""

from contacts.merging.operations import follow_up, follow_up_split
from events.reactors import Batch, Reactor


def look_again(batch: Batch) -> None:
    """By the time a reactor meets the event, whoever began before it has ended. Scoped."""
    for type_, act in (("contact_merged", follow_up), ("contact_split", follow_up_split)):
        merges = {row.props["merge_id"] for row in batch.rows if row.type == type_}
        if merges:
            act(merge_ids=merges, at=batch.at)


REACTOR = Reactor("contacts.merging", frozenset({"contact_merged", "contact_split"}), look_again)
