"""What a mass send tells of a friendship: a customer who deleted the guide stays on all of WeCom's lists, and when the
callback (`del_follow_user`) was lost, only a send that comes back (status 2, api-reference §12) shows it."""

from collections.abc import Collection
from datetime import datetime, timedelta

from contacts import follows
from contacts.models import Follow

NEWEST_OLD = timedelta(days=6)
"""the log takes no event that is older than a week"""


def not_friends(*, staff_id: int, external_userids: Collection[str], sent_at: datetime, at: datetime) -> int:
    """WeCom says that a message of this guide's could not be sent to these, since they are no friends. Scoped.

    Ends their friendships, as the customer's doing; how many. One that began after `sent_at` stays."""
    alive = Follow.objects.filter(
        staff=staff_id, external_userid__in=external_userids, lost_at=None, added_at__lte=sent_at
    )
    lost_at = min(at, max(sent_at, at - NEWEST_OLD))
    losses = [
        follows.Loss(staff_id, external_userid, lost_at)
        for external_userid in alive.values_list("external_userid", flat=True)
    ]
    return follows.lose(losses=losses, by=Follow.LostBy.CONTACT, at=at) if losses else 0
