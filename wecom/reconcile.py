"""What became of a call that ended OutcomeUnknown: WeCom's own lists are asked and compared with what was wanted.

Never offer such a call again blindly. `find_…` tells what WeCom lists; `conclude` says when "it is not there" may be
believed: two listings, both at least 15 minutes after the call, do not show it. Mass sends and Moments are reconciled
with their batches, in campaigns.

    finding = find_contact_way(wecom, userids=["bob"], state="store-2", asked_at=asked_at, known=our_config_ids)
    verdict, doubt = conclude(doubt, is_made=finding is not None, at=now)

What WeCom does not list (加入群聊 codes, group welcome templates, messages to members) nobody can find out about."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any, TypeVar

from wecom.client import WeComClient
from wecom.types import AcquisitionLink, ContactWayDetail, CorpTag, Page, Transfer, TransferStatus

T = TypeVar("T")

NOT_MADE_AFTER = timedelta(minutes=15)
LISTINGS_NEEDED = 2
CLOCK_SKEW = timedelta(minutes=5)
"""how far WeCom's times may lie from ours"""


class Verdict(Enum):
    """What is known of the call."""

    MADE = auto()
    NOT_MADE = auto()  # it may be offered again
    UNKNOWN = auto()  # list again later


@dataclass(frozen=True, slots=True)
class Doubt:
    """A call whose end is unknown: when it was made, and how many late listings did not show it. Keep it in a row."""

    asked_at: datetime
    listings: int = 0


def conclude(doubt: Doubt, *, is_made: bool, at: datetime, is_sure: bool = True) -> tuple[Verdict, Doubt]:
    """Draw the conclusion from one listing; keep the returned doubt for the next.

    `is_sure` False: something is listed that may be it and could not be told from another."""
    if is_made:
        return Verdict.MADE, doubt
    if not is_sure or at - doubt.asked_at < NOT_MADE_AFTER:
        return Verdict.UNKNOWN, doubt
    counted = replace(doubt, listings=doubt.listings + 1)
    return (Verdict.NOT_MADE if counted.listings >= LISTINGS_NEEDED else Verdict.UNKNOWN), counted


@dataclass(frozen=True, slots=True)
class FoundTransfers:
    """The customers of one hand-over: `under_way` began, `missing` did not, of `unclear` an older hand-over between the
    same two members is listed that may be this one."""

    under_way: tuple[str, ...]
    missing: tuple[str, ...]
    unclear: tuple[str, ...] = ()


def find_transfers(
    wecom: WeComClient,
    *,
    handover: str,
    takeover: str,
    external_userids: Sequence[str],
    asked_at: datetime,
    resigned: bool = False,
) -> FoundTransfers:
    """Compare the customers of a hand-over with those that WeCom lists between the two members. Raises WeComError."""
    rows: dict[str, list[Transfer]] = {}
    for row in _whole(wecom.transfer_results, handover=handover, takeover=takeover, resigned=resigned):
        rows.setdefault(row.external_userid, []).append(row)
    sorts = {each: _sort(rows.get(each, []), asked_at) for each in external_userids}
    return FoundTransfers(
        under_way=tuple(each for each, sort in sorts.items() if sort is True),
        missing=tuple(each for each, sort in sorts.items() if sort is False),
        unclear=tuple(each for each, sort in sorts.items() if sort is None),
    )


def find_group_transfers(wecom: WeComClient, *, chat_ids: Sequence[str], new_owner: str) -> dict[str, bool]:
    """Of each group, whether the new owner has it: it changes hands at once. Raises WeComError."""
    return {each: wecom.group_chat(chat_id=each).owner.lower() == new_owner.lower() for each in chat_ids}


def find_contact_way(
    wecom: WeComClient,
    *,
    userids: Sequence[str],
    department_ids: Sequence[int] = (),
    state: str,
    asked_at: datetime,
    known: Collection[str],
) -> ContactWayDetail | None:
    """The code for these members with this state that was made since and that is none of ours yet (`known`
    config_ids). A temporary one is never listed. Raises WeComError."""
    for config_id in _whole(wecom.contact_ways, start=asked_at - CLOCK_SKEW):
        if config_id in known:
            continue
        way = wecom.contact_way(config_id=config_id)
        if way.state == state and _same(way.userids, userids) and set(way.department_ids) == set(department_ids):
            return way
    return None


def find_acquisition_link(
    wecom: WeComClient,
    *,
    name: str,
    userids: Sequence[str] = (),
    department_ids: Sequence[int] = (),
    asked_at: datetime,
    known: Collection[str],
) -> AcquisitionLink | None:
    """The link of this name and range that was made since and that is none of ours yet (`known` link ids)."""
    for link_id in _whole(wecom.acquisition_links):
        if link_id in known:
            continue
        link = wecom.acquisition_link(link_id=link_id)
        if link.created_at is not None and link.created_at < asked_at - CLOCK_SKEW:
            continue
        if link.name == name and _same(link.userids, userids) and set(link.department_ids) == set(department_ids):
            return link
    return None


def find_corp_tags(wecom: WeComClient, *, group: str, names: Sequence[str]) -> list[CorpTag]:
    """The tags of these names in the group of this name: names are unique there, so that these are the ones."""
    groups = [each for each in wecom.corp_tags() if each.name == group]
    return [tag for each in groups for tag in each.tags if tag.name in names]


def _sort(rows: Sequence[Transfer], asked_at: datetime) -> bool | None:
    """Whether one customer's rows show a hand-over begun since `asked_at`; None when that cannot be told."""
    since = asked_at - CLOCK_SKEW
    if any(row.status == TransferStatus.WAITING or (row.taken_over_at or since) > since for row in rows):
        return True
    # A customer's refusal bears no time that tells which hand-over it was of.
    ended = [row for row in rows if row.status not in (TransferStatus.DONE, TransferStatus.NO_RECORD)]
    return None if any(row.taken_over_at is None for row in ended) else False


def _same(theirs: Sequence[str], ours: Sequence[str]) -> bool:
    """WeCom compares userids without case."""
    return {each.lower() for each in theirs} == {each.lower() for each in ours}


def _whole(call: Callable[..., Page[T]], **options: Any) -> Iterator[T]:
    """All pages of a list, one after the other."""
    cursor = ""
    while True:
        page = call(**options, cursor=cursor)
        yield from page
        if not (cursor := page.next_cursor):
            return
