"""对账: between two full syncs, what the callbacks lost.

WeCom promises no callback (api-reference §4.3). So a few guides at a time, round and round, each guide's own list of
customers is compared with our rows: one call per guide, and one more per customer in which the two differ. Nothing is
mended on one list's word: who is missing here is read from WeCom and written as a callback would have it; who is
missing there is lost only if WeCom, asked about that customer, does not show the guide either.

A customer who deleted the guide stays on WeCom's lists: a lost `del_follow_user` shows nowhere until a send fails."""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db.models import F, Max, Sum

from contacts import follows
from contacts.models import Follow, Reconciliation, Staff, SyncRun
from scrm.lib.errors import found
from tenants.models import Brand
from tenants.scope import brand_scope
from wecom.client import WeComClient
from wecom.errors import Rejected
from wecom.models import Corp
from wecom.types import ContactDetail, FollowedContact

logger = logging.getLogger(__name__)

EVERY = timedelta(minutes=5)
ROUND = timedelta(hours=6)
"""within which every guide is compared once"""
MOST_PER_GUIDE = 100
"""customers read for one guide at a time; more than that, and the next round goes on"""
LONGEST = timedelta(seconds=30)
"""then other work of the queue gets its turn"""
SHOWN_DAYS = 7


@dataclass(frozen=True, slots=True)
class Mended:
    """What the last days' comparing found, of all the brand's corps."""

    guides: int
    added: int
    lost: int
    refused: int
    last_at: datetime


@dataclass(slots=True)
class _Tally:
    """Of one step."""

    guides: int = 0
    calls: int = 0
    added: int = 0
    lost: int = 0
    refused: int = 0


def step(*, brand_id: int, corp_id: int, wecom: WeComClient, clock: Callable[[], datetime]) -> int:
    """Compare the next few guides; how many. Opens its own scopes.

    Does nothing before the first full sync has ended or while one is running. Raises WeComError when WeCom is out of
    reach; what was compared until then counts."""
    began = clock()
    with brand_scope(brand_id):
        corp = found(Corp.objects.filter(pk=corp_id))
        if not _is_time(corp):
            return 0
        today = _today(corp, began)
        guides = _next_guides(corp, today.up_to)
    compared = 0
    for guide in guides:
        if clock() - began > LONGEST:
            break
        tally = _Tally(guides=1)
        try:
            _compare(corp, guide, wecom, clock, tally)
        except Rejected as refusal:
            tally.refused = 1
            logger.warning("contacts.reconcile.refused", extra={"staff": guide.pk, "reason": refusal.problem_code})
        _count(today, guide, tally, clock())
        compared += 1
    return compared


def mended(*, at: datetime) -> Mended | None:
    """What the last seven days' comparing found; None if there was none. Scoped."""
    rows = Reconciliation.objects.filter(last_at__gt=at - timedelta(days=SHOWN_DAYS))
    sums = rows.aggregate(
        guides=Sum("guides"), added=Sum("added"), lost=Sum("lost"), refused=Sum("refused"), last_at=Max("last_at")
    )
    return Mended(**sums) if sums["last_at"] else None


def _is_time(corp: Corp) -> bool:
    runs = SyncRun.objects.filter(corp=corp)
    return (
        runs.filter(counts__customers_complete=True).exists()
        and not runs.filter(status=SyncRun.Status.RUNNING).exists()
    )


def _today(corp: Corp, at: datetime) -> Reconciliation:
    """Today's row; it goes on where the day before stopped. Scoped."""
    day = at.astimezone(ZoneInfo(Brand.objects.get(pk=corp.brand_id).timezone)).date()
    before = Reconciliation.objects.filter(corp=corp).order_by("-day").first()
    fresh = {"up_to": before.up_to if before else 0, "last_at": at}
    return Reconciliation.objects.get_or_create(corp=corp, day=day, defaults=fresh)[0]


