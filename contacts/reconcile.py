"""对账: between two full syncs, what the callbacks lost.

WeCom promises no callback (api-reference §4.3). So a few guides and groups at a time, round and round, what WeCom shows
is compared with our rows, and every half hour who the guides are and which groups there are. Per round that is a page
per hundred customers and two calls more per guide, and a call per group. Nothing is mended on one list's word: who is
missing here is read from WeCom and written as a callback would have it; who is missing there is lost only if WeCom,
asked about that customer, group or member, does not show them either.

A customer who deleted the guide stays on WeCom's lists: a lost `del_follow_user` shows nowhere until a send fails."""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from django.db.models import F, Max, Q, Sum

from contacts import follows
from contacts.models import Follow, GroupChat, Reconciliation, Staff, SyncRun
from contacts.rounds import details, people, rooms
from contacts.rounds.tally import Tally
from scrm.lib.errors import found
from tenants.models import Brand
from tenants.scope import brand_scope
from wecom.client import WeComClient
from wecom.errors import Misconfigured, Rejected, Throttled, Unreachable, WeComError
from wecom.models import Corp
from wecom.policy import NO_LICENCE
from wecom.types import ContactDetail, FollowedContact

logger = logging.getLogger(__name__)

EVERY = timedelta(minutes=5)
ROUND = timedelta(hours=6)
"""within which every guide and every group is compared once"""
SURVEY = timedelta(minutes=30)
"""how often WeCom is asked which guides and which groups there are"""
MOST_PER_GUIDE = 100
"""customers read for one guide at a time; more than that, and the next round goes on"""
LONGEST = timedelta(seconds=30)
"""then other work of the queue gets its turn"""
SHOWN_DAYS = 7
ASSIGNED = 202
"""the add_way of a friendship that an administrator handed over (api-reference §7.4)"""


@dataclass(frozen=True, slots=True)
class Mended:
    """What the last days' comparing found, of all the brand's corps."""

    guides: int
    added: int
    lost: int
    edited: int
    groups: int
    staff: int
    refused: int
    last_at: datetime


def step(*, brand_id: int, corp_id: int, wecom: WeComClient, clock: Callable[[], datetime]) -> int:
    """Compare the next few guides and groups; how many guides. Opens its own scopes.

    Does nothing before the first full sync has ended or while one is running. Raises WeComError when WeCom is out of
    reach; what was compared until then counts, and the next step goes on behind whom it failed at."""
    began = clock()
    with brand_scope(brand_id):
        corp = found(Corp.objects.filter(pk=corp_id))
        if not _is_time(corp):
            return 0
        today = _today(corp, began)
        guides = _next_guides(corp, today.up_to)
        chats = _next_groups(corp, today.groups_up_to)
        has_groups = _shows_groups(corp)
    compared = 0
    for guide in guides:
        if clock() - began > LONGEST:
            break
        _look(today, partial(_compare, corp, guide, wecom, clock), clock, up_to=guide.pk)
        compared += 1
    if _takes_survey(today, at=clock()):
        _look(today, partial(people.survey, corp, wecom, clock), clock)
        if has_groups:
            _look(today, partial(rooms.survey, corp, wecom, clock), clock)
    if chats and has_groups:
        ids = list(chats.values())
        _look(today, partial(rooms.compare, corp, ids, wecom, clock), clock, groups_up_to=next(reversed(chats)))
    return compared


def mended(*, at: datetime) -> Mended | None:
    """What the last seven days' comparing found; None if there was none. Scoped."""
    rows = Reconciliation.objects.filter(last_at__gt=at - timedelta(days=SHOWN_DAYS))
    counts = ("guides", "added", "lost", "edited", "groups", "staff", "refused")
    sums = rows.aggregate(**{name: Sum(name) for name in counts}, last_at=Max("last_at"))
    return Mended(**sums) if sums["last_at"] else None


