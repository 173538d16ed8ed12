"""WeCom's events about customers, groups and staff (api-reference §21.1, §21.2, §21.5).

An event says little and may come late, twice or out of order. So what it is about is read from WeCom again, and a loss
is dated by WeCom's own clock (CreateTime): only then can it be told from a friendship that began after it."""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from contacts import directory, follows, groups
from contacts.models import Follow, GroupChat, Staff, Store
from scrm.lib.errors import found
from tenants.scope import brand_scope
from wecom import inbox
from wecom.client import WeComClient, client_for
from wecom.errors import Rejected
from wecom.inbox import CallbackEvent
from wecom.models import Corp
from wecom.types import FollowedContact

logger = logging.getLogger(__name__)

SETTLING = timedelta(minutes=10)
"""Details can lag behind their event (api-reference §4.3): for so long a contradiction means "read again"."""

Handler = Callable[[CallbackEvent], None]


class NotYet(Exception):
    """WeCom does not show what its event told: the inbox tries again."""


def register() -> None:
    """Called when the app starts."""
    inbox.register("change_external_contact", on_contact)
    inbox.register("change_external_chat", on_group)
    inbox.register("change_contact", on_staff)


def on_contact(event: CallbackEvent) -> None:
    """A customer was added, edited or lost. Opens its own scopes; repeating it changes nothing."""
    handlers: Mapping[str, Handler] = {
        "add_external_contact": _added,
        "add_half_external_contact": _half_added,
        "edit_external_contact": _edited,
        "del_external_contact": _deleted_by_staff,
        "del_follow_user": _deleted_by_contact,
    }
    _dispatch(event, handlers)


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


def _added(event: CallbackEvent) -> None:
    if not _read_customer(event) and _is_fresh(event):
        raise NotYet("the friendship is not shown yet")


def _half_added(event: CallbackEvent) -> None:
    """The guide has not added back: WeCom shows nothing of the pair until then (api-reference §21.1)."""
    _read_customer(event)


def _edited(event: CallbackEvent) -> None:
    _read_customer(event)


def _read_customer(event: CallbackEvent) -> bool:
    """Read the customer with all who follow, and write that; whether the event's guide is among them."""
    wecom = _wecom(event)
    read_at = timezone.now()
    try:
        detail = wecom.external_contact(external_userid=_text(event, "ExternalUserID"))
    except Rejected:  # nobody follows any more, or not yet as far as WeCom shows
        return False
    pairs = [FollowedContact(detail.person, follow) for follow in detail.follows]
    with brand_scope(event.brand_id):
        corp = found(Corp.objects.filter(pk=event.corp_id))
        follows.befriend(corp=corp, listed=follows.Listed.of(corp, pairs), read_at=read_at, at=timezone.now())
    userid = _text(event, "UserID").lower()
    return any(follow.userid.lower() == userid for follow in detail.follows)


def _deleted_by_staff(event: CallbackEvent) -> None:
    moved = event.payload.get("Source") == "DELETE_BY_TRANSFER"
    _lose(event, Follow.LostBy.TRANSFER if moved else Follow.LostBy.STAFF)


def _deleted_by_contact(event: CallbackEvent) -> None:
    _lose(event, Follow.LostBy.CONTACT)


def _lose(event: CallbackEvent, by: Follow.LostBy) -> None:
    with brand_scope(event.brand_id):
        staff = Staff.objects.filter(corp=event.corp_id, userid__iexact=_text(event, "UserID")).first()
        if staff is not None:
            loss = follows.Loss(staff.id, _text(event, "ExternalUserID"), _told_at(event))
            follows.lose(losses=[loss], by=by, at=timezone.now())


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
        known = event.change_type == "create" or GroupChat.objects.filter(corp=corp, chat_id=chat_id).exists()
        groups.store(corp=corp, groups=[detail], at=timezone.now(), announce=known)


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
    """When it happened by WeCom's clock; when we received it if WeCom does not say."""
    told: Any = event.payload.get("CreateTime") or event.payload.get("TimeStamp")
    return datetime.fromtimestamp(int(told), UTC) if told else event.received_at


def _is_fresh(event: CallbackEvent) -> bool:
    return timezone.now() - event.received_at < SETTLING
