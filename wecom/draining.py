"""Working through the inbox: claim some items, hand them to their handlers, write down what came of it.

One drain per brand runs at a time (`wecom.tasks`), so that a contact's events are handled in the order they came.
An item that fails costs its neighbours nothing; one over which workers die is taken up alone, and in the end given up.
WelcomeCodes die after 20 seconds: they are taken up apart from all that, by `greet_some`."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby, takewhile

from django.db import connection
from django.db.models import F, QuerySet
from django.db.models.functions import Least

from tenants.scope import brand_scope
from wecom import inbox
from wecom.errors import Misconfigured, StillDispatching, Throttled, Unreachable, WeComError
from wecom.inbox import CallbackEvent, ManyHandler, NotYet, OneByOne
from wecom.models import Corp, InboxItem

logger = logging.getLogger("wecom")

CLAIMED_AT_ONCE = 100
GREETED_AT_ONCE = 40
LEASE = timedelta(minutes=3)
"""A claimed item comes back after this if its worker died."""
HURRY = LEASE / 2
"""What has not been begun by then is put back, so that nobody else begins it beside us."""
BACKOFF = tuple(timedelta(seconds=seconds) for seconds in (5, 30, 120, 600, 1800, 7200))
SUSPECT, HOPELESS = 2, 5
"""begun so often without an end: taken up alone, so that its death is its own; given up"""
FURTHEST = timedelta(hours=3)
"""nothing is ever put off for longer: what is due later was written by a clock that was wrong"""
PATIENT_STEPS = 4
"""Who only waits for WeCom or an operator asks every ten minutes in the end."""

Clock = Callable[[], datetime]


def has_due(*, brand_id: int, at: datetime) -> bool:
    """Whether anything waits to be handled now. Opens its own scope."""
    with brand_scope(brand_id):
        return InboxItem.objects.filter(status=InboxItem.Status.PENDING, due_at__lte=at).exists()


def has_welcome(*, brand_id: int) -> bool:
    """Whether a WelcomeCode waits. Opens its own scope."""
    with brand_scope(brand_id):
        return InboxItem.objects.filter(welcome_due=True).exists()


def drain_some(
    *, brand_id: int, clock: Clock, alive: Callable[[], object] = lambda: None, limit: int = CLAIMED_AT_ONCE
) -> int:
    """Handle the brand's next due items, at most `limit`; how many. Opens its own scopes.

    `clock` tells the time before and after, since handlers may take long; `alive` is called between portions."""
    began = clock()
    events = _claim(brand_id=brand_id, at=began, limit=limit)
    for portion in _portions(events):
        alive()
        if clock() - began > HURRY:
            _put_back(portion, clock())
            continue
        handlers = inbox.handlers_of(portion[0].event)
        failed = _handle(portion) if handlers else {}
        if not connection.in_atomic_block:  # a test's own
            # A database that restarted under the handler has left this thread a dead connection.
            connection.close_if_unusable_or_obsolete()
        done = InboxItem.Status.DONE if handlers else InboxItem.Status.IGNORED
        _finish(portion, failed, done, clock())
    return len(events)


def greet_some(*, brand_id: int, limit: int = GREETED_AT_ONCE) -> int:
    """Hand the WelcomeCodes that wait to the greeters, each once; how many. Opens its own scopes."""
    with brand_scope(brand_id):
        waiting = InboxItem.objects.filter(welcome_due=True).order_by("received_at")
        items = list(waiting.select_for_update(skip_locked=True, of=("self",))[:limit])
        InboxItem.objects.filter(pk__in=[item.pk for item in items]).update(welcome_due=False)
        events = _events(items)
    if not events:
        return 0
    again: set[int] = set()
    for greeter in inbox.greeters():
        try:
            again.update(greeter(events))
        except Exception as failure:  # a welcome is a courtesy: its failure costs neither the customer nor the inbox
            logger.error("wecom.greeter.failed", extra={"brand": brand_id, "items": len(events)}, exc_info=failure)
    if again:
        with brand_scope(brand_id):
            InboxItem.objects.filter(pk__in=again).update(welcome_due=True)
    return len(events) - len(again)


def mend_clock(*, brand_id: int, at: datetime) -> int:
    """Items that a clock gone wrong put off too far are due now; how many. Opens its own scope."""
    with brand_scope(brand_id):
        waiting = InboxItem.objects.filter(status=InboxItem.Status.PENDING)
        return waiting.filter(due_at__gt=at + FURTHEST).update(due_at=at)


def _claim(*, brand_id: int, at: datetime, limit: int) -> list[CallbackEvent]:
    """Take the next due items for the time of a lease, in the order they came."""
    with brand_scope(brand_id):
        due = InboxItem.objects.filter(status=InboxItem.Status.PENDING, due_at__lte=at).order_by("due_at", "id")
        items = _together(list(due.select_for_update(skip_locked=True, of=("self",))[:limit]))
        while items and items[0].begun >= HOPELESS:
            _give_up(items[0], at)
            items = _together(list(due.select_for_update(skip_locked=True, of=("self",))[:limit]))
        _rows(item.pk for item in items).update(attempts=F("attempts") + 1, begun=F("begun") + 1, due_at=at + LEASE)
        return _events(items)


def _together(items: Sequence[InboxItem]) -> list[InboxItem]:
    """Those to be taken up at once: a suspect alone, else all before the first suspect."""
    if items and items[0].begun >= SUSPECT:
        return [items[0]]
    return list(takewhile(lambda item: item.begun < SUSPECT, items))


def _give_up(item: InboxItem, at: datetime) -> None:
    """Whoever handled it died each time. Scoped."""
    ids = {"brand": item.brand_id, "item": item.pk, "event": item.event}
    logger.error("wecom.inbox.deadly", extra=ids)
    error = f"WorkerLost: the worker ended {item.begun} times while it handled this"
    _rows([item.pk]).update(status=InboxItem.Status.FAILED, processed_at=at, error=error, begun=0)


def _events(items: Sequence[InboxItem]) -> list[CallbackEvent]:
    """Scoped."""
    corpids = dict(Corp.objects.filter(pk__in={item.corp_id for item in items}).values_list("pk", "corpid"))
    return [
        CallbackEvent(
            item_id=item.pk,
            brand_id=item.brand_id,
            corp_id=item.corp_id,
            corpid=corpids[item.corp_id],
            event=item.event,
            change_type=item.change_type,
            payload=item.payload,
            received_at=item.received_at,
        )
        for item in items
    ]


def _portions(events: Sequence[CallbackEvent]) -> Iterator[list[CallbackEvent]]:
    """Neighbours that one call of their handlers can take: of one corp and one event; else one at a time."""
    for _key, neighbours in groupby(events, key=lambda event: (event.corp_id, event.event)):
        together = list(neighbours)
        if any(isinstance(handler, OneByOne) for handler in inbox.handlers_of(together[0].event)):
            yield from ([each] for each in together)
        else:
            yield together


def _handle(events: Sequence[CallbackEvent]) -> dict[int, Exception]:
    """What failed, by item id. Whom one handler failed, the next one does not get: all run again later."""
    failed: dict[int, Exception] = {}
    for handler in inbox.handlers_of(events[0].event):
        left = [event for event in events if event.item_id not in failed]
        if left:
            failed.update(_handed(handler, left))
    return failed


def _handed(handler: ManyHandler, events: Sequence[CallbackEvent]) -> Mapping[int, Exception]:
    """What the handler failed at. When it fails at all of several, each is tried alone, so that only those fail that
    are at fault; unless WeCom is out of reach, which each would only find out again."""
    try:
        return handler(events)
    except Exception as failure:  # a handler of another app: whatever it raises, the items are kept
        if len(events) == 1 or isinstance(failure, WeComError):
            return {event.item_id: failure for event in events}
    logger.warning("wecom.inbox.one_by_one", extra={"brand": events[0].brand_id, "items": len(events)})
    failed: dict[int, Exception] = {}
    for event in events:
        failed.update(_handed(handler, [event]))
    return failed


def _finish(events: Sequence[CallbackEvent], failed: Mapping[int, Exception], status: str, at: datetime) -> None:
    fine = [event.item_id for event in events if event.item_id not in failed]
    with brand_scope(events[0].brand_id):
        _rows(fine).update(status=status, processed_at=at, error="", begun=0)
        attempts = dict(_rows(failed).values_list("pk", "attempts"))
        for event in events:
            if event.item_id in failed:
                _postpone(event, failed[event.item_id], attempts.get(event.item_id, 1), at)


def _postpone(event: CallbackEvent, failure: Exception, attempts: int, at: datetime) -> None:
    """Due again later. What only waits for WeCom or an operator never gives up; the rest ends as failed. Scoped."""
    patient = isinstance(failure, Unreachable | Throttled | Misconfigured | StillDispatching)
    ids = {"brand": event.brand_id, "item": event.item_id, "event": event.event}
    if patient or isinstance(failure, NotYet):
        logger.info("wecom.inbox.postponed", extra={**ids, "reason": str(failure)})
    else:
        logger.error("wecom.inbox.failed", extra=ids, exc_info=failure)
    ladder = BACKOFF[:PATIENT_STEPS] if patient else BACKOFF
    wait = ladder[max(min(attempts, len(ladder)), 1) - 1]
    if isinstance(failure, Throttled):
        wait = max(wait, timedelta(seconds=failure.retry_after))
    over = not patient and attempts > len(BACKOFF)
    _rows([event.item_id]).update(
        status=InboxItem.Status.FAILED if over else InboxItem.Status.PENDING,
        due_at=at + wait,
        processed_at=at if over else None,
        begun=0,
        error=f"{type(failure).__name__}: {failure}"[:1000].replace("\0", "�"),
    )


def _put_back(events: Sequence[CallbackEvent], at: datetime) -> None:
    """Due again, at their place before those that came later."""
    with brand_scope(events[0].brand_id):
        _rows(event.item_id for event in events).update(
            due_at=Least(F("received_at"), at), attempts=F("attempts") - 1, begun=F("begun") - 1
        )


def _rows(ids: object) -> QuerySet[InboxItem]:
    return InboxItem.objects.filter(pk__in=list(ids))  # type: ignore[call-overload]