def _look(today: Reconciliation, work: Callable[[Tally], None], clock: Callable[[], datetime], **reached: int) -> None:
    """Do one part of a step and write down what it came to, whatever it ends in.

    What WeCom refuses of one guide is theirs. Raises the WeComError of what it refuses the whole corp."""
    tally = Tally(guides=int("up_to" in reached))
    try:
        work(tally)
    except WeComError as trouble:
        tally.refused = 1
        if isinstance(trouble, Throttled | Misconfigured) and trouble.problem_code != NO_LICENCE:
            tally.guides, tally.refused, reached = 0, 0, {}  # not their doing: they are asked again
            raise
        logger.warning("contacts.reconcile.refused", extra={"reached": reached, "reason": trouble.problem_code})
        if isinstance(trouble, Unreachable):  # perhaps their doing: it must not hold up those behind them
            raise
    finally:
        _count(today, tally, clock(), reached)


def _is_time(corp: Corp) -> bool:
    runs = SyncRun.objects.filter(corp=corp)
    return (
        runs.filter(counts__customers_complete=True).exists()
        and not runs.filter(status=SyncRun.Status.RUNNING).exists()
    )


def _shows_groups(corp: Corp) -> bool:
    """Whether the last full sync was shown the groups: an app may be allowed customers and not groups. Scoped."""
    last = SyncRun.objects.filter(corp=corp, counts__customers_complete=True).order_by("-id").first()
    return last is not None and "groups_error" not in last.counts


def _today(corp: Corp, at: datetime) -> Reconciliation:
    """Today's row; it goes on where the day before stopped. Scoped."""
    day = at.astimezone(ZoneInfo(Brand.objects.get(pk=corp.brand_id).timezone)).date()
    before = Reconciliation.objects.filter(corp=corp).order_by("-day").first()
    fresh: dict[str, object] = {"last_at": at}
    if before is not None:
        fresh |= {"up_to": before.up_to, "groups_up_to": before.groups_up_to, "surveyed_at": before.surveyed_at}
    return Reconciliation.objects.get_or_create(corp=corp, day=day, defaults=fresh)[0]


