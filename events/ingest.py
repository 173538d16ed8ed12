"""Taking events from outside: every item is checked on its own, good ones are kept and bad ones named."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from events import catalogue, declared, log, resolver, spelling
from events.log import NewEvent
from scrm.lib.errors import FieldError, Invalid
from tenants.scope import brand_scope

MAX_ITEMS = 500
AHEAD = timedelta(minutes=10)
OLDEST = timedelta(days=7)
MAX_IDENTITY = 200
"""characters of a canonical identity"""


@dataclass(slots=True)
class Report:
    """What became of a batch, in the order it came; `items` are JSON."""

    accepted: int = 0
    duplicate: int = 0
    refused: int = 0
    items: list[dict[str, Any]] = field(default_factory=list)


def take(*, brand_id: int, body: object, at: datetime) -> Report:
    """Write a request's events, received `at`. Opens its own scope. Repeating it, whole or in part, is harmless.

    Raises Invalid, with nothing written, if the body is not a batch of 1 to 500 events; a bad item is refused alone."""
    events, sent_at = _opened(body)
    skew_ms = round((sent_at - at) / timedelta(milliseconds=1)) if sent_at else None
    with brand_scope(brand_id):
        # Asked only when somebody needs it: most batches hold built-in types only.
        own = declared.of_brand() if any(_is_own(item) for item in events) else {}
        taken = [checked(item, at, own=own, skew_ms=skew_ms) for item in events]
        refuse_strangers(taken)
        written = log.write([item for item in taken if isinstance(item, NewEvent)], at=at)
    return _report(events, taken, written)


def _opened(body: object) -> tuple[Sequence[object], datetime | None]:
    """The batch's items and the sender's clock."""
    if not isinstance(body, Mapping) or not isinstance(body.get("events"), list):
        raise Invalid(
            _('请求体应是 {"events": […]}。'),
            errors=[FieldError("events", "events.missing", _("缺少 events 数组。"), _("把行为放进 events 数组。"))],
        )
    events = body["events"]
    if not 1 <= len(events) <= MAX_ITEMS:
        raise Invalid(
            _("一批应有 1 到 %(most)d 条行为，这一批有 %(count)d 条。") % {"most": MAX_ITEMS, "count": len(events)},
            errors=[FieldError("events", "events.size", _("条数超出范围。"), _("分成多批上报。"))],
        )
    sent_at = body.get("sent_at")
    moment = _moment(sent_at) if sent_at is not None else None
    if sent_at is not None and moment is None:
        raise Invalid(_("有字段不正确。"), errors=[_bad_moment("sent_at")])
    return events, moment


def _is_own(item: object) -> bool:
    kind = item.get("type") if isinstance(item, dict) else None
    return isinstance(kind, str) and kind.startswith("x_")


def checked(
    item: object,
    at: datetime,
    *,
    own: Mapping[str, catalogue.EventType],
    skew_ms: int | None = None,
    oldest: datetime | None = None,
    source: str = "api",
) -> NewEvent | list[FieldError]:
    """The item as an event, or everything that is wrong with it. `oldest`: 7 days before `at` unless given."""
    if not isinstance(item, dict):
        return [FieldError("", "event.shape", _("每条行为应是一个对象。"), _("参照接口文档改正这一条。"))]
    wrong: list[FieldError] = []
    event_id = _id(item.get("id"), wrong)
    occurred_at = _occurred_at(item.get("occurred_at"), at, oldest or at - OLDEST, wrong)
    props = item.get("props")
    if props is None:
        props = {}
    elif not isinstance(props, dict):
        wrong.append(FieldError("props", "event.props_shape", _("props 应是一个对象。"), _("改为 {名: 值}。")))
        props = {}
    kind = item.get("type")
    wrong += catalogue.check(kind if isinstance(kind, str) else "", props, own=own)
    contact_id, identity = _person(item, wrong)
    if wrong or occurred_at is None:
        return wrong
    return NewEvent(
        type=str(kind),
        occurred_at=occurred_at,
        id=event_id,
        contact_id=contact_id,
        identity=identity,
        props=props,
        source=source,
        skew_ms=skew_ms,
    )


def _id(value: object, wrong: list[FieldError]) -> UUID | None:
    # The length rules out the braces and prefixes that Python reads too: one id has one spelling.
    if isinstance(value, str) and len(value) == 36:
        try:
            return UUID(value)
        except ValueError:
            pass
    wrong.append(
        FieldError(
            "id",
            "event.id",
            _("id 应是 UUID，形如 0b9c7f5e-3d1a-4a52-8f0e-6a1c2d3e4f50。"),
            _("为每条行为生成一个 UUID；重试时 id 和 occurred_at 都不变。"),
        )
    )
    return None


def _moment(value: object) -> datetime | None:
    """An RFC 3339 time with its offset; None if it is not one."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _occurred_at(value: object, at: datetime, oldest: datetime, wrong: list[FieldError]) -> datetime | None:
    moment = _moment(value)
    if moment is None:
        wrong.append(_bad_moment("occurred_at"))
    elif moment > at + AHEAD:
        wrong.append(
            FieldError(
                "occurred_at",
                "event.ahead",
                _("发生时间比现在晚了 10 分钟以上。"),
                _("校准发送端的时钟；不要改动已上报行为的时间。"),
            )
        )
    elif moment < oldest:
        imported = oldest < at - OLDEST
        message = _("发生时间早于行为的保留期限。") if imported else _("发生时间早于 7 天前。")
        remedy = _("不必导入：这么早的行为会被清理。") if imported else _("在 7 天内上报；更早的历史请用导入。")
        wrong.append(FieldError("occurred_at", "event.too_old", message, remedy))
    return moment


