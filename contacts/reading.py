"""Reading the customers of guides from WeCom while what was read before is being written."""

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from contacts.follows import Listed
from wecom.client import WeComClient
from wecom.errors import WeComError
from wecom.models import Corp
from wecom.types import ContactPage, FollowedContact

PAIRS_PER_PAGE = 100
PORTIONS_AHEAD = 3
"""read and made ready while earlier ones are written"""


@dataclass(frozen=True, slots=True)
class Portion:
    """Pairs of some consecutive pages, and where the next page begins ("" after the last)."""

    listed: Listed
    cursor: str
    calls: int

    @property
    def is_last(self) -> bool:
        """Whether the list ends with it."""
        return not self.cursor


def portions(
    wecom: WeComClient, corp: Corp, *, userids: Sequence[str], cursor: str, size: int, most: int
) -> Generator[Portion, None, None]:
    """The customers of these guides from `cursor` on, up to `most` portions of about `size` pairs; close it when done.

    A thread of its own reads ahead, but nothing that will not be given: each page is a call that WeCom counts.
    Raises WeComError, after giving what was read before it."""
    reading = _portions(corp, _pages(wecom, userids, cursor), size)
    with ThreadPoolExecutor(max_workers=1) as reader:
        coming = deque(reader.submit(next, reading, None) for _ in range(min(PORTIONS_AHEAD, most)))
        asked = len(coming)
        try:
            while coming and (portion := coming.popleft().result()) is not None:
                if asked < most:
                    coming.append(reader.submit(next, reading, None))
                    asked += 1
                yield portion
        finally:
            for each in coming:
                each.cancel()


def _pages(wecom: WeComClient, userids: Sequence[str], cursor: str) -> Iterator[ContactPage]:
    while userids:
        page = wecom.contacts_of(userids=userids, cursor=cursor, limit=PAIRS_PER_PAGE)
        yield page
        cursor = page.next_cursor
        if not cursor:
            return


def _portions(corp: Corp, pages: Iterator[ContactPage], size: int) -> Iterator[Portion]:
    """Pages put together until there are pairs enough for a write. If reading fails, what was read comes first."""
    pairs: list[FollowedContact] = []
    cursor, calls = "", 0
    try:
        for page in pages:
            pairs += page.items
            cursor, calls = page.next_cursor, calls + 1
            if len(pairs) >= size or not cursor:
                yield Portion(Listed.of(corp, pairs), cursor, calls)
                pairs, calls = [], 0
    except WeComError:
        if calls:
            yield Portion(Listed.of(corp, pairs), cursor, calls)
        raise
