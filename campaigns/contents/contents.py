"""内容: what a push says. Checked against WeCom's limits when saved, so that no limit is met first while sending.

Limits are WeCom's (api-reference §12.1 mass sends, §13 Moments) and count bytes of UTF-8: a Chinese character is 3.
Only the text of Moments counts characters."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from campaigns.contents import attached, media_use
from campaigns.models import Channel, Content, Push, Variant
from media import keeping
from media.models import Kept
from scrm.lib.errors import Conflict, FieldError, Invalid, found
from tenants import audit
from tenants.actors import Actor

MASS_TEXT_BYTES = 4000
MOMENTS_TEXT_CHARACTERS = 2000
MOST_ATTACHMENTS = 9
NAME_CHARACTERS = 60
BYTES_OF_A_CHARACTER = 3
UNPRINTABLE = re.compile("[\0\ud800-\udfff]")
"""what PostgreSQL's jsonb cannot hold: NUL, and half of a surrogate pair"""
UNDER_WAY = (Push.Status.SCHEDULED, Push.Status.PLANNING, Push.Status.SENDING)


@dataclass(frozen=True, slots=True)
class Field:
    """One string of an attachment object; `most` bytes, 0: WeCom names no limit."""

    name: str
    required: bool = False
    most: int = 0
    is_url: bool = False


MASS_SEND: dict[str, tuple[Field, ...]] = {
    "image": (Field("media_id"), Field("pic_url", is_url=True, most=2048)),
    "link": (
        Field("title", required=True, most=128),
        Field("picurl", most=2048, is_url=True),
        Field("desc", most=512),
        Field("url", required=True, most=2048, is_url=True),
    ),
    "miniprogram": (
        Field("title", required=True, most=64),
        Field("pic_media_id", required=True),
        Field("appid", required=True),
        Field("page", required=True),
    ),
    "video": (Field("media_id", required=True),),
    "file": (Field("media_id", required=True),),
}
MOMENTS: dict[str, tuple[Field, ...]] = {
    "image": (Field("media_id", required=True),),
    "video": (Field("media_id", required=True),),
    "link": (
        Field("title", most=64),
        Field("url", required=True, most=2048, is_url=True),
        Field("media_id"),
    ),
}
FORMS: dict[str, dict[str, tuple[Field, ...]]] = {
    Channel.SINGLE: MASS_SEND,
    Channel.GROUP: MASS_SEND,
    Channel.MOMENTS: MOMENTS,
}


def save(
    *,
    name: str,
    channel: str,
    text: str,
    attachments: Sequence[Mapping[str, Any]] = (),
    content_id: int | None = None,
    actor: Actor,
    at: datetime,
) -> Content:
    """Write a content, or replace one (`content_id`). Scoped. Raises Invalid naming each field, or NotFound.

    Raises Conflict while a push that is on its way uses it: half of its customers would get other words. What earlier
    pushes said stays in the audit trail."""
    errors = check(name=name, channel=channel, text=text, attachments=attachments)
    if errors:
        raise Invalid(_("内容没有保存。"), errors=errors)
    content = Content(created_at=at) if content_id is None else found(Content.objects.filter(pk=content_id))
    before = None if content_id is None else _state(content)
    if content_id is not None:
        _refuse_while_used(content, channel)
    content.media_ends_at = media_use.ends_at(before=content, attachments=attachments, at=at)
    content.name, content.channel, content.text = name.strip(), channel, text
    content.attachments = [dict(item) for item in attachments]
    content.save()
    media_use.note(content=content, at=at)
    audit.record(
        actor=actor,
        action="content.save",
        object_type="content",
        object_id=content.pk,
        before=before,
        after=_state(content),
        at=at,
    )
    return content


def _refuse_while_used(content: Content, channel: str) -> None:
    users = Push.objects.filter(pk__in=Variant.objects.filter(content=content).values("push_id"))
    under_way = users.filter(status__in=UNDER_WAY).order_by("pk").first()
    if under_way is not None:
        raise Conflict(
            _("推送「%s」正在用这个内容，现在改会让客户收到不同的文案。") % under_way.name,
            remedy=_("请先撤回该推送，或另存为新内容。"),
            code="content.in_use",
        )
    if channel != content.channel and users.exists():
        raise Conflict(_("有推送在用这个内容，不能改渠道。"), remedy=_("请另存为新内容。"), code="content.in_use")


def check(*, name: str, channel: str, text: str, attachments: Sequence[Mapping[str, Any]]) -> list[FieldError]:
    """What WeCom or we would refuse, field by field (`attachments.0.link.title`); empty when it can be sent. Scoped."""
    if channel not in Channel.values:
        return [
            FieldError("channel", "content.channel_unknown", _("没有这个渠道。"), _("可选：单聊、客户群、朋友圈。"))
        ]
    errors = list(_name(name))
    errors += _moments_text(text) if channel == Channel.MOMENTS else _mass_text(text)
    if not isinstance(attachments, Sequence) or isinstance(attachments, str):
        return [*errors, FieldError("attachments", "content.attachments_form", _("附件应是一个列表。"))]
    if not text.strip() and not attachments:
        errors.append(FieldError("text", "content.empty", _("文案和附件都是空的。"), _("写一段文案，或加一个附件。")))
    if len(attachments) > MOST_ATTACHMENTS:
        errors.append(
            FieldError(
                "attachments",
                "content.too_many_attachments",
                _("有 %(n)d 个附件，企业微信最多 %(most)d 个。") % {"n": len(attachments), "most": MOST_ATTACHMENTS},
                _("请删减附件，或分成两条推送。"),
            )
        )
    known = keeping.by_ids(attached.named(attachments))
    for index, item in enumerate(attachments):
        errors += _attachment(f"attachments.{index}", item, channel, known)
    if channel == Channel.MOMENTS:
        errors += _moments_mix(attachments)
    return errors


