"""The people: staff and stores on the brand's side, contacts with their identities on the other, and what ties them."""

from contacts.models.identity import Identity, IdentityConflict, Merge, MergeMoved
from contacts.models.people import Contact, Staff, Store
from contacts.models.relations import Follow, GroupChat, GroupMember
from contacts.models.sync import Reconciliation, SyncChunk, SyncRun

__all__ = [
    "Contact",
    "Follow",
    "GroupChat",
    "GroupMember",
    "Identity",
    "IdentityConflict",
    "Merge",
    "MergeMoved",
    "Reconciliation",
    "Staff",
    "Store",
    "SyncChunk",
    "SyncRun",
]
