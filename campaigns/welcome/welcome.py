"""欢迎语: what a customer hears right after adding a guide.

WeCom gives a code with the callback, good for one message within 20 seconds. So this does not wait in the inbox: the
greeter is handed each code once, in a queue of its own (wecom.tasks.greet_inbox). Sending is never repeated when its
end is unclear; only a call that certainly did nothing is made again, while the code lives. What came of it is in the
behaviour log: welcome_sent, welcome_failed."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Count
from django.utils import timezone
from django.utils.translation import gettext as _

from campaigns.contents import attached, contents, media_use
from campaigns.models import Channel, Content, Welcome
from contacts.models import Staff
from contacts.oneid.identity import canonical
from contacts.sets import clean
from events import log
from events.models import Event
from media import copies, keeping
from media.models import Kept
from media.tasks import refresh_brand
from scrm.lib.errors import FieldError, Invalid, found
from scrm.lib.ids import made_id
from tenants import audit
from tenants.actors import Actor
from tenants.scope import brand_scope
from wecom import inbox
from wecom.client import WeComClient, client_for
from wecom.errors import Misconfigured, Rejected, Throttled, Unreachable, WeComError
from wecom.inbox import CallbackEvent
from wecom.models import Corp

logger = logging.getLogger(__name__)

ADDED = ("add_external_contact", "add_half_external_contact")
"""the events whose code is for a welcome (api-reference §21.1)"""
SENT_AT_ONCE = 4
TOO_LATE = "wecom.welcome_too_late"
SHOWN_DAYS = 7
WAIT_FOR_FILES = timedelta(seconds=10)
"""half of the code's time: after it the words go without a file that WeCom does not have yet"""
FILES_SECONDS = 3.0
LONGEST_IDENTITY = 200
"""characters that the log keeps"""


