"""WeCom's events about customers, groups and staff (api-reference §21.1, §21.2, §21.5).

An event says little and may come late, twice or out of order. So what it is about is read from WeCom again, and a loss
is dated by WeCom's own clock (CreateTime): only then can it be told from a friendship that began after it."""

import logging
from collections.abc import Callable, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from django.db.models.functions import Lower
from django.utils import timezone

from contacts import directory, follows, groups
from contacts.models import Follow, GroupChat, Staff, Store, SyncRun
from contacts.oneid.identity import canonical
from contacts.sets import clean
from events import log
from scrm.lib.errors import found
from scrm.lib.ids import made_id
from tenants.scope import brand_scope
from wecom import inbox
from wecom.client import WeComClient, client_for
from wecom.errors import Rejected, WeComError
from wecom.inbox import CallbackEvent, NotYet
from wecom.models import Corp
from wecom.types import ContactDetail, FollowedContact, GroupDetail

logger = logging.getLogger(__name__)

SKEW = timedelta(minutes=5)
"""by which WeCom's clock may be ahead of ours"""
LONGEST_IDENTITY = 200
"""characters that the log keeps"""
READERS = 4
"""customers read from WeCom at a time"""

Handler = Callable[[CallbackEvent], None]
Failures = dict[int, Exception]
"""by item id"""


def register() -> None:
    """Called when the app starts."""
    inbox.register_many("change_external_contact", on_contacts)
    inbox.register("change_external_chat", on_group)
    inbox.register("change_contact", on_staff)


def on_contact(event: CallbackEvent) -> None:
    """A customer was added, edited or lost. Opens its own scopes; repeating it changes nothing."""
    for failure in on_contacts([event]).values():
        raise failure


def on_contacts(events: Sequence[CallbackEvent]) -> Failures:
    """The same for neighbours in the inbox of one corp: each customer is read once, all are written at once.

    What is read is how things stand after all of these events, and a loss has its own time: so their order among
    themselves does not matter."""
    failed: Failures = {}
    told = [event for event in events if event.change_type in READ | LOST.keys() and _is_whole(event, failed)]
    if not told:
        return failed
    begun_late = _ended_before_begun(told)
    readable = [event for event in told if event.change_type in READ] + begun_late
    read_at = timezone.now()
    details = _read_all(readable, failed)
    fine = [event for event in readable if event.item_id not in failed]
    try:
        _befriend(events[0], {event.text("ExternalUserID") for event in fine}, details, read_at)
    except Exception:
        if len(fine) < 2:
            raise
        # One customer's data must not hold up the others.
        for event in fine:
            try:
                _befriend(event, {event.text("ExternalUserID")}, details, read_at)
            except Exception as failure:  # whatever it is, it is this item's
                failed[event.item_id] = failure
    for event in fine:
        is_expected = event.change_type == "add_external_contact" or event in begun_late
        if is_expected and not _shows(details[event.text("ExternalUserID")], event) and _is_fresh(event):
            failed.setdefault(event.item_id, NotYet("the friendship is not shown yet"))
    _lose([event for event in told if event.change_type in LOST and event.item_id not in failed])
    _tell_failed_transfers([event for event in fine if event.change_type == "transfer_fail"])
    return failed


READ = {"add_external_contact", "add_half_external_contact", "edit_external_contact", "transfer_fail"}
"""what makes us read the customer again; of a half-added one WeCom shows nothing until the guide adds back"""
LOST = {"del_external_contact": Follow.LostBy.STAFF, "del_follow_user": Follow.LostBy.CONTACT}


def on_group(event: CallbackEvent) -> None:
    """A customer group was made, changed or dissolved. Opens its own scopes; repeating it changes nothing."""
    handlers: Mapping[str, Handler] = {"create": _group_seen, "update": _group_seen, "dismiss": _group_dismissed}
    _dispatch(event, handlers)


def on_staff(event: CallbackEvent) -> None:
    """The directory changed. Opens its own scopes; repeating it changes nothing."""
    handlers: Mapping[str, Handler] = {
        "create_user": _member_seen,
        "update_user": _member_seen,
        "delete_user": _member_gone,
        "update_party": _department_seen,
    }
    _dispatch(event, handlers)


def _dispatch(event: CallbackEvent, handlers: Mapping[str, Handler]) -> None:
    """A change type we have no use for is done by being kept."""
    handler = handlers.get(event.change_type)
    if handler is not None:
        handler(event)


def _is_whole(event: CallbackEvent, failed: Failures) -> bool:
    for name in ("UserID", "ExternalUserID"):
        try:
            _text(event, name)
        except ValueError as lack:
            failed[event.item_id] = lack
            return False
    return True


