"""Media (素材, reference §17)."""

from __future__ import annotations

from wecom.simulator.content import check_media_id
from wecom.simulator.errors import Refused
from wecom.simulator.wire import MESSAGES, Binary, Body, Call, Upload, endpoint
from wecom.simulator.world import Media

MB = 1024 * 1024
LARGEST = {"image": 10 * MB, "voice": 2 * MB, "video": 10 * MB, "file": 20 * MB}
UPLOADIMG_LARGEST = 2 * MB
SMALLEST = 5  # bytes; a file must be larger
MOMENTS, ALBUM = 1, 2
KEPT_LARGEST = 256 * 1024  # contents above this are not kept by a snapshot


@endpoint("POST", "media/upload", kinds=MESSAGES)
def upload(call: Call) -> Body:
    """?type=image|voice|video|file, multipart `media` → media_id (3 days), created_at as a string. Official 90253."""
    kind = call.query.get("type", "")
    if kind not in LARGEST:
        raise Refused(40005)
    media = _store(call, kind, _checked(call, kind))
    return {"type": kind, "media_id": media.media_id, "created_at": str(media.created_at)}


@endpoint("POST", "media/upload_attachment", kinds=MESSAGES)
def upload_attachment(call: Call) -> Body:
    """?media_type=image|video|file&attachment_type=1|2, multipart `media` → type, media_id, created_at as a number."""
    kind = call.query.get("media_type", "")
    scene = call.query.get("attachment_type", "")
    if kind not in ("image", "video", "file") or scene not in ("1", "2"):
        raise Refused(40005)
    if int(scene) == ALBUM and kind != "image":
        raise Refused(40005)
    given = _checked(call, kind)
    if len(given.content) > 10 * MB:
        raise Refused(41080)
    media = _store(call, kind, given, attachment_type=int(scene))
    return {"type": kind, "media_id": media.media_id, "created_at": media.created_at}


@endpoint("POST", "media/uploadimg", kinds=MESSAGES)
def upload_image(call: Call) -> Body:
    """Multipart `media`, JPG or PNG up to 2 MB → url, permanent. Official 90256."""
    given = _checked(call, "image")
    if len(given.content) > UPLOADIMG_LARGEST:
        raise Refused(40009)
    corp = call.corp
    url = f"{call.base_url}/_sim/images/{corp.corpid}/{corp.new_id('', 40)}"
    corp.media[url] = Media(
        url, "image", given.filename, call.now, len(given.content), permanent=True, content=given.content
    )
    return {"url": url}


@endpoint("GET", "media/get", kinds=MESSAGES)
def get_media(call: Call) -> Body | Binary:
    """media_id → the file; JSON with 40007 when it is unknown or expired. Official 90254."""
    media_id = call.text("media_id", missing=41006)
    check_media_id(call.corp, media_id, now=call.now)
    media = call.corp.media[media_id]
    return Binary(media.filename, media.content)


def _store(call: Call, kind: str, given: Upload, *, attachment_type: int = 0) -> Media:
    corp = call.corp
    media = Media(
        corp.new_id("", 64),
        kind,
        given.filename,
        call.now,
        len(given.content),
        attachment_type=attachment_type,
        content=given.content,
    )
    corp.media[media.media_id] = media
    return media


def _checked(call: Call, kind: str) -> Upload:
    """The uploaded part. Raises Refused 44001 (none or empty), 40006, 45001, 40004, 41090."""
    given = call.upload
    if given is None or not given.content:
        raise Refused(44001)
    if len(given.content) <= SMALLEST:
        raise Refused(40006)
    if len(given.content) > LARGEST[kind]:
        raise Refused(45001)
    head = given.content[:12]
    if kind == "image" and not head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")):
        raise Refused(40004)
    if kind == "voice" and not head.startswith(b"#!AMR"):
        raise Refused(40004)
    if kind == "video" and head[4:8] != b"ftyp":
        raise Refused(41090)
    return given
