"""Who is in the control group: decided by a hash, so that asking again, or on another machine, answers the same.

A contact's **share** in a push is a number from 0 to 2³²−1, the first 32 bits of an MD5. The control group is the
contacts whose share is below its percentage: it does not depend on who else is in the audience, and the shares of two
pushes are unrelated. MD5 because PostgreSQL and Python both have it; nothing here is secret."""

import hashlib

SHARES = 2**32


def share(*, push_id: int, key: int) -> int:
    """The share of a contact (or group chat) in a push."""
    digest = hashlib.md5(f"holdout:{push_id}:{key}".encode(), usedforsecurity=False).hexdigest()
    return int(digest[:8], 16)


def threshold(percent: int) -> int:
    """Shares below this are the control group of `percent` %."""
    return SHARES * percent // 100


def is_held_out(*, push_id: int, key: int, percent: int) -> bool:
    """Whether the contact belongs to the push's control group."""
    return share(push_id=push_id, key=key) < threshold(percent)


def share_sql(key: str) -> str:
    """The same number in SQL, with the push's id as its one parameter (%s); `key` is a column."""
    return f"('x' || left(md5('holdout:' || %s || ':' || {key}), 8))::bit(32)::bigint"
