"""What a file is, by its bytes and never by its name, and whether WeCom takes it (api-reference §17).

Nothing is decoded: a picture's pixels and a video's seconds stand in their headers."""

import struct
from dataclasses import dataclass
from pathlib import PurePath

import filetype
from django.utils.translation import gettext as _

from media.models import Form, Kind
from scrm.lib.errors import FieldError, Invalid

MB = 1024 * 1024
LARGEST = {Kind.IMAGE: 10 * MB, Kind.VIDEO: 10 * MB, Kind.FILE: 20 * MB}
LARGEST_OF_ALL = max(LARGEST.values())
SMALLEST = 5
"""bytes; a file must be larger"""
URL_LARGEST = 2 * MB
LONG_SIDE, SHORT_SIDE = 10_800, 1080
"""pixels of an image for Moments"""
MOMENTS_SECONDS = 30
NAME_CHARACTERS = 100
PICTURES = {"image/jpeg": "jpg", "image/png": "png"}
VIDEO = "video/mp4"
MP4_NAMES = ("mp4", "m4v")
ANY_TYPE = "application/octet-stream"
ZIP_FAMILY = ("zip", "docx", "xlsx", "pptx", "odt", "ods", "odp", "epub", "apk", "jar", "wps", "et", "dps", "xmind")
OLE_FAMILY = ("doc", "xls", "ppt", "msi", "wps", "et", "dps")
FAMILIES: tuple[tuple[bytes, tuple[str, ...]], ...] = (
    (b"%PDF-", ("pdf",)),
    (b"PK\x03\x04", ZIP_FAMILY),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", OLE_FAMILY),
    (b"\xff\xd8\xff", ("jpg", "jpeg", "jfif")),
    (b"\x89PNG\r\n\x1a\n", ("png",)),
    (b"GIF8", ("gif",)),
)
"""beginnings of files, and the extensions that promise them"""


@dataclass(frozen=True, slots=True)
class Look:
    """What a file turned out to be."""

    kind: str
    name: str
    """with the extension of its content"""
    content_type: str
    width: int | None = None
    height: int | None = None
    seconds: float | None = None


def look(*, data: bytes, name: str, kind: str = "") -> Look:
    """Check a file against WeCom's limits. `kind` empty: a picture or video by its content, else a file.

    Raises Invalid that says what is wrong with it and what to do."""
    if kind and kind not in Kind.values:
        raise _bad("media.kind", _("没有这个类型。"), _("可选：%s。") % ", ".join(Kind.values), field="kind")
    if len(data) <= SMALLEST:
        raise _bad("media.empty", _("文件是空的。"), _("请换一个文件。"))
    found = filetype.guess(data)
    mime = found.mime if found else ANY_TYPE
    kind = kind or _kind_of(mime)
    _check_size(len(data), kind)
    name = _clean(name)
    if kind == Kind.IMAGE:
        return _picture(data, name, mime)
    if kind == Kind.VIDEO:
        return _video(data, name)
    _check_extension(data, name)
    return Look(kind, name, mime)


def unfit(*, size: int, width: int | None, height: int | None, seconds: float | None, form: str) -> str:
    """Why a kept file cannot be used in this form, with the remedy, in the reader's language; empty when it can."""
    if form == Form.URL and size > URL_LARGEST:
        return _("封面图超过 2 MB。请压缩后重新上传。")
    if form != Form.MOMENTS:
        return ""
    if size > LARGEST[Kind.IMAGE]:
        return _("朋友圈的素材最大 10 MB。请压缩后重新上传。")
    if width and height and (max(width, height) > LONG_SIDE or min(width, height) > SHORT_SIDE):
        words = {"width": width, "height": height, "long": LONG_SIDE, "short": SHORT_SIDE}
        said = _("图片是 %(width)d×%(height)d 像素，朋友圈要求长边不超过 %(long)d、短边不超过 %(short)d。") % words
        return f"{said} {_('请缩小后重新上传。')}"
    if seconds and seconds > MOMENTS_SECONDS:
        return _("视频长 %(n)d 秒，朋友圈最长 30 秒。请剪短后重新上传。") % {"n": round(seconds)}
    return ""


def _kind_of(mime: str) -> str:
    if mime.startswith("image/"):
        return Kind.IMAGE
    return Kind.VIDEO if mime.startswith("video/") else Kind.FILE


