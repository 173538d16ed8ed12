"""Pieces of the phone's pages: addresses, faces, attachments. Everything that people wrote is escaped here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import urlencode

from wecom.simulator.phone.words import Words
from wecom.simulator.world import Corp, Customer, Media

COLOURS = ("#5b8ff9", "#e8684a", "#5ad8a6", "#f6a623", "#7b6ce0", "#269a99", "#e86a92", "#6dc8ec", "#8d6e63", "#5d7092")


@dataclass(frozen=True)
class View:
    """What a page is made from: whose phone, in which language, and which conversation and tab are open."""

    corp: Corp
    words: Words
    customer: Customer | None = None
    with_whom: str = ""
    tab: str = ""

    def link(self, **changed: str) -> str:
        """The address of this page with other values; an empty one is left out."""
        values = {
            "corpid": self.corp.corpid,
            "external_userid": self.customer.external_userid if self.customer else "",
            "with": self.with_whom,
            "tab": self.tab,
            "lang": self.words.language,
        } | changed
        return escape("?" + urlencode({name: value for name, value in values.items() if value}))


def face(key: str, name: str, *, group: bool = False) -> str:
    """A square with the first letter of a name, in a colour that the key decides."""
    colour = COLOURS[hashlib.md5(key.encode()).digest()[0] % len(COLOURS)]
    letter = next((each for each in name if each.isalnum()), "·")
    return f'<span class="face{" group" if group else ""}" style="background:{colour}">{escape(letter)}</span>'


def nothing(title: str, explanation: str) -> str:
    """An empty state."""
    return f'<div class="none"><b>{escape(title)}</b><span>{escape(explanation)}</span></div>'


def attachment_html(view: View, attachment: dict[str, Any]) -> str:
    """A picture, a link, a mini program, a video or a file as WeChat shows it."""
    kind = str(attachment.get("msgtype", ""))
    part = attachment.get(kind) or {}
    if kind == "image":
        return picture(view, part)
    if kind == "link":
        return _link(view, part)
    if kind == "miniprogram":
        return _mini_program(view, part)
    media = _media(view, part.get("media_id"))
    if kind == "video":
        return f'<span class="video" role="img" aria-label="{view.words("视频")}">▶</span>'
    name = media.filename if media else view.words("文件")
    size = f"<small>{_size(media.size)}</small>" if media else ""
    return f'<span class="file"><span class="text"><b>{escape(name)}</b>{size}</span><i>{view.words("文件")}</i></span>'


def attachment_words(view: View, attachments: list[dict[str, Any]]) -> str:
    """What a list of conversations says of a message without words: [图片]."""
    kinds = {"image": "图片", "link": "链接", "miniprogram": "小程序", "video": "视频", "file": "文件"}
    for each in attachments:
        kind = str(each.get("msgtype", ""))
        title = str((each.get(kind) or {}).get("title") or "")
        return f"[{view.words(kinds[kind]) if kind in kinds else kind}]{' ' if title else ''}{title}"
    return ""


def picture(view: View, part: dict[str, Any]) -> str:
    """An uploaded picture, or a grey place for one that is not kept any more."""
    label = view.words("图片")
    source = media_address(view, part.get("media_id") or part.get("pic_url"))
    if source:
        return f'<img class="picture" src="{source}" alt="{label}">'
    return f'<span class="picture gone" role="img" aria-label="{label}">{label}</span>'


def media_address(view: View, media_id: object) -> str:
    """Where the browser gets an uploaded picture, "" when there is none."""
    media = _media(view, media_id)
    if media is None or media.type != "image":
        return ""
    return escape("/_sim/phone/picture?" + urlencode({"corpid": view.corp.corpid, "media_id": media.media_id}))


def _link(view: View, part: dict[str, Any]) -> str:
    title, about = str(part.get("title") or part.get("url") or ""), str(part.get("desc") or "")
    source = media_address(view, part.get("media_id") or part.get("picurl"))
    thumb = f'<img src="{source}" alt="">' if source else '<span class="thumb" aria-hidden="true"></span>'
    inner = f'<span class="text"><b>{escape(title)}</b><small>{escape(about)}</small></span>{thumb}'
    url = str(part.get("url") or "")
    if url.startswith(("http://", "https://")):
        return f'<a class="link" href="{escape(url)}" target="_blank" rel="noopener noreferrer">{inner}</a>'
    return f'<span class="link">{inner}</span>'


def _mini_program(view: View, part: dict[str, Any]) -> str:
    source = media_address(view, part.get("pic_media_id"))
    cover = f'<img src="{source}" alt="">' if source else '<span class="cover" aria-hidden="true"></span>'
    return (
        f'<span class="mini"><small>{escape(str(part.get("appid") or ""))}</small>'
        f"<b>{escape(str(part.get('title') or ''))}</b>{cover}<i>{view.words('小程序')}</i></span>"
    )


def _media(view: View, media_id: object) -> Media | None:
    return view.corp.media.get(media_id) if isinstance(media_id, str) else None


def _size(count: int) -> str:
    return f"{count / 1024 / 1024:.1f} MB" if count >= 1024 * 1024 else f"{max(1, count // 1024)} KB"