def _bad_moment(name: str) -> FieldError:
    return FieldError(
        name,
        "event.time",
        _("应是带时区的 RFC 3339 时间。"),
        _("写成 2026-11-20T12:00:00+08:00 的样子。"),
    )


def _person(item: Mapping[str, Any], wrong: list[FieldError]) -> tuple[int | None, tuple[str, str] | None]:
    """(contact id, identity): exactly one of them is given."""
    contact_id, identity = item.get("contact_id"), item.get("identity")
    if (contact_id is None) == (identity is None):
        wrong.append(
            FieldError(
                "identity",
                "event.person",
                _("identity 和 contact_id 应给出且只给出一个。"),
                _("用 identity（如 unionid）指明客户；已知客户编号时用 contact_id。"),
            )
        )
        return None, None
    if identity is None:
        # bool is an int to Python, not to the sender.
        if type(contact_id) is not int or not 0 < contact_id <= catalogue.LARGEST:
            wrong.append(_stranger())
            return None, None
        return contact_id, None
    return None, _identity(identity, wrong)


def _identity(identity: object, wrong: list[FieldError]) -> tuple[str, str] | None:
    """The identity in the log's canonical form: `corpid:external_userid`, `appid:openid`, a phone's digits."""
    kind = identity.get("type") if isinstance(identity, dict) else None
    if not isinstance(identity, dict) or not isinstance(kind, str) or kind not in spelling.IDENTITY_SPACE:
        known = "、".join(spelling.IDENTITY_SPACE)
        wrong.append(
            FieldError(
                "identity.type",
                "event.identity_type",
                _("身份类型应是其中之一：%(known)s。") % {"known": known},
                _("改正 identity.type。"),
            )
        )
        return None
    value = _identity_text(identity, "value", wrong)
    space = spelling.IDENTITY_SPACE[kind]
    prefix = _identity_text(identity, space, wrong) if space else ""
    if not value or prefix is None:
        return None
    canonical = spelling.canonical(kind, value, scope=prefix)
    fits = 5 <= len(canonical) <= 20 if kind in ("phone", "order_phone") else 0 < len(canonical) <= MAX_IDENTITY
    if not fits:
        wrong.append(_bad_identity("value"))
        return None
    return kind, canonical


def _identity_text(identity: Mapping[str, Any], name: str, wrong: list[FieldError]) -> str | None:
    text = identity.get(name)
    if isinstance(text, str) and text.strip() and len(text) <= MAX_IDENTITY and catalogue.is_storable(text):
        return text
    wrong.append(_bad_identity(name))
    return None


def _bad_identity(name: str) -> FieldError:
    return FieldError(
        f"identity.{name}",
        "event.identity_value",
        _("identity.%(name)s 缺失或不合规。") % {"name": name},
        _("external_userid 还需要 corpid，openid 还需要 appid；手机号只写数字。"),
    )


def _stranger() -> FieldError:
    return FieldError(
        "contact_id",
        "event.contact_unknown",
        _("没有这个客户。"),
        _("用 GET /api/v1/contacts/lookup 查到的 id，或改用 identity：未知的身份会在认出后补上。"),
    )


def refuse_strangers(checked: list[NewEvent | list[FieldError]]) -> None:
    """Replace the events whose contact the brand does not have: the log has no foreign key to tell. Scoped.

    The number of a merged contact means the one it was merged into."""
    named = {item.contact_id for item in checked if isinstance(item, NewEvent) and item.contact_id is not None}
    now = resolver.current(named)
    if all(now.get(each) == each for each in named):
        return
    for index, item in enumerate(checked):
        if isinstance(item, NewEvent) and item.contact_id is not None:
            if item.contact_id in now:
                item.contact_id = now[item.contact_id]
            else:
                checked[index] = [_stranger()]


def _report(events: Sequence[object], checked: list[NewEvent | list[FieldError]], written: log.Written) -> Report:
    report = Report()
    fresh = set(written.new)
    for index, (item, outcome) in enumerate(zip(events, checked, strict=True)):
        line: dict[str, Any] = {"index": index, "id": item.get("id") if isinstance(item, dict) else None}
        if not isinstance(outcome, NewEvent):
            report.refused += 1
            line |= {"status": "refused", "errors": [_plain(error) for error in outcome]}
        elif outcome.id in fresh:
            fresh.discard(outcome.id)  # the same id again in one batch is a duplicate
            report.accepted += 1
            line |= {"status": "accepted", "linked": outcome.id not in written.unlinked}
        else:
            report.duplicate += 1
            line["status"] = "duplicate"
        report.items.append(line)
    return report


def _plain(error: FieldError) -> dict[str, str]:
    return {
        "field": error.field,
        "code": error.code,
        "message": str(error.message),
        "remedy": str(error.remedy),
    }