def _check_size(size: int, kind: str) -> None:
    most = LARGEST[Kind(kind)]
    if size > most:
        words = {"size": f"{size / MB:.1f}", "most": most // MB, "kind": Kind(kind).label}
        raise _bad(
            "media.too_large", _("文件有 %(size)s MB，%(kind)s最大 %(most)d MB。") % words, _("请压缩后再上传。")
        )


def too_large() -> Invalid:
    """The refusal of a file that is larger than any may be, before it is read."""
    message = _("文件太大：图片和视频最大 10 MB，文件最大 20 MB。")
    return _bad("media.too_large", message, _("请压缩后再上传。"))


def _picture(data: bytes, name: str, mime: str) -> Look:
    if mime not in PICTURES:
        what = mime.split("/")[-1].upper() if mime != ANY_TYPE else ""
        said = _("这是 %s 格式，不是 JPG 或 PNG 图片。") % what if what else _("这不是 JPG 或 PNG 图片。")
        remedy = _("企业微信只收 JPG 和 PNG。请用看图软件另存为 JPG 再上传。")
        raise _bad("media.not_picture", said, remedy)
    size = _png_size(data) if mime == "image/png" else _jpeg_size(data)
    end = b"IEND" if mime == "image/png" else b"\xff\xd9"
    if size is None or 0 in size or end not in data:
        raise _bad("media.broken", _("图片不完整或已损坏。"), _("请重新导出图片再上传。"))
    return Look(Kind.IMAGE, _with_extension(name, PICTURES[mime]), mime, width=size[0], height=size[1])


def _video(data: bytes, name: str) -> Look:
    if data[4:8] != b"ftyp" or data[8:12] in (b"heic", b"heix", b"mif1", b"avif", b"qt  "):
        raise _bad("media.not_video", _("这不是 MP4 视频。"), _("企业微信只收 MP4。请转换格式后再上传。"))
    extension = PurePath(name).suffix.lower().lstrip(".")
    named = name if extension in MP4_NAMES else _with_extension(name, "mp4")
    return Look(Kind.VIDEO, named, VIDEO, seconds=_mp4_seconds(data))


def _check_extension(data: bytes, name: str) -> None:
    """A file that promises what it is not cannot be opened by the customer."""
    extension = PurePath(name).suffix.lower().lstrip(".")
    promised = [start for start, extensions in FAMILIES if extension in extensions]
    if promised and not data.startswith(tuple(promised)):
        said = _("文件的内容不是 .%s，客户会打不开。") % extension
        raise _bad("media.extension", said, _("请检查文件，改成正确的扩展名再上传。"))


def _clean(name: str) -> str:
    """The last part of a path, without what storages and headers stumble over."""
    base = PurePath(name.replace("\\", "/")).name
    base = "".join(letter for letter in base if letter.isprintable() and letter not in '<>:"|?*;').strip(" .")
    base = base or "file"
    stem, suffix = PurePath(base).stem, PurePath(base).suffix[:12]
    return stem[: NAME_CHARACTERS - len(suffix)] + suffix


def _with_extension(name: str, extension: str) -> str:
    path = PurePath(name)
    if path.suffix.lower().lstrip(".") in {extension, "jpeg" if extension == "jpg" else extension}:
        return name
    known = path.suffix.lower().lstrip(".").isalnum() and len(path.suffix) <= 5
    stem = path.stem if known else name
    return f"{stem[: NAME_CHARACTERS - len(extension) - 1]}.{extension}"


def _png_size(data: bytes) -> tuple[int, int] | None:
    if data[12:16] != b"IHDR" or len(data) < 24:
        return None
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """From the first frame header (SOFn) among the segments."""
    place = 2
    while place + 9 <= len(data):
        if data[place] != 0xFF:
            return None
        marker = data[place + 1]
        if marker == 0xFF:  # filling
            place += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[place + 5 : place + 9])
            return width, height
        place += 2 + int(struct.unpack(">H", data[place + 2 : place + 4])[0])
    return None


def _mp4_seconds(data: bytes) -> float | None:
    """From the movie header; None when there is none."""
    at = data.find(b"mvhd")
    if at < 0 or len(data) < at + 36:
        return None
    if data[at + 4] == 1:
        scale, duration = struct.unpack(">IQ", data[at + 24 : at + 36])
    else:
        scale, duration = struct.unpack(">II", data[at + 16 : at + 24])
    return duration / scale if scale else None


def _bad(code: str, message: str, remedy: str, *, field: str = "file") -> Invalid:
    return Invalid(_("文件没有上传。"), remedy=remedy, errors=[FieldError(field, code, message, remedy)])