def text_bytes(text: str) -> int:
    """How many bytes WeCom counts."""
    return len(text.encode())


def _name(name: str) -> Iterator[FieldError]:
    if not name.strip():
        yield FieldError("name", "content.name_missing", _("内容还没有名称。"), _("请起一个名称。"))
    elif len(name.strip()) > NAME_CHARACTERS:
        yield FieldError("name", "content.name_too_long", _("名称最多 %d 个字。") % NAME_CHARACTERS, _("请缩短名称。"))


def _mass_text(text: str) -> Iterator[FieldError]:
    over = text_bytes(text) - MASS_TEXT_BYTES
    if over > 0:
        yield FieldError(
            "text",
            "content.text_too_long",
            _("文案超出 %(over)d 字节。企业微信单条消息上限 4,000 字节（约 1,333 个汉字）。") % {"over": over},
            _("请删减，或改用链接卡片。"),
        )


def _moments_text(text: str) -> Iterator[FieldError]:
    over = len(text) - MOMENTS_TEXT_CHARACTERS
    if over > 0:
        yield FieldError(
            "text",
            "content.text_too_long",
            _("文案超出 %(over)d 个字。朋友圈上限 2,000 个字。") % {"over": over},
            _("请删减文案。"),
        )


def _attachment(path: str, item: Any, channel: str, known: Mapping[int, Kept]) -> Iterator[FieldError]:
    forms = FORMS[channel]
    kind = str(item.get("msgtype")) if isinstance(item, Mapping) else ""
    if kind not in forms:
        yield FieldError(
            f"{path}.msgtype",
            "content.attachment_type",
            _("这个渠道不能发这种附件。"),
            _("可选：%s。") % ", ".join(forms),
        )
        return
    body = item.get(kind)
    if not isinstance(body, Mapping):
        yield FieldError(f"{path}.{kind}", "content.attachment_form", _("附件缺少 %s 的内容。") % kind)
        return
    ways = attached.ways(channel, kind)
    fields = {field.name for field in forms[kind]} | ({attached.MEDIA} if ways else set())
    for unknown in sorted({*(set(item) - {"msgtype", kind}), *(set(body) - fields)}):
        yield FieldError(
            f"{path}.{unknown}", "content.field_unknown", _("附件没有 %s 这个字段。") % unknown, _("请去掉它。")
        )
    names_kept = attached.MEDIA in body
    filled = {way.field for way in ways} if names_kept else set()
    for field in forms[kind]:
        if field.name not in filled:
            yield from _value(f"{path}.{kind}.{field.name}", field, body.get(field.name, ""))
    if names_kept:
        yield from attached.check(f"{path}.{kind}", kind, body, channel, known)
    elif kind == "image" and not body.get("media_id") and not body.get("pic_url") and not forms[kind][0].required:
        yield FieldError(f"{path}.image", "content.image_missing", _("图片既没有素材也没有地址。"), _("请上传图片。"))


def _value(path: str, field: Field, value: Any) -> Iterator[FieldError]:
    if not isinstance(value, str):
        yield FieldError(path, "content.not_text", _("%s 应是文字。") % field.name)
    elif UNPRINTABLE.search(value):
        message = _("%s 含有不能保存的字符。") % field.name
        yield FieldError(path, "content.unprintable", message, _("请去掉不可见的字符。"))
    elif field.required and not value.strip():
        yield FieldError(path, "content.field_missing", _("附件还缺 %s。") % field.name, _("请补上。"))
    elif field.most and text_bytes(value) > field.most:
        words = {
            "field": field.name,
            "over": text_bytes(value) - field.most,
            "most": field.most,
            "characters": field.most // BYTES_OF_A_CHARACTER,
        }
        yield FieldError(
            path,
            "content.field_too_long",
            _("%(field)s 超出 %(over)d 字节，上限 %(most)d 字节（约 %(characters)d 个汉字）。") % words,
            _("请删减。"),
        )
    elif field.is_url and value and not value.startswith(("http://", "https://")):
        yield FieldError(path, "content.url", _("%s 不是网址。") % field.name, _("网址以 https:// 开头。"))


def _moments_mix(attachments: Sequence[Any]) -> Iterator[FieldError]:
    kinds = [item.get("msgtype") for item in attachments if isinstance(item, Mapping)]
    images_only = set(kinds) <= {"image"}
    if len(kinds) > 1 and not images_only:
        yield FieldError(
            "attachments",
            "content.moments_mix",
            _("朋友圈只能带最多 9 张图片、或 1 个视频、或 1 个链接。"),
            _("请只留一种附件。"),
        )


def _state(content: Content) -> dict[str, Any]:
    return {
        "name": content.name,
        "channel": content.channel,
        "text": content.text,
        "attachments": content.attachments,
    }
