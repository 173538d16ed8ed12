"""The inbox of callbacks: what WeCom tells is checked, kept as it came and acknowledged at once; the work comes after.

    receive ──> InboxItem (pending) ──> wecom.draining ──> handlers ──> done
                    │                        └── fails ──> due again later … ──> failed ──> replay
                    └── has a WelcomeCode ──> greeter, from a queue of its own

An event that WeCom delivers twice is one row (`dedupe_key`). Handlers may be called again for the same item and must be
harmless then. This module receives and keeps; what then happens to an item is in `wecom.draining`."""

import hashlib
import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from scrm.lib.errors import Conflict, NotFound, found
from tenants.scope import brand_scope
from tenants.secrets import decrypt
from wecom import crypto, troubles
from wecom.callback_keys import SELF_CHECK
from wecom.crypto import Seal
from wecom.errors import BadCallback
from wecom.models import CallbackEndpoint, Corp, InboxItem

logger = logging.getLogger("wecom")

WELCOME_TIME = timedelta(seconds=20)
"""how long a WelcomeCode lives (api-reference §12.4)"""
KEPT = timedelta(days=30)
"""how long a callback that was handled or ignored is kept; failed ones stay until they are replayed"""
SWEPT_AT_ONCE = 2000
REPLAYED_AT_ONCE = 5000
UNREADABLE = "unreadable"
"""event name of a message that was sealed rightly and cannot be read"""
UNNAMED = "unnamed"
DEEPEST = 50
"""levels of nesting in a message; WeCom's have three"""

# How a message is wrapped, not what happened: these differ between the two envelopes (§4.4), two apps of one corp, or
# two deliveries. What they say of the event itself is in the key under a name of its own.
_ENVELOPE = {"ToUserName", "AgentID", "WelcomeCode", "SuiteId", "AuthCorpId", "MsgType"}
_ENVELOPE |= {"Event", "InfoType", "CreateTime", "TimeStamp", "FromUserName"}
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")

# Plain SQL: at 200 callbacks a second, building the same two queries anew is a third of what the door costs.
WHOSE = "SELECT brand_id, corp_id FROM wecom_callbackendpoint WHERE id = %s::uuid"
KEYS = "SELECT corpid, callback_token, callback_aes_key FROM wecom_corp WHERE id = %s::bigint"
KEEP = """
INSERT INTO wecom_inboxitem (brand_id, corp_id, dedupe_key, event, change_type, payload, received_at, status, attempts,
                             due_at, error, welcome_due)
VALUES (%(brand)s, %(corp)s, %(key)s, %(event)s, %(change)s, %(payload)s, %(at)s, 'pending', 0, %(at)s, '', %(welcome)s)
ON CONFLICT (brand_id, corp_id, dedupe_key) DO NOTHING
RETURNING id
"""


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
        rows = inner.get("Item") if isinstance(inner, dict) else inner
        return [str(row) for row in rows] if isinstance(rows, list) else [str(rows)] if rows else []


class NotYet(Exception):
    """WeCom does not show yet what its callback told (reference §4.3): a handler raises it to be called again."""


Handler = Callable[[CallbackEvent], None]
ManyHandler = Callable[[Sequence[CallbackEvent]], Mapping[int, Exception]]
"""some events of one brand in the order they came -> what failed, by item id"""
Greeter = Callable[[Sequence[CallbackEvent]], Sequence[int]]
"""events with a WelcomeCode -> ids of the items to offer again while their code lives"""
Wake = Callable[[int, bool], Any]
"""(brand_id, whether a welcome waits)"""


@dataclass(frozen=True, slots=True)
class OneByOne:
    """A handler of single events in the form of one of many."""

    handler: Handler

    def __call__(self, events: Sequence[CallbackEvent]) -> Mapping[int, Exception]:
        failed: dict[int, Exception] = {}
        for event in events:
            try:
                self.handler(event)
            except Exception as failure:  # whatever a handler of another app raises, the item is kept and tried again
                failed[event.item_id] = failure
        return failed


_handlers: dict[str, list[ManyHandler]] = {}
_greeters: list[Greeter] = []


def register(event: str, handler: Handler) -> None:
    """Let `handler` work on callbacks of this event (`change_external_contact`). Several are called in this order.

    It opens its own scopes, may call WeCom, must be idempotent. Raising: all handlers run again later."""
    register_many(event, OneByOne(handler))


def register_many(event: str, handler: ManyHandler) -> None:
    """The same for a handler that takes what has gathered at once: it returns the failures by item id.

    When it raises, every item of that call has failed."""
    handlers = _handlers.setdefault(event, [])
    if handler not in handlers:
        handlers.append(handler)


