"""The inbox of callbacks: what WeCom tells is checked, kept as it came and acknowledged at once; the work comes after.

    receive ──> InboxItem (pending) ──> drain: claim ──> handlers ──> done
                                                   └── fails ──> due again later … ──> failed ──> replay

An event that WeCom delivers twice is one row (`dedupe_key`). Handlers may be called again for the same item and must be
harmless then. One drain per brand runs at a time, so that a contact's events are handled in the order they came;
customers just added come first, since their welcome code dies after 20 seconds."""

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext_lazy as _

from scrm.lib.errors import Conflict, found
from tenants.scope import brand_scope
from wecom import crypto
from wecom.crypto import Seal
from wecom.errors import BadCallback, Misconfigured, StillDispatching, Throttled, Unreachable
from wecom.models import CallbackEndpoint, Corp, InboxItem

logger = logging.getLogger("wecom")

LEASE = timedelta(minutes=3)
"""A claimed item comes back after this if its worker died."""
BACKOFF = tuple(timedelta(seconds=seconds) for seconds in (5, 30, 120, 600, 1800, 7200))
PATIENT_STEPS = 4
"""Who only waits for WeCom or an operator asks every ten minutes in the end."""
WELCOME_SECONDS = 20
# The same change reported to two apps of the corp, or delivered twice, differs in these at most.
_NOT_THE_CHANGE = {"ToUserName", "AgentID", "WelcomeCode"}


@dataclass(frozen=True, slots=True)
class CallbackEvent:
    """A callback as a handler gets it. `payload` holds WeCom's fields by their XML names (reference §21), as text."""

    item_id: int
    brand_id: int
    corp_id: int
    corpid: str
    event: str
    change_type: str
    payload: dict[str, Any]
    received_at: datetime

    def text(self, name: str) -> str:
        """A field, empty when absent."""
        value = self.payload.get(name)
        return value if isinstance(value, str) else ""

    def items(self, name: str) -> list[str]:
        """A list field (`<MemChangeList><Item>…`), empty when absent."""
        inner = self.payload.get(name)
        rows = inner.get("Item") if isinstance(inner, dict) else None
        return [str(row) for row in rows] if isinstance(rows, list) else [str(rows)] if rows else []


Handler = Callable[[CallbackEvent], None]
_handlers: dict[str, list[Handler]] = {}


def register(event: str, handler: Handler) -> None:
    """Let `handler` work on callbacks of this event (`change_external_contact`). Several are called in this order.

    It opens its own scopes, may call WeCom, must be idempotent. Raising: all handlers run again later."""
    handlers = _handlers.setdefault(event, [])
    if handler not in handlers:
        handlers.append(handler)


# -- receiving --------------------------------------------------------------------------------------------------------


def verify_url(*, endpoint_id: UUID, seal: Seal, echostr: str) -> str:
    """The plain echo of WeCom's handshake (§4.2). Opens its own scope. Raises NotFound, BadCallback."""
    _brand_id, corp = _corp_behind(endpoint_id)
    return _opened(corp, echostr, seal)


def receive(*, endpoint_id: UUID, seal: Seal, body: bytes, at: datetime, wake: Callable[[int], Any]) -> bool:
    """Check and keep a posted callback (§4.3); False for one that is here already, which changes nothing.

    Opens its own scope; `wake(brand_id)` is called after the commit of a new one. Raises NotFound, BadCallback: nothing
    is kept."""
    brand_id, corp = _corp_behind(endpoint_id)
    payload = crypto.message(_opened(corp, crypto.envelope(body), seal))
    event = str(payload.get("Event") or payload.get("InfoType") or payload.get("MsgType") or "")
    if not event:
        raise BadCallback(_("回调里没有事件类型。"))
    kept = {
        "event": event[:64],
        "change_type": str(payload.get("ChangeType") or "")[:64],
        "payload": payload,
        "received_at": at,
        "due_at": at,
    }
    with brand_scope(brand_id):
        item, new = InboxItem.objects.get_or_create(corp_id=corp.pk, dedupe_key=dedupe_key(payload), defaults=kept)
        if new:
            transaction.on_commit(lambda: wake(brand_id))
    logger.info("wecom.callback", extra={"brand": brand_id, "item": item.pk, "event": item.event, "new": new})
    return new