def _read_all(events: Sequence[CallbackEvent], failed: Failures) -> dict[str, ContactDetail | None]:
    """The customers of these events as WeCom shows them; None: nobody follows any more, or not yet as far as it shows.

    When WeCom is out of reach or wants a pause, nobody else is asked: all that is left has failed likewise."""
    if not events:
        return {}
    wecom = _wecom(events[0])
    ids = list(dict.fromkeys(event.text("ExternalUserID") for event in events))
    found_out: dict[str, ContactDetail | WeComError | None] = {}
    with ThreadPoolExecutor(max_workers=min(READERS, len(ids))) as readers:
        trouble: WeComError | None = None
        for some in (ids[place : place + READERS] for place in range(0, len(ids), READERS)):
            answers = [trouble] * len(some) if trouble else list(readers.map(lambda each: _read(wecom, each), some))
            found_out.update(zip(some, answers, strict=True))
            trouble = trouble or next((each for each in answers if isinstance(each, WeComError)), None)
    for event in events:
        answer = found_out[event.text("ExternalUserID")]
        if isinstance(answer, WeComError):
            failed[event.item_id] = answer
    return {each: answer for each, answer in found_out.items() if not isinstance(answer, WeComError)}


def _read(wecom: WeComClient, external_userid: str) -> ContactDetail | WeComError | None:
    try:
        return wecom.external_contact(external_userid=external_userid)
    except Rejected:
        return None
    except WeComError as trouble:
        return trouble


def _befriend(
    event: CallbackEvent, external_userids: Set[str], details: Mapping[str, ContactDetail | None], read_at: datetime
) -> None:
    """Write these customers with all who follow them."""
    shown = [detail for each in sorted(external_userids) if (detail := details[each]) is not None]
    pairs = [FollowedContact(detail.person, follow) for detail in shown for follow in detail.follows]
    if not pairs:
        return
    with brand_scope(event.brand_id):
        corp = found(Corp.objects.filter(pk=event.corp_id))
        follows.befriend(corp=corp, listed=follows.Listed.of(corp, pairs), read_at=read_at, at=timezone.now())


def _shows(detail: ContactDetail | None, event: CallbackEvent) -> bool:
    """Whether the event's guide is among those who follow."""
    userid = event.text("UserID").lower()
    return detail is not None and any(follow.userid.lower() == userid for follow in detail.follows)


def _lose(events: Sequence[CallbackEvent]) -> None:
    if not events:
        return
    with brand_scope(events[0].brand_id):
        staff = _staff_of(events)
        for by in Follow.LostBy:
            losses = [
                follows.Loss(staff[userid], event.text("ExternalUserID"), _told_at(event))
                for event in events
                if _lost_by(event) == by and (userid := event.text("UserID").lower()) in staff
            ]
            if losses:
                follows.lose(losses=losses, by=by, at=timezone.now())


def _ended_before_begun(events: Sequence[CallbackEvent]) -> list[CallbackEvent]:
    """Those by which customers ended friendships that are not alive by our rows: their beginning is told late.

    WeCom goes on listing such a customer, so that the beginning, when it comes, would make the friendship live for
    good. Reading the customer now begins it, and then it ends."""
    ended = [event for event in events if event.change_type == "del_follow_user"]
    if not ended:
        return []
    with brand_scope(events[0].brand_id):
        staff = _staff_of(ended)
        rows = Follow.objects.filter(staff__in=staff.values(), lost_at=None)
        alive = set(
            rows.filter(external_userid__in=[event.text("ExternalUserID") for event in ended]).values_list(
                "staff_id", "external_userid"
            )
        )
    return [
        event for event in ended if (staff.get(event.text("UserID").lower()), event.text("ExternalUserID")) not in alive
    ]


def _lost_by(event: CallbackEvent) -> Follow.LostBy:
    if event.text("Source") == "DELETE_BY_TRANSFER":
        return Follow.LostBy.TRANSFER
    return LOST[event.change_type]


def _tell_failed_transfers(events: Sequence[CallbackEvent]) -> None:
    """The log says which customer did not go over to which guide, and why in WeCom's word."""
    at = timezone.now()
    events = [event for event in events if _told_at(event) >= at - groups.NEWS]
    if not events:
        return
    with brand_scope(events[0].brand_id):
        staff = _staff_of(events)
        log.write(
            [
                log.NewEvent(
                    type="transfer_failed",
                    occurred_at=_told_at(event),
                    id=made_id(event.brand_id, "transfer_failed", event.corp_id, event.item_id),
                    identity=("external_userid", clean(_whose(event), LONGEST_IDENTITY)),
                    props={"staff_id": staff[userid], "reason": clean(event.text("FailReason"), 100)},
                    source="wecom",
                )
                for event in events
                if (userid := event.text("UserID").lower()) in staff
            ],
            at=at,
        )