def handlers_of(event: str) -> Sequence[ManyHandler]:
    """Who works on this event."""
    return _handlers.get(event, [])


def register_greeter(greeter: Greeter) -> None:
    """Let `greeter` answer WelcomeCodes. It is called once for each, soon, and not in the order of the inbox.

    It opens its own scopes and calls WeCom; what it returns is offered to it again."""
    if greeter not in _greeters:
        _greeters.append(greeter)


def greeters() -> Sequence[Greeter]:
    """Who answers WelcomeCodes."""
    return _greeters


# -- receiving --------------------------------------------------------------------------------------------------------


def verify_url(*, endpoint_id: UUID, seal: Seal, echostr: str, at: datetime) -> str:
    """The plain echo of WeCom's handshake (§4.2), noted on the corp. Opens its own scope. Raises NotFound, BadCallback.

    An echo of our own, by which the connection check looks at the address, is not WeCom's handshake."""
    endpoint = found(CallbackEndpoint.objects.filter(pk=endpoint_id))
    with brand_scope(endpoint.brand_id):
        corp = found(Corp.objects.filter(pk=endpoint.corp_id))
        echo = _opened(corp, echostr, seal)
        if not echo.startswith(SELF_CHECK):
            Corp.objects.filter(pk=corp.pk).update(callback_verified_at=at)
    return echo


def receive(*, endpoint_id: UUID, seal: Seal, body: bytes, at: datetime, wake: Wake) -> bool:
    """Check and keep a posted callback (§4.3); False for one that is here already, which changes nothing.

    Opens its own scope; `wake(brand_id, is_welcome)` is called after the commit of a new one. A message that was sealed
    rightly is kept even if it cannot be read. Raises NotFound; BadCallback: nothing is kept, and the corp is told."""
    brand_id, corp_id = _one(WHOSE, endpoint_id)
    try:
        with brand_scope(brand_id):
            corpid, token, aes_key = _one(KEYS, corp_id)
            keys = {"token": decrypt(token) if token else "", "aes_key": decrypt(aes_key) if aes_key else ""}
            fields = _read(crypto.opened(crypto.envelope(body), seal, corpid=corpid, **keys))
            item_id = _keep(brand_id, corp_id, fields, at)
            if item_id is not None:
                transaction.on_commit(lambda: wake(brand_id, _has_welcome(fields)))
    except BadCallback as refusal:
        troubles.note_refused_callback(brand_id=brand_id, corp_id=corp_id, code=refusal.problem_code, at=at)
        raise
    logger.info("wecom.callback", extra={"brand": brand_id, "item": item_id, "event": event_of(fields)})
    return item_id is not None


def keep_opened(*, brand_id: int, corp_id: int, plain: str, at: datetime, wake: Wake) -> bool:
    """Keep a message that was opened elsewhere, as a suite's command URL does; False for one that is here already.

    Opens its own scope. Raises NotFound."""
    with brand_scope(brand_id):
        fields = _read(plain)
        found(Corp.objects.filter(pk=corp_id))
        item_id = _keep(brand_id, corp_id, fields, at)
        if item_id is not None:
            transaction.on_commit(lambda: wake(brand_id, _has_welcome(fields)))
    logger.info("wecom.callback", extra={"brand": brand_id, "item": item_id, "event": event_of(fields)})
    return item_id is not None


def event_of(fields: Mapping[str, Any]) -> str:
    """What kind of event it is, in either envelope; messages by their type."""
    named = fields.get("Event") or fields.get("InfoType") or fields.get("MsgType")
    return named if isinstance(named, str) else UNNAMED


def told_at(fields: Mapping[str, Any]) -> str:
    """Unix seconds by WeCom's clock, as it wrote them; empty if it did not."""
    told = fields.get("CreateTime") or fields.get("TimeStamp") or ""
    return told if isinstance(told, str) else ""