def _next_guides(corp: Corp, up_to: int) -> list[Staff]:
    """As many as a round needs now, beginning after the one compared last. Scoped."""
    guides = Staff.objects.filter(corp=corp, is_guide=True, left_at=None).order_by("id")
    wanted = -(-guides.count() // (ROUND // EVERY))
    coming = list(guides.filter(pk__gt=up_to)[:wanted])
    return coming + list(guides.filter(pk__lte=up_to)[: wanted - len(coming)])


def _compare(corp: Corp, guide: Staff, wecom: WeComClient, clock: Callable[[], datetime], tally: _Tally) -> None:
    began = clock()
    listed = set(wecom.external_userids(userid=guide.userid))
    tally.calls += 1
    with brand_scope(corp.brand_id):
        rows = Follow.objects.filter(staff=guide).values_list("external_userid", "lost_at", "lost_by", "added_at")
        ours = {external: (lost_at, lost_by, added_at) for external, lost_at, lost_by, added_at in rows}
    alive = {external for external, (lost_at, _by, _added) in ours.items() if lost_at is None}
    deleted_us = {external for external, (_lost, by, _added) in ours.items() if by == Follow.LostBy.CONTACT}
    missing = sorted(listed - alive - deleted_us)[:MOST_PER_GUIDE]
    gone = sorted(each for each in alive - listed if ours[each][2] < began)[:MOST_PER_GUIDE]
    tally.added += _add(corp, missing, wecom, clock, tally)
    tally.lost += _lose(corp, guide, gone, wecom, clock, tally)


def _add(corp: Corp, missing: Collection[str], wecom: WeComClient, clock: Callable[[], datetime], tally: _Tally) -> int:
    """Read and write the customers whom a callback should have told of; how many friendships that made."""
    read_at, pairs = clock(), []
    for external_userid in missing:
        detail = _shown(wecom, external_userid, tally)
        pairs += [FollowedContact(detail.person, follow) for follow in detail.follows] if detail else []
    if not pairs:
        return 0
    with brand_scope(corp.brand_id):
        made = follows.befriend(corp=corp, listed=follows.Listed.of(corp, pairs), read_at=read_at, at=clock())
    return len(made.new) + len(made.revived)


def _lose(
    corp: Corp,
    guide: Staff,
    gone: Collection[str],
    wecom: WeComClient,
    clock: Callable[[], datetime],
    tally: _Tally,
) -> int:
    """End the friendships that WeCom shows on neither side; how many."""
    surely = []
    for external_userid in gone:
        detail = _shown(wecom, external_userid, tally)
        if detail is None or all(follow.userid.lower() != guide.userid.lower() for follow in detail.follows):
            surely.append(external_userid)
    if not surely:
        return 0
    at = clock()
    with brand_scope(corp.brand_id):
        losses = [follows.Loss(guide.pk, external_userid, at) for external_userid in surely]
        return follows.lose(losses=losses, by=Follow.LostBy.STAFF, at=at)


def _shown(wecom: WeComClient, external_userid: str, tally: _Tally) -> ContactDetail | None:
    """The customer as WeCom shows them; None if nobody follows."""
    tally.calls += 1
    try:
        return wecom.external_contact(external_userid=external_userid)
    except Rejected:
        return None


def _count(today: Reconciliation, guide: Staff, tally: _Tally, at: datetime) -> None:
    with brand_scope(today.brand_id):
        Reconciliation.objects.filter(pk=today.pk).update(
            up_to=guide.pk,
            last_at=at,
            guides=F("guides") + tally.guides,
            calls=F("calls") + tally.calls,
            added=F("added") + tally.added,
            lost=F("lost") + tally.lost,
            refused=F("refused") + tally.refused,
        )
    if tally.added or tally.lost:
        ids = {"brand": today.brand_id, "staff": guide.pk, "added": tally.added, "lost": tally.lost}
        logger.info("contacts.reconcile.mended", extra=ids)