def _whose(event: CallbackEvent) -> str:
    return canonical("external_userid", event.text("ExternalUserID"), scope=event.corpid)


def _staff_of(events: Sequence[CallbackEvent]) -> dict[str, int]:
    """Our numbers of the events' members, by userid in lower case. Scoped."""
    userids = {event.text("UserID").lower() for event in events}
    rows = Staff.objects.filter(corp=events[0].corp_id).annotate(lower=Lower("userid")).filter(lower__in=userids)
    return dict(rows.values_list("lower", "id"))


def _group_seen(event: CallbackEvent) -> None:
    chat_id = _text(event, "ChatId")
    try:
        detail = _wecom(event).group_chat(chat_id=chat_id)
    except Rejected as refusal:
        # Dissolved since; its own event says so. Young groups may not be shown yet.
        if _is_fresh(event):
            raise NotYet("the group is not shown yet") from refusal
        return
    before = str(event.payload.get("LastMemVer") or "")
    if before and detail.version == before and _is_fresh(event):
        raise NotYet("the group is still shown as it was before")
    with brand_scope(event.brand_id):
        corp = found(Corp.objects.filter(pk=event.corp_id))
        # The members we first see with the group itself have not just joined, unless the group is new.
        is_known = GroupChat.objects.filter(corp=corp, chat_id=chat_id).exists()
        announce = event.change_type == "create" or is_known or _is_younger_than_us(corp, detail)
        groups.store(corp=corp, groups=[detail], at=timezone.now(), announce=announce)


def _is_younger_than_us(corp: Corp, group: GroupDetail) -> bool:
    """Whether it was made after a full sync: then we would know it, had the callback that told of it not been lost."""
    made_at = group.created_at
    complete = SyncRun.objects.filter(corp=corp, counts__customers_complete=True)
    return made_at is not None and complete.filter(started_at__lt=made_at).exists()


def _group_dismissed(event: CallbackEvent) -> None:
    with brand_scope(event.brand_id):
        corp = found(Corp.objects.filter(pk=event.corp_id))
        groups.dismiss(corp=corp, chat_ids=[_text(event, "ChatId")], at=_told_at(event))


def _member_seen(event: CallbackEvent) -> None:
    userid = str(event.payload.get("NewUserID") or _text(event, "UserID"))
    wecom = _wecom(event)
    try:
        member = wecom.user(userid=userid)
    except Rejected:  # gone since: delete_user says so
        return
    is_guide = userid.lower() in {each.lower() for each in wecom.follow_users()}
    department_id = directory.department_of(member)
    with brand_scope(event.brand_id):
        new_store = is_guide and not Store.objects.filter(corp=event.corp_id, department_id=department_id).exists()
    departments = [each for each in wecom.departments() if each.id == department_id] if new_store else []
    with brand_scope(event.brand_id):
        corp = found(Corp.objects.filter(pk=event.corp_id))
        if event.payload.get("NewUserID"):
            directory.rename(corp=corp, old=_text(event, "UserID"), new=member.userid)
        directory.store_departments(corp=corp, departments=departments)
        directory.store_one(corp=corp, member=member, is_guide=is_guide, at=timezone.now())


def _member_gone(event: CallbackEvent) -> None:
    with brand_scope(event.brand_id):
        corp = found(Corp.objects.filter(pk=event.corp_id))
        directory.leave(corp=corp, userid=_text(event, "UserID"), at=_told_at(event))


def _department_seen(event: CallbackEvent) -> None:
    """Only the names of departments that are stores matter; a department becomes a store when a guide is in it."""
    departments = _wecom(event).departments()
    with brand_scope(event.brand_id):
        corp = found(Corp.objects.filter(pk=event.corp_id))
        stores = set(Store.objects.filter(corp=corp).values_list("department_id", flat=True))
        directory.store_departments(corp=corp, departments=[each for each in departments if each.id in stores])


def _wecom(event: CallbackEvent) -> WeComClient:
    return client_for(brand_id=event.brand_id, corp_id=event.corp_id)


def _text(event: CallbackEvent, name: str) -> str:
    value = event.payload.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"the event has no {name}")
    return value


def _told_at(event: CallbackEvent) -> datetime:
    """When it happened by WeCom's clock; when we received it if WeCom does not say, or not in seconds, or tomorrow."""
    told = inbox.told_at(event.payload)
    if told.isascii() and told.isdecimal() and len(told) < 12:
        return min(datetime.fromtimestamp(int(told), UTC), event.received_at + SKEW)
    return event.received_at


def _is_fresh(event: CallbackEvent) -> bool:
    return timezone.now() - event.received_at < follows.SETTLING
