"""What can be said in mass sends, welcomes and moments: validation (reference §12.1, §13, §17) and its fingerprint."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from wecom.simulator.errors import Refused
from wecom.simulator.world import Corp

MEDIA_DAYS = 3
MESSAGE_TEXT_BYTES = 4000
MOMENT_TEXT_CHARS = 2000
ORDINARY, FOR_MOMENTS, FOR_ALBUM = 0, 1, 2  # what a file was uploaded for
GROUP_WELCOME_BYTES = 3000
ATTACHMENT_TYPES = ("image", "link", "miniprogram", "video", "file")

Content = tuple[str, list[dict[str, Any]]]


def message_content(corp: Corp, body: dict[str, Any], *, now: float) -> Content:
    """Text and attachments of a mass send or a welcome, validated. Raises Refused with WeCom's code."""
    text = _text(body)
    if len(text.encode()) > MESSAGE_TEXT_BYTES:
        raise Refused(40058, "text.content too long")
    attachments = _attachments(body)
    if not text and not attachments:
        raise Refused(40058, "text and attachments are both empty")
    if len(attachments) > 9:
        raise Refused(41064)
    for attachment in attachments:
        _check_message_attachment(corp, attachment, now)
    return text, attachments


def moment_content(corp: Corp, body: dict[str, Any], *, now: float) -> Content:
    """Text and attachments of a moment: at most nine images, or one video, or one link. Raises Refused."""
    text = _text(body)
    if len(text) > MOMENT_TEXT_CHARS:
        raise Refused(40058, "text.content too long")
    attachments = _attachments(body)
    if not text and not attachments:
        raise Refused(41089)
    kinds = {str(attachment.get("msgtype")) for attachment in attachments}
    if not kinds <= {"image", "video", "link"}:
        raise Refused(41065)
    if len(kinds) > 1 or len(attachments) > (9 if kinds == {"image"} else 1):
        raise Refused(41064)
    for attachment in attachments:
        kind = str(attachment["msgtype"])
        part = _part(attachment, kind)
        if kind == "link":
            _need(part, "url", 2048)
            _limit(part, "title", 64)
            if not part.get("media_id"):
                continue  # a link may go without a cover
        check_file(corp, part.get("media_id"), now=now, kind="image" if kind == "link" else kind, use=FOR_MOMENTS)
    return text, attachments


def album_pictures(corp: Corp, given: list[dict[str, Any]], *, now: float) -> list[dict[str, Any]]:
    """One to nine pictures of a product, {type: image, image: {media_id}}. Raises Refused."""
    if len(given) > 9:
        raise Refused(41064)
    for each in given:
        if each.get("type") != "image":
            raise Refused(41065)
        check_file(corp, _part(each, "image").get("media_id"), now=now, kind="image", use=FOR_ALBUM)
    return given


def conclusions(corp: Corp, given: dict[str, Any], *, now: float) -> dict[str, Any]:
    """Closing words of a temporary session: text and the first of image > link > miniprogram. Raises Refused."""
    text = _text(given)
    if len(text.encode()) > MESSAGE_TEXT_BYTES:
        raise Refused(40058, "conclusions.text too long")
    kept: dict[str, Any] = {"text": {"content": text}} if text else {}
    for kind in ("image", "link", "miniprogram"):
        if given.get(kind) is not None:
            attachment = {"msgtype": kind, kind: given[kind]}
            _check_message_attachment(corp, attachment, now)
            return kept | {kind: given[kind]}
    return kept


def group_welcome(corp: Corp, body: dict[str, Any], *, now: float) -> dict[str, Any]:
    """A group welcome: text of at most 3000 bytes and the first of image > link > miniprogram > file > video.

    Raises Refused."""
    text = _text(body)
    if len(text.encode()) > GROUP_WELCOME_BYTES:
        raise Refused(40058, "text.content too long")
    kept: dict[str, Any] = {"text": {"content": text}} if text else {}
    for kind in ("image", "link", "miniprogram", "file", "video"):
        if body.get(kind) is not None:
            _check_message_attachment(corp, {"msgtype": kind, kind: body[kind]}, now)
            return kept | {kind: body[kind]}
    if not text:
        raise Refused(40058, "text and attachment are both empty")
    return kept


def picture_url(media_id: str) -> str:
    """The address under which WeCom shows an uploaded picture."""
    return f"http://wework.qpic.cn/bizmail/{hashlib.sha256(media_id.encode()).hexdigest()[:40]}/0"


def check_file(corp: Corp, media_id: object, *, now: float, kind: str, use: int = ORDINARY) -> None:
    """A file that was uploaded as that kind and for this use. Raises Refused 41006, 40007, 41072 (for another use)."""
    check_media_id(corp, media_id, now=now)
    media = corp.media[str(media_id)]
    if media.type != kind:
        raise Refused(40007)
    if media.attachment_type != use:
        raise Refused(41072)


def check_media_id(corp: Corp, media_id: object, *, now: float) -> None:
    """Raises Refused 41006 (none) or 40007 (unknown, or older than three days)."""
    if not media_id:
        raise Refused(41006)
    media = corp.media.get(str(media_id))
    if media is None or media.permanent or now - media.created_at > MEDIA_DAYS * 86_400:
        raise Refused(40007)


def fingerprint(text: str, attachments: list[dict[str, Any]]) -> str:
    """16 hex digits that are equal for equal content."""
    canonical = json.dumps([text, attachments], ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _text(body: dict[str, Any]) -> str:
    text = body.get("text") or {}
    if not isinstance(text, dict) or not isinstance(text.get("content", ""), str):
        raise Refused(40058, "invalid text")
    return str(text.get("content", ""))


def _attachments(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The attachments; the older single-object form (image > link > miniprogram at top level) is still understood."""
    given = body.get("attachments")
    if given is None:
        for kind in ("image", "link", "miniprogram"):
            if isinstance(body.get(kind), dict):
                return [{"msgtype": kind, kind: body[kind]}]
        return []
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise Refused(40058, "invalid attachments")
    return given


def _check_message_attachment(corp: Corp, attachment: dict[str, Any], now: float) -> None:
    kind = attachment.get("msgtype")
    if kind not in ATTACHMENT_TYPES:
        raise Refused(41065)
    part = _part(attachment, str(kind))
    if kind == "image":
        if not part.get("media_id") and part.get("pic_url"):
            uploaded = corp.media.get(str(part["pic_url"]))
            if uploaded is None or not uploaded.permanent:
                raise Refused(40058, "pic_url must come from media/uploadimg")
            return
        check_file(corp, part.get("media_id"), now=now, kind="image")
    elif kind == "link":
        _need(part, "title", 128)
        _need(part, "url", 2048)
        _limit(part, "picurl", 2048)
        _limit(part, "desc", 512)
    elif kind == "miniprogram":
        _need(part, "title", 64)
        _need(part, "appid", 128)
        _need(part, "page", 1024)
        check_file(corp, part.get("pic_media_id"), now=now, kind="image")
    else:
        check_file(corp, part.get("media_id"), now=now, kind=str(kind))


def _part(attachment: dict[str, Any], kind: str) -> dict[str, Any]:
    part = attachment.get(kind)
    if not isinstance(part, dict):
        raise Refused(40058, f"{kind} missing")
    return part


def _need(part: dict[str, Any], name: str, most: int) -> None:
    if not part.get(name):
        raise Refused(40063, f"{name} is empty")
    _limit(part, name, most)


def _limit(part: dict[str, Any], name: str, most: int) -> None:
    if len(str(part.get(name) or "").encode()) > most:
        raise Refused(40058, f"{name} too long")
