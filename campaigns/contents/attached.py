"""What attachments show: kept files by our own number (`"media": 12`), or what WeCom gave by a tool of the brand's.

A kept file becomes an address or a media_id just before WeCom is called, by the copy of it that lives in the corp."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from campaigns.models import Channel
from media import copies, keeping
from media.copies import Need
from media.looking import unfit
from media.models import Form, Kept, Kind
from scrm.lib.errors import FieldError
from tenants.scope import brand_scope
from wecom.client import WeComClient
from wecom.errors import Rejected

MEDIA = "media"
"""the field that names a kept file"""
BARE = ("media_id", "pic_media_id")
"""fields that name a file in WeCom, which forgets it after three days"""
LARGEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Way:
    """How a file goes into an attachment object: this copy's value into this field."""

    form: str
    field: str


_AS_MEDIA_ID = (Way(Form.MESSAGE, "media_id"),)
MASS_SEND: dict[str, tuple[Way, ...]] = {
    # The address lasts, so it comes first: nothing to renew while guides take days to confirm.
    "image": (Way(Form.URL, "pic_url"), *_AS_MEDIA_ID),
    "link": (Way(Form.URL, "picurl"),),
    "miniprogram": (Way(Form.MESSAGE, "pic_media_id"),),
    "video": _AS_MEDIA_ID,
    "file": _AS_MEDIA_ID,
}
MOMENTS: dict[str, tuple[Way, ...]] = dict.fromkeys(("image", "video", "link"), (Way(Form.MOMENTS, "media_id"),))
KINDS = {"image": Kind.IMAGE, "link": Kind.IMAGE, "miniprogram": Kind.IMAGE, "video": Kind.VIDEO, "file": Kind.FILE}


def ways(channel: str, msgtype: str) -> tuple[Way, ...]:
    """How a kept file can go into this attachment; none when it has no place for one."""
    return (MOMENTS if channel == Channel.MOMENTS else MASS_SEND).get(msgtype, ())


def named(attachments: Iterable[Any]) -> set[int]:
    """The kept files that attachments name, as far as these are in order."""
    return {number for item in attachments if (number := _number(item)) is not None}


def bare(attachments: Iterable[Any]) -> set[str]:
    """The media_ids that attachments name themselves."""
    bodies = (_body(item) for item in attachments)
    return {str(body[field]) for body in bodies for field in BARE if body.get(field)}


def check(
    path: str, msgtype: str, body: Mapping[str, Any], channel: str, known: Mapping[int, Kept]
) -> Iterator[FieldError]:
    """What is wrong with the file that an attachment object names. `known`: the brand's files among those named."""
    number = body.get(MEDIA)
    if isinstance(number, bool) or not isinstance(number, int):
        yield FieldError(f"{path}.media", "content.media_number", _("media 应是素材的编号。"), _("请先上传素材。"))
        return
    for way in ways(channel, msgtype):
        if body.get(way.field):
            message = _("素材和 %s 只能填一个。") % way.field
            yield FieldError(f"{path}.{way.field}", "content.media_twice", message, _("请去掉其中一个。"))
    row = known.get(number)
    if row is None:
        message = _("没有这个素材，或者已被删除。")
        yield FieldError(f"{path}.media", "content.media_missing", message, _("请重新上传。"))
    elif row.kind != KINDS[msgtype]:
        words = {"is": row.get_kind_display(), "wanted": KINDS[msgtype].label}
        message = _("这个素材是%(is)s，这里要的是%(wanted)s。") % words
        yield FieldError(f"{path}.media", "content.media_kind", message, _("请换一个素材。"))
    elif trouble := _unfit(row, ways(channel, msgtype)):
        yield FieldError(f"{path}.media", "content.media_unfit", trouble, _("请换一个素材。"))


def needs(attachments: Sequence[Any], channel: str, known: Mapping[int, Kept]) -> list[Need]:
    """The copies that WeCom must have before these attachments can be sent."""
    found = (_need(item, channel, known) for item in attachments)
    return list(dict.fromkeys(need for need in found if need is not None))


def ready(
    *,
    brand_id: int,
    corp_id: int,
    channel: str,
    attachments: Sequence[Mapping[str, Any]],
    wecom: WeComClient,
    at: datetime,
    patience: float = copies.PATIENCE_SECONDS,
) -> list[dict[str, Any]]:
    """The attachments as WeCom takes them now; copies that are missing are made. Opens its own scopes.

    Without a kept file nothing is asked. Raises WeComError when a file cannot be brought to WeCom: Throttled while
    another worker is at it for longer than `patience` seconds, Rejected when WeCom does not take it."""
    ids = named(attachments)
    if not ids:
        return [dict(item) for item in attachments]
    with brand_scope(brand_id):
        known = keeping.by_ids(ids)
    wanted = needs(attachments, channel, known)
    live = copies.ready(brand_id=brand_id, corp_id=corp_id, needs=wanted, wecom=wecom, at=at, patience=patience)
    return [_filled(item, channel, known, live) for item in attachments]


def _filled(
    item: Mapping[str, Any], channel: str, known: Mapping[int, Kept], live: Mapping[Need, copies.Live]
) -> dict[str, Any]:
    need = _need(item, channel, known)
    if need is None:
        if _number(item) is not None:
            raise Rejected(_("没有这个素材，或者已被删除。"), remedy=_("请重新上传。"), code="media.lost")
        return dict(item)
    msgtype, copy = str(item["msgtype"]), live[need]
    field = next(way.field for way in ways(channel, msgtype) if way.form == copy.form)
    rest = {name: value for name, value in _body(item).items() if name != MEDIA}
    return {"msgtype": msgtype, msgtype: {**rest, field: copy.value}}


def _need(item: Any, channel: str, known: Mapping[int, Kept]) -> Need | None:
    number = _number(item)
    row = known.get(number) if number is not None else None
    if row is None:
        return None
    fitting = [way.form for way in ways(channel, str(item["msgtype"])) if not _unfit(row, [way])]
    return Need(row.pk, tuple(fitting)) if fitting else None


def _unfit(row: Kept, through: Sequence[Way]) -> str:
    """Why the file fits in none of these ways; empty when it fits in one."""
    troubles = [
        unfit(form=way.form, size=row.size, width=row.width, height=row.height, seconds=row.seconds) for way in through
    ]
    return "" if "" in troubles else next(iter(troubles), "")


def _number(item: Any) -> int | None:
    number = _body(item).get(MEDIA)
    right = isinstance(number, int) and not isinstance(number, bool) and 0 < number <= LARGEST_ID
    return number if right else None


def _body(item: Any) -> Mapping[str, Any]:
    body = item.get(item.get("msgtype")) if isinstance(item, Mapping) and isinstance(item.get("msgtype"), str) else None
    return body if isinstance(body, Mapping) else {}