def dedupe_key(payload: dict[str, Any]) -> str:
    """What happened, as a hash: all fields but those that vary between deliveries; a message is its MsgId."""
    said = {"MsgId": payload["MsgId"]} if payload.get("MsgId") else payload
    said = {name: value for name, value in said.items() if name not in _NOT_THE_CHANGE}
    return hashlib.sha256(json.dumps(said, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _corp_behind(endpoint_id: UUID) -> tuple[int, Corp]:
    endpoint = found(CallbackEndpoint.objects.filter(pk=endpoint_id))
    with brand_scope(endpoint.brand_id):
        return endpoint.brand_id, found(Corp.objects.filter(pk=endpoint.corp_id))


def _opened(corp: Corp, sealed: str, seal: Seal) -> str:
    keys = {"token": corp.callback_token, "aes_key": corp.callback_aes_key}
    return crypto.opened(sealed, seal, corpid=corp.corpid, **keys)


# -- draining ---------------------------------------------------------------------------------------------------------


def drain_one(*, brand_id: int, clock: Callable[[], datetime]) -> bool:
    """Handle the brand's most urgent due item; False when none is due. Opens its own scopes.

    `clock` tells the time before and after, since handlers may take long."""
    event = _claim(brand_id=brand_id, at=clock())
    if event is None:
        return False
    handlers = _handlers.get(event.event)
    if not handlers:
        _finish(event, InboxItem.Status.IGNORED, clock())
        return True
    try:
        for handler in handlers:
            handler(event)
    except Exception as failure:  # a handler of another app: whatever it raises, the item is kept and tried again
        _postpone(event, failure, clock())
    else:
        _finish(event, InboxItem.Status.DONE, clock())
    return True


def replay(item_id: int, *, at: datetime) -> None:
    """Let a handled, failed or ignored item be handled anew. Scoped; a drain takes it. Raises NotFound, Conflict."""
    item = InboxItem.objects.filter(pk=item_id)
    changed = item.exclude(status=InboxItem.Status.PENDING).update(
        status=InboxItem.Status.PENDING, attempts=0, due_at=at, processed_at=None, error=""
    )
    if not changed:
        found(item)
        raise Conflict(_("这条回调正在等待处理。"))


def has_due(*, brand_id: int, at: datetime) -> bool:
    """Whether anything waits to be handled now. Opens its own scope."""
    with brand_scope(brand_id):
        return InboxItem.objects.filter(status=InboxItem.Status.PENDING, due_at__lte=at).exists()


def _claim(*, brand_id: int, at: datetime) -> CallbackEvent | None:
    """Take the next due item for the time of a lease; a welcome that can still be said comes first."""
    with brand_scope(brand_id):
        due = InboxItem.objects.filter(status=InboxItem.Status.PENDING, due_at__lte=at)
        due = due.select_for_update(skip_locked=True, of=("self",)).order_by("due_at", "id")
        greetable = due.filter(received_at__gt=at - timedelta(seconds=WELCOME_SECONDS), payload__has_key="WelcomeCode")
        item = greetable.first() or due.first()  # each by its own index, however long the queue
        if item is None:
            return None
        InboxItem.objects.filter(pk=item.pk).update(attempts=F("attempts") + 1, due_at=at + LEASE)
        corpid = Corp.objects.values_list("corpid", flat=True).get(pk=item.corp_id)
    return CallbackEvent(
        item_id=item.pk,
        brand_id=brand_id,
        corp_id=item.corp_id,
        corpid=corpid,
        event=item.event,
        change_type=item.change_type,
        payload=item.payload,
        received_at=item.received_at,
    )


def _finish(event: CallbackEvent, status: str, at: datetime) -> None:
    with brand_scope(event.brand_id):
        InboxItem.objects.filter(pk=event.item_id).update(status=status, processed_at=at, error="")


def _postpone(event: CallbackEvent, failure: Exception, at: datetime) -> None:
    """Due again later. What only waits for WeCom or for an operator never gives up; the rest ends as failed."""
    patient = isinstance(failure, Unreachable | Throttled | Misconfigured | StillDispatching)
    ids = {"brand": event.brand_id, "item": event.item_id, "event": event.event}
    if patient:
        logger.info("wecom.inbox.postponed", extra={**ids, "reason": str(failure)})
    else:
        logger.error("wecom.inbox.failed", extra=ids, exc_info=failure)
    with brand_scope(event.brand_id):
        item = found(InboxItem.objects.filter(pk=event.item_id))
        ladder = BACKOFF[:PATIENT_STEPS] if patient else BACKOFF
        wait = ladder[min(item.attempts, len(ladder)) - 1]
        if isinstance(failure, Throttled):
            wait = max(wait, timedelta(seconds=failure.retry_after))
        over = not patient and item.attempts > len(BACKOFF)
        InboxItem.objects.filter(pk=item.pk).update(
            status=InboxItem.Status.FAILED if over else InboxItem.Status.PENDING,
            due_at=at + wait,
            processed_at=at if over else None,
            error=f"{type(failure).__name__}: {failure}"[:1000],
        )
