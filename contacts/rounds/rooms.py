"""Customer groups: lost `change_external_chat` of every kind.

Which groups there are is one list; what one is like is a call per group, a few at a time. A group that the list lacks
is dissolved only if WeCom, asked about that group, does not know it either."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from contacts import groups
from contacts.models import GroupChat, Staff
from contacts.rounds.tally import Tally
from contacts.sets import clean
from tenants.scope import brand_scope
from wecom.client import WeComClient
from wecom.errors import Rejected
from wecom.models import Corp
from wecom.types import GroupDetail

AT_ONCE = 4
"""calls under way at a time"""
MOST_AT_ONCE = 100
"""groups that the list tells of and we do not know, or the other way round, asked about in one look"""
OWNERS_PER_LIST = 100
MOST_GUIDES = 1000
"""above this WeCom lists groups only by owner (api-reference §11.1)"""
NO_GROUP = "wecom.no_group"


def survey(corp: Corp, wecom: WeComClient, clock: Callable[[], datetime], tally: Tally) -> None:
    """Which groups there are: new ones are read and entered, those that are no more dismissed. Opens its own scopes.

    Raises WeComError."""
    listed = _listed(corp, wecom, tally)
    with brand_scope(corp.brand_id):
        ours = set(GroupChat.objects.filter(corp=corp, dismissed_at=None).values_list("chat_id", flat=True))
    new, missing = sorted(listed - ours)[:MOST_AT_ONCE], sorted(ours - listed)[:MOST_AT_ONCE]
    tally.groups += _read(corp, new, wecom, clock, tally)
    gone = vanished(wecom, missing)
    tally.calls += len(missing)
    if gone:
        with brand_scope(corp.brand_id):
            tally.groups += groups.dismiss(corp=corp, chat_ids=gone, at=clock())


def compare(
    corp: Corp, chat_ids: Sequence[str], wecom: WeComClient, clock: Callable[[], datetime], tally: Tally
) -> None:
    """Read these groups, and write those that WeCom shows otherwise. Opens its own scopes. Raises WeComError."""
    tally.groups += _read(corp, chat_ids, wecom, clock, tally)


def vanished(wecom: WeComClient, chat_ids: Iterable[str]) -> list[str]:
    """Those of which WeCom says that there is no such group. Make it outside any scope. Raises WeComError.

    Another refusal (an owner out of our sight) is no proof that a group is no more."""

    def ask(chat_id: str) -> bool:
        try:
            wecom.group_chat(chat_id=chat_id)
        except Rejected as refusal:
            return refusal.problem_code == NO_GROUP
        return False

    asked = list(chat_ids)
    if not asked:
        return []
    with ThreadPoolExecutor(max_workers=AT_ONCE) as readers:
        return [chat_id for chat_id, is_gone in zip(asked, readers.map(ask, asked), strict=True) if is_gone]


def _listed(corp: Corp, wecom: WeComClient, tally: Tally) -> set[str]:
    with brand_scope(corp.brand_id):
        guides = list(
            Staff.objects.filter(corp=corp, is_guide=True, left_at=None).order_by("id").values_list("userid", flat=True)
        )
    owners: list[list[str]] = [[]]
    if len(guides) > MOST_GUIDES:
        owners = [guides[place : place + OWNERS_PER_LIST] for place in range(0, len(guides), OWNERS_PER_LIST)]
    listed: set[str] = set()
    for some in owners:
        cursor: str | None = ""
        while cursor is not None:
            page = wecom.group_chats(owners=some, cursor=cursor)
            tally.calls += 1
            listed |= {each.chat_id for each in page}
            cursor = page.next_cursor or None
    return listed


def _read(corp: Corp, chat_ids: Sequence[str], wecom: WeComClient, clock: Callable[[], datetime], tally: Tally) -> int:
    """Read these groups and write those that differ from our rows; how many. One that WeCom refuses stays as it is,
    and so does one of which a callback has told more since."""
    if not chat_ids:
        return 0

    def read(chat_id: str) -> GroupDetail | None:
        try:
            return wecom.group_chat(chat_id=chat_id)
        except Rejected:
            return None

    with brand_scope(corp.brand_id):
        before = groups.known(corp=corp, chat_ids=chat_ids)
    with ThreadPoolExecutor(max_workers=AT_ONCE) as readers:
        details = [each for each in readers.map(read, chat_ids) if each is not None]
    tally.calls += len(chat_ids)
    at = clock()
    with brand_scope(corp.brand_id):
        now = groups.known(corp=corp, chat_ids=chat_ids, lock=True)
        same = [each for each in details if now.get(each.chat_id) == before.get(each.chat_id)]
        differing = [each for each in same if not each.version or now.get(each.chat_id) != _shown(each)]
        groups.store(corp=corp, groups=differing, at=at)
        # Without a version one cannot tell a change from none: written, but not counted.
        return sum(bool(each.version) for each in differing)


def _shown(detail: GroupDetail) -> groups.Known:
    return clean(detail.name, 200), detail.owner, clean(detail.version, 64), len(detail.members)
