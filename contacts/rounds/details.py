"""What guides note of their customers (remark, description, corp tags): a lost `edit_external_contact`.

A guide's customers are read page by page, and only rows that differ are written. A row that somebody else changed since
we looked is left to the next round: what we have read may be older than what they wrote."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from contacts import follows
from contacts.models import Follow, Staff
from contacts.rounds.tally import Tally
from contacts.sets import clean
from tenants.scope import brand_scope
from wecom.client import WeComClient
from wecom.models import Corp
from wecom.types import FollowedContact

PAIRS_PER_PAGE = 100


@dataclass(frozen=True, slots=True)
class Noted:
    """A friendship as our row has it."""

    remark: str
    description: str
    tag_ids: frozenset[str]
    added_at: datetime
    lost_at: datetime | None

    def differs(self, pair: FollowedContact) -> bool:
        """Whether WeCom shows it otherwise. Of one that ended only a later beginning is news."""
        follow = pair.follow
        began = follow.added_at
        if self.lost_at is not None:
            return began is not None and began > self.lost_at
        if began is not None and began > self.added_at:
            return True
        told = (clean(follow.remark, 100), clean(follow.description, 500), frozenset(follow.tag_ids))
        return told != (self.remark, self.description, self.tag_ids)


def compare(corp: Corp, guide: Staff, wecom: WeComClient, clock: Callable[[], datetime], tally: Tally) -> None:
    """Read the guide's customers and write those friendships that WeCom shows otherwise. Opens its own scopes.

    Whom we do not know at all is not written here: comparing the lists finds them. Raises WeComError."""
    before = _noted(corp, guide)
    for page, read_at in _pages(guide, wecom, clock, tally):
        differing = [
            pair for pair in page if (row := before.get(pair.person.external_userid)) is not None and row.differs(pair)
        ]
        if differing:
            tally.edited += _write(corp, guide, differing, before, read_at=read_at, at=clock())


def _pages(
    guide: Staff, wecom: WeComClient, clock: Callable[[], datetime], tally: Tally
) -> Iterator[tuple[list[FollowedContact], datetime]]:
    """(the guide's pairs, when they were asked for), page by page."""
    cursor: str | None = ""
    while cursor is not None:
        read_at = clock()
        page = wecom.contacts_of(userids=[guide.userid], cursor=cursor, limit=PAIRS_PER_PAGE)
        tally.calls += 1
        yield [pair for pair in page.items if pair.follow.userid.lower() == guide.userid.lower()], read_at
        cursor = page.next_cursor or None


def _write(
    corp: Corp,
    guide: Staff,
    differing: list[FollowedContact],
    before: dict[str, Noted],
    *,
    read_at: datetime,
    at: datetime,
) -> int:
    """Those that nobody has changed since; how many."""
    with brand_scope(corp.brand_id):
        now = _rows(guide, [pair.person.external_userid for pair in differing])
        same = [pair for pair in differing if now.get(key := pair.person.external_userid) == before[key]]
        if same:
            follows.befriend(corp=corp, listed=follows.Listed.of(corp, same), read_at=read_at, at=at)
    return len(same)


def _noted(corp: Corp, guide: Staff) -> dict[str, Noted]:
    with brand_scope(corp.brand_id):
        return _rows(guide)


def _rows(guide: Staff, only: list[str] | None = None) -> dict[str, Noted]:
    """The guide's friendships by external_userid. Scoped."""
    rows = Follow.objects.filter(staff=guide)
    if only is not None:
        rows = rows.filter(external_userid__in=only).select_for_update(of=("self",)).order_by("contact_id")
    told = rows.values_list("external_userid", "remark", "description", "corp_tag_ids", "added_at", "lost_at")
    return {
        external: Noted(remark, description, frozenset(tags), added_at, lost_at)
        for external, remark, description, tags, added_at, lost_at in told
    }