@dataclass(frozen=True, slots=True)
class Message:
    """What is said to one customer. `without`: problem code of a file that had to stay behind."""

    welcome_id: int
    text: str
    attachments: list[dict[str, Any]]
    without: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one code. `reason`: problem code, empty when it was sent."""

    event: CallbackEvent
    message: Message
    reason: str


def register() -> None:
    """Called when the app starts."""
    inbox.register_greeter(greet)


def choose(event: CallbackEvent, by_corp: Mapping[int, Welcome]) -> Message | None:
    """What this customer is told, None for nothing. The one place that decides it: so far one welcome per corp."""
    welcome = by_corp.get(event.corp_id)
    if welcome is None:
        return None
    text = welcome.content.text if welcome.content is not None else welcome.text
    return Message(welcome.pk, text, media_use.welcome_attachments(welcome))


def greet(events: Sequence[CallbackEvent]) -> list[int]:
    """Answer these WelcomeCodes; the items that are worth another try. Opens its own scopes.

    A code that is over is not used: that is an outcome as well."""
    brand_id = events[0].brand_id
    with brand_scope(brand_id):
        rows = Welcome.objects.select_related("content", "media").filter(
            corp__in={event.corp_id for event in events}, is_on=True
        )
        by_corp = {welcome.corp_id: welcome for welcome in rows}
    clients, ended = _clients(brand_id, by_corp)
    wished = [
        (event, message)
        for event in events
        if event.change_type in ADDED and (message := choose(event, by_corp)) is not None
    ]
    told = [pair for pair in wished if pair[0].corp_id in clients]
    ready = _with_files(brand_id, told, clients)
    answers = []
    if ready:
        with ThreadPoolExecutor(max_workers=min(SENT_AT_ONCE, len(ready))) as senders:
            answers = list(senders.map(lambda pair: _send(clients[pair[0].corp_id], *pair), ready))
    outcomes = [each for each in answers if each is not None]
    outcomes += [Outcome(event, said, ended[event.corp_id]) for event, said in wished if event.corp_id in ended]
    if not wished:
        return []
    with brand_scope(brand_id):
        over = [outcome for outcome in outcomes if not _is_renewed(outcome, by_corp)]
        _tell(over, at=timezone.now())
    done = {outcome.event.item_id for outcome in over}
    return [event.item_id for event, _message in told if event.item_id not in done]


def _clients(brand_id: int, corp_ids: Iterable[int]) -> tuple[dict[int, WeComClient], dict[int, str]]:
    """The corps' clients, and why others have none: a corp that was disconnected costs another's customers nothing."""
    clients: dict[int, WeComClient] = {}
    ended: dict[int, str] = {}
    for corp_id in corp_ids:
        try:
            clients[corp_id] = client_for(brand_id=brand_id, corp_id=corp_id)
        except Misconfigured as trouble:
            ended[corp_id] = trouble.problem_code
    return clients, ended


def _with_files(
    brand_id: int, told: Sequence[tuple[CallbackEvent, Message]], clients: Mapping[int, WeComClient]
) -> list[tuple[CallbackEvent, Message]]:
    """What is said, with its files as WeCom takes them now: once per corp and message, not once per customer.

    They are there already, refreshed ahead (media.tasks.refresh). Where one is not and cannot be had soon, those who
    have waited long hear the rest; the others are left for another try. Opens its own scopes."""
    found: dict[tuple[int, int], list[dict[str, Any]] | WeComError] = {}
    ready = []
    for event, message in told:
        key = (event.corp_id, message.welcome_id)
        if key not in found:
            found[key] = _files(brand_id, event.corp_id, message, clients[event.corp_id])
        files = found[key]
        if not isinstance(files, WeComError):
            ready.append((event, replace(message, attachments=files)))
        elif isinstance(files, Rejected) or timezone.now() - event.received_at >= WAIT_FOR_FILES:
            rest = [item for item in message.attachments if not attached.named([item])]
            ready.append((event, replace(message, attachments=rest, without=files.problem_code)))
    return ready


def _files(brand_id: int, corp_id: int, message: Message, wecom: WeComClient) -> list[dict[str, Any]] | WeComError:
    try:
        return attached.ready(
            brand_id=brand_id,
            corp_id=corp_id,
            channel=Channel.SINGLE,
            attachments=message.attachments,
            wecom=wecom,
            at=timezone.now(),
            patience=FILES_SECONDS,
        )
    except WeComError as trouble:
        ids = {"brand": brand_id, "corp": corp_id, "code": trouble.problem_code}
        logger.warning("campaigns.welcome.no_file", extra=ids)
        return trouble


def _is_renewed(outcome: Outcome, by_corp: Mapping[int, Welcome]) -> bool:
    """Whether WeCom refused for a file that it has forgotten: it gets it again; then the welcome goes out. Scoped."""
    if outcome.reason != copies.EXPIRED:
        return False
    corp_id = outcome.event.corp_id
    ids = attached.named(media_use.welcome_attachments(by_corp[corp_id]))
    return bool(copies.forget(corp_id=corp_id, media_ids=ids, made_before=outcome.event.received_at))


def _send(wecom: WeComClient, event: CallbackEvent, message: Message) -> Outcome | None:
    """None: nothing was done, and it is worth another try."""
    if timezone.now() - event.received_at >= inbox.WELCOME_TIME:
        return Outcome(event, message, TOO_LATE)
    if not message.text and not message.attachments:
        return Outcome(event, message, message.without)
    try:
        wecom.send_welcome(code=event.text("WelcomeCode"), text=message.text, attachments=message.attachments)
    except (Unreachable, Throttled):
        return None
    except WeComError as refusal:
        return Outcome(event, message, refusal.problem_code)
    finally:
        connection.close()  # this thread's: noting the corp's trouble may have opened one
    return Outcome(event, message, "")


def _tell(outcomes: Iterable[Outcome], *, at: datetime) -> None:
    """Write the outcomes to the log; the customer may not be known yet, so by identity. Scoped."""
    outcomes = list(outcomes)
    userids = {outcome.event.text("UserID") for outcome in outcomes}
    corps = {outcome.event.corp_id for outcome in outcomes}
    rows = Staff.objects.filter(corp__in=corps, userid__in=userids).values_list("corp_id", "userid", "id")
    staff = {(corp_id, userid): staff_id for corp_id, userid, staff_id in rows}
    news = []
    for outcome in outcomes:
        event = outcome.event
        whose = canonical("external_userid", event.text("ExternalUserID"), scope=event.corpid)
        staff_id = staff.get((event.corp_id, event.text("UserID")))
        news.append(
            log.NewEvent(
                type="welcome_failed" if outcome.reason else "welcome_sent",
                # The code's own key: whatever happens, one code has one outcome.
                id=made_id(event.brand_id, "welcome", event.corp_id, event.text("WelcomeCode")),
                occurred_at=event.received_at,
                identity=("external_userid", clean(whose, LONGEST_IDENTITY)),
                props={
                    "welcome_id": outcome.message.welcome_id,
                    **({"staff_id": staff_id} if staff_id else {}),
                    **({"reason": outcome.reason} if outcome.reason else {}),
                    **({"without": outcome.message.without} if outcome.message.without else {}),
                },
            )
        )
        ids = {"brand": event.brand_id, "item": event.item_id, "reason": outcome.reason}
        logger.info("campaigns.welcome", extra=ids)
    if news:
        log.write(news, at=at)


# -- operators --------------------------------------------------------------------------------------------------------


def save(
    *,
    corp_id: int,
    is_on: bool,
    text: str,
    content_id: int | None = None,
    media_id: int | None = None,
    actor: Actor,
    at: datetime,
) -> Welcome:
    """Set what the corp says to those who add a guide: a content, or a text with or without a kept file. Scoped.

    Its files are brought to WeCom as soon as that is committed. Raises NotFound, or Invalid naming the field."""
    corp = found(Corp.objects.filter(pk=corp_id))
    content = found(Content.objects.filter(pk=content_id)) if content_id is not None else None
    media = found(Kept.objects.filter(pk=media_id)) if media_id is not None and content is None else None
    errors = _check(is_on=is_on, text=text, content=content, has_media=media is not None)
    if errors:
        raise Invalid(_("欢迎语没有保存。"), errors=errors)
    if media is not None:
        keeping.use(ids=[media.pk])
    before = Welcome.objects.filter(corp=corp).select_for_update(of=("self",)).first()
    told_before = _state(before) if before else None
    welcome, _made = Welcome.objects.update_or_create(
        corp=corp,
        defaults={"is_on": is_on, "text": text.strip(), "content": content, "media": media, "updated_at": at},
    )
    if before is not None and before.media_id and before.media_id != welcome.media_id:
        media_use.let_go(ids=[before.media_id], at=at)
    refresh_brand.delay_on_commit(brand_id=welcome.brand_id)
    audit.record(
        actor=actor,
        action="welcome.save",
        object_type="welcome",
        object_id=welcome.pk,
        before=told_before,
        after=_state(welcome),
        at=at,
    )
    return welcome


def outcomes_of(welcome: Welcome, *, at: datetime) -> dict[str, int]:
    """How many codes of the last seven days ended how: by problem code, sent ones under "". Scoped."""
    since = at - timedelta(days=SHOWN_DAYS)
    rows = Event.objects.filter(
        brand=welcome.brand_id, type__in=["welcome_sent", "welcome_failed"], occurred_at__gt=since
    ).filter(props__welcome_id=welcome.pk)
    counted = rows.values_list("props__reason").annotate(number=Count("id"))
    return {reason or "": number for reason, number in counted.order_by()}


def _check(*, is_on: bool, text: str, content: Content | None, has_media: bool) -> list[FieldError]:
    if content is not None:
        if content.channel != Channel.SINGLE:
            return [FieldError("content", "welcome.channel", _("只能用单聊的内容。"), _("请换一个内容。"))]
        return []
    if not text.strip() and has_media:
        return []
    if not text.strip():
        empty = FieldError("text", "welcome.empty", _("欢迎语还没有文案。"), _("写一段文案，或选一个内容。"))
        return [empty] if is_on else []
    return contents.check(name=str(_("欢迎语")), channel=Channel.SINGLE, text=text, attachments=[])


def _state(welcome: Welcome) -> dict[str, Any]:
    files = {"content": welcome.content_id, "media": welcome.media_id}
    return {"is_on": welcome.is_on, "text": welcome.text, "corp": welcome.corp_id, **files}