def dedupe_key(fields: Mapping[str, Any]) -> str:
    """What happened, as a hash: the same for both envelopes, for two apps of the corp, and for a repeated delivery.

    A message is its MsgId; an event what it is, when it was and all it says (§4.3)."""
    if fields.get("MsgId"):
        said: dict[str, Any] = {"MsgId": fields["MsgId"]}
    else:
        said = {name: value for name, value in fields.items() if name not in _ENVELOPE}
        said |= {"/event": event_of(fields), "/at": told_at(fields)}
        if fields.get("FromUserName") not in (None, "", "sys"):
            said["/from"] = fields["FromUserName"]  # a member, in events of an app
    return hashlib.sha256(json.dumps(said, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _read(plain: str) -> dict[str, Any]:
    """The message's fields, all text; of one that can't be read, the text itself under the event `unreadable`."""
    try:
        fields = _storable(crypto.message(plain), DEEPEST)
    except (BadCallback, RecursionError):
        return {"Event": UNREADABLE, "Text": _UNSTORABLE.sub("�", plain)}
    return dict(fields)


def _storable(value: Any, levels: int) -> Any:
    """As XML would have told it: numbers as text, and nothing that the database cannot hold."""
    if levels == 0:
        raise RecursionError
    if isinstance(value, dict):
        return {_UNSTORABLE.sub("�", name): _storable(inner, levels - 1) for name, inner in value.items()}
    if isinstance(value, list):
        return [_storable(inner, levels - 1) for inner in value]
    return "" if value is None else _UNSTORABLE.sub("�", str(value))


def _one(query: str, key: object) -> Any:
    """The one row of a query by key. Raises NotFound."""
    with connection.cursor() as cursor:
        cursor.execute(query, [str(key)])
        row = cursor.fetchone()
    if row is None:
        raise NotFound
    return row


def _keep(brand_id: int, corp_id: int, fields: Mapping[str, Any], at: datetime) -> int | None:
    """The new row's id, None if it is there already. Scoped."""
    change = fields.get("ChangeType")
    row: dict[str, Any] = {
        "brand": brand_id,
        "corp": corp_id,
        "key": dedupe_key(fields),
        "event": event_of(fields)[:64],
        "change": change[:64] if isinstance(change, str) else "",
        "payload": json.dumps(fields, ensure_ascii=False),
        "at": at,
        "welcome": _has_welcome(fields),
    }
    with connection.cursor() as cursor:
        cursor.execute(KEEP, row)
        new = cursor.fetchone()
    return new[0] if new else None


def _has_welcome(fields: Mapping[str, Any]) -> bool:
    return bool(fields.get("WelcomeCode"))


def _opened(corp: Corp, sealed: str, seal: Seal) -> str:
    keys = {"token": corp.callback_token, "aes_key": corp.callback_aes_key}
    return crypto.opened(sealed, seal, corpid=corp.corpid, **keys)


# -- operators and retention ------------------------------------------------------------------------------------------

AGAIN: dict[str, Any] = {
    "status": InboxItem.Status.PENDING,
    "attempts": 0,
    "begun": 0,
    "processed_at": None,
    "error": "",
}


def replay(item_id: int, *, at: datetime) -> None:
    """Let a handled, failed or ignored item be handled anew. Scoped; a drain takes it. Raises NotFound, Conflict.

    So does one that waits for its next try: then it is tried now. Conflict: it is being handled this moment."""
    item = InboxItem.objects.filter(pk=item_id)
    if not _replayable(at).filter(pk=item_id).update(**AGAIN, due_at=at):
        found(item)
        raise Conflict(_("这条回调正在等待处理。"))


def replay_all(*, status: str, event: str = "", at: datetime) -> int:
    """The same for every item of a status (and event), oldest first, up to 5,000; how many. Scoped."""
    rows = _replayable(at).filter(status=status)
    if event:
        rows = rows.filter(event=event)
    oldest = list(rows.order_by("received_at", "id").values_list("pk", flat=True)[:REPLAYED_AT_ONCE])
    return InboxItem.objects.filter(pk__in=oldest).update(**AGAIN, due_at=at)


def _replayable(at: datetime) -> QuerySet[InboxItem]:
    """Not those that are due: they are being handled, or next in line. A failed try puts the time of the next ahead."""
    waits_for_a_try = Q(due_at__gt=at, begun=0) & ~Q(error="")
    return InboxItem.objects.filter(~Q(status=InboxItem.Status.PENDING) | waits_for_a_try)


def sweep_old(*, brand_id: int, at: datetime) -> int:
    """Delete what was handled or ignored more than `KEPT` ago, in ranges of a short transaction each; how many.

    Opens its own scopes."""
    gone = 0
    while True:
        with brand_scope(brand_id):
            over = InboxItem.objects.filter(received_at__lt=at - KEPT)
            over = over.filter(status__in=[InboxItem.Status.DONE, InboxItem.Status.IGNORED])
            ids = list(over.order_by("received_at").values_list("pk", flat=True)[:SWEPT_AT_ONCE])
            gone += InboxItem.objects.filter(pk__in=ids).delete()[0] if ids else 0
        if len(ids) < SWEPT_AT_ONCE:
            return gone
