"""The fault matrix: the same story told twice, once in peace and once while WeCom does everything it can do wrong.

A story: a full sync; people come and go, told by callbacks; guides' lists are compared; tags are kept the same on both
sides; a mass send, a send to groups and a Moment are planned, sent, confirmed and followed to their results; a last
full sync. In the second telling calls are lost before and after their effect, refused, answered late or by half an
answer, and callbacks are lost, doubled and shuffled. When the faults are over and the loops have run, our state must be
that of the first telling, and the simulator's journal must show nobody anything twice."""

from collections import Counter
from datetime import datetime
from typing import NamedTuple

from django.db.models import Sum

from bench.soak import marking
from bench.soak.ending import Ending, ended
from bench.soak.sending import loops, push, to_the_end
from bench.soak.telling import Telling
from bench.soak.trouble import Trouble
from campaigns.models import Channel
from contacts import reconcile
from contacts import sync as contact_sync
from contacts.models import GroupChat, Reconciliation, Staff, SyncRun


def _sync(telling: Telling) -> None:
    """A full sync, until one is complete."""

    def once() -> bool:
        run_id = contact_sync.start(brand_id=telling.brand.pk, corp_id=telling.corp.pk, at=telling.at)
        run = contact_sync.run_to_end(brand_id=telling.brand.pk, run_id=run_id, wecom=telling.wecom, at=telling.at)
        if run.status != SyncRun.Status.DONE:
            telling.survived[f"sync {run.status}"] += 1
        return run.status == SyncRun.Status.DONE

    telling.until_done(once)


def _people_come_and_go(telling: Telling, trouble: Trouble | None) -> None:
    """Customers and guides act; callbacks tell, or do not."""
    if trouble:
        trouble.with_callbacks(lost=False)
    pairs = telling.pairs()
    for place, (userid, external) in enumerate(pairs[:6]):
        # A lost del_follow_user is told by nothing else, so these are not lost.
        if place % 3 == 0:
            telling.act("delete_follow", userid=userid, external_userid=external, by="customer")
    telling.heard()
    if trouble:
        trouble.with_callbacks()
    guides = sorted({userid for userid, _external in pairs})
    for place, (userid, external) in enumerate(pairs[6:30]):
        if place % 4 == 0:
            telling.act("delete_follow", userid=userid, external_userid=external, by="guide")
        elif place % 4 == 1:
            telling.act("edit", userid=userid, external_userid=external, remark=f"备注{place}")
    for number in range(8):
        telling.act("scan", userid=guides[number % len(guides)], state=f"door-{number}")
    owner = guides[0]
    theirs = [external for userid, external in telling.pairs() if userid == owner]
    made = telling.act("create_group", userid=owner, name="果园群", external_userids=theirs[:5])
    telling.act("join_group", chat_id=made["chat_id"], external_userid=theirs[5])
    telling.act("leave_group", chat_id=made["chat_id"], external_userid=theirs[0])
    telling.heard()


def _compare(telling: Telling) -> None:
    """Every guide's list and every group is compared once with an answer to everything, and who there is at all."""
    with telling.scope():
        guides = set(Staff.objects.filter(corp=telling.corp, is_guide=True, left_at=None).values_list("pk", flat=True))
        chats = set(GroupChat.objects.filter(corp=telling.corp, dismissed_at=None).values_list("pk", flat=True))
    is_surveyed = False

    def some() -> bool:
        nonlocal is_surveyed
        before = _compared(telling)
        reconcile.step(
            brand_id=telling.brand.pk, corp_id=telling.corp.pk, wecom=telling.wecom, clock=lambda: telling.at
        )
        after = _compared(telling)
        if after.refused == before.refused:
            guides.discard(after.guide)
            chats.discard(after.chat)
            is_surveyed |= after.surveyed_at != before.surveyed_at
        return is_surveyed and not guides and not chats

    telling.until_done(some)


class _Compared(NamedTuple):
    """How far comparing is: the last guide and group, the last survey, and what WeCom refused until now."""

    guide: int
    chat: int
    surveyed_at: datetime | None
    refused: int


def _compared(telling: Telling) -> _Compared:
    with telling.scope():
        rows = Reconciliation.objects.filter(corp=telling.corp)
        last = rows.order_by("-day").first() or Reconciliation()
        refused = rows.aggregate(n=Sum("refused"))["n"] or 0
    return _Compared(last.up_to, last.groups_up_to, last.surveyed_at, refused)


def tell(telling: Telling, *, rate: float) -> Ending:
    """The story from beginning to end; `rate` of the calls go wrong until the last part. Raises Stuck."""
    trouble = Trouble(telling.simulator, rate) if rate else None
    _sync(telling)
    _people_come_and_go(telling, trouble)
    _compare(telling)
    marking.begin(telling)
    marking.guides_mark(telling)
    push(telling, Channel.SINGLE, "会员日签到有礼")
    # Who turns out to be no friend is left out of the next pushes: these must find everybody told.
    to_the_end(telling)
    push(telling, Channel.GROUP, "群里见")
    push(telling, Channel.MOMENTS, "秋天的果园")
    loops(telling, rounds=8)
    injected = trouble.over() if trouble else Counter[str]()
    telling.inbox_empty()
    _compare(telling)
    _sync(telling)
    marking.agree(telling)
    to_the_end(telling)
    return ended(telling, injected)