def _next_guides(corp: Corp, up_to: int) -> list[Staff]:
    """As many as a round needs now, beginning after the one compared last. Scoped."""
    guides = Staff.objects.filter(corp=corp, is_guide=True, left_at=None).order_by("id")
    wanted = -(-guides.count() // (ROUND // EVERY))
    coming = list(guides.filter(pk__gt=up_to)[:wanted])
    return coming + list(guides.filter(pk__lte=up_to)[: wanted - len(coming)])


def _next_groups(corp: Corp, up_to: int) -> dict[int, str]:
    """The same for groups: chat ids by our number. Scoped."""
    rows = GroupChat.objects.filter(corp=corp, dismissed_at=None).order_by("id").values_list("id", "chat_id")
    wanted = -(-rows.count() // (ROUND // EVERY))
    coming = list(rows.filter(pk__gt=up_to)[:wanted])
    return dict(coming + list(rows.filter(pk__lte=up_to)[: wanted - len(coming)]))


def _takes_survey(today: Reconciliation, *, at: datetime) -> bool:
    """Whether it is time to ask who and what there is, and nobody else is about to."""
    with brand_scope(today.brand_id):
        due = Q(surveyed_at=None) | Q(surveyed_at__lte=at - SURVEY) | Q(surveyed_at__gt=at)
        return bool(Reconciliation.objects.filter(due, pk=today.pk).update(surveyed_at=at))


def _compare(corp: Corp, guide: Staff, wecom: WeComClient, clock: Callable[[], datetime], tally: Tally) -> None:
    """Who follows the guide, what the guide noted of them, and the guide's own name and store."""
    began = clock()
    listed = set(wecom.external_userids(userid=guide.userid))
    tally.calls += 1
    with brand_scope(corp.brand_id):
        rows = Follow.objects.filter(staff=guide).values_list("external_userid", "lost_at", "lost_by", "added_at")
        ours = {external: (lost_at, lost_by, added_at) for external, lost_at, lost_by, added_at in rows}
    alive = {external for external, (lost_at, _by, _added) in ours.items() if lost_at is None}
    deleted_us = {external for external, (_lost, by, _added) in ours.items() if by == Follow.LostBy.CONTACT}
    missing = sorted(listed - alive - deleted_us)[:MOST_PER_GUIDE]
    unlisted = sorted(each for each in alive - listed if ours[each][2] < began)[:MOST_PER_GUIDE]
    gone = {external: ours[external][2] for external in unlisted}
    tally.added += _add(corp, missing, wecom, clock, tally)
    tally.lost += _lose(corp, guide, gone, wecom, clock, tally)
    if listed:
        details.compare(corp, guide, wecom, clock, tally)
    people.compare(corp, guide, wecom, clock, tally)


def _add(corp: Corp, missing: Collection[str], wecom: WeComClient, clock: Callable[[], datetime], tally: Tally) -> int:
    """Read and write the customers whom a callback should have told of; how many friendships that made.

    Friendships that are alive by our rows are left as they are: a callback may have told more of them since we read."""
    read_at, pairs = clock(), []
    for external_userid in missing:
        detail = _shown(wecom, external_userid, tally)
        pairs += [FollowedContact(detail.person, follow) for follow in detail.follows] if detail else []
    if not pairs:
        return 0
    with brand_scope(corp.brand_id):
        rows = Follow.objects.filter(staff__corp=corp, external_userid__in=missing, lost_at=None)
        alive = {
            (userid.lower(), external) for userid, external in rows.values_list("staff__userid", "external_userid")
        }
        new = [pair for pair in pairs if (pair.follow.userid.lower(), pair.person.external_userid) not in alive]
        made = follows.befriend(corp=corp, listed=follows.Listed.of(corp, new), read_at=read_at, at=clock())
    return len(made.new) + len(made.revived)


def _lose(
    corp: Corp,
    guide: Staff,
    gone: Mapping[str, datetime],
    wecom: WeComClient,
    clock: Callable[[], datetime],
    tally: Tally,
) -> int:
    """End the friendships that WeCom shows on neither side; how many. `gone`: when each began by the row we compared;
    one that has begun anew since is another."""
    surely: dict[Follow.LostBy, list[str]] = {}
    for external_userid in gone:
        detail = _shown(wecom, external_userid, tally)
        if detail is None or all(follow.userid.lower() != guide.userid.lower() for follow in detail.follows):
            surely.setdefault(_lost_by(detail), []).append(external_userid)
    at, lost = clock(), 0
    for by, external_userids in surely.items():
        with brand_scope(corp.brand_id):
            rows = Follow.objects.filter(staff=guide, external_userid__in=external_userids)
            now = rows.select_for_update(of=("self",)).order_by("contact_id").values_list("external_userid", "added_at")
            losses = [follows.Loss(guide.pk, external, at) for external, added_at in now if gone[external] == added_at]
            lost += follows.lose(losses=losses, by=by, at=at)
    return lost


def _lost_by(detail: ContactDetail | None) -> Follow.LostBy:
    """A customer whom another guide was handed was not deleted by this one."""
    if detail is not None and any(follow.add_way == ASSIGNED for follow in detail.follows):
        return Follow.LostBy.TRANSFER
    return Follow.LostBy.STAFF


def _shown(wecom: WeComClient, external_userid: str, tally: Tally) -> ContactDetail | None:
    """The customer as WeCom shows them; None if nobody follows."""
    tally.calls += 1
    try:
        return wecom.external_contact(external_userid=external_userid)
    except Rejected:
        return None


def _count(today: Reconciliation, tally: Tally, at: datetime, reached: dict[str, int]) -> None:
    counts = ("guides", "calls", "added", "lost", "edited", "groups", "staff", "refused")
    with brand_scope(today.brand_id):
        Reconciliation.objects.filter(pk=today.pk).update(
            last_at=at, **reached, **{name: F(name) + getattr(tally, name) for name in counts}
        )
    if tally.mended:
        found_now = {name: getattr(tally, name) for name in counts if getattr(tally, name)}
        logger.info("contacts.reconcile.mended", extra={"brand": today.brand_id, **reached, **found_now})
