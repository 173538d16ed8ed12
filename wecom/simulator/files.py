"""What a file says about itself: pixels of a PNG or JPEG, seconds of an MP4; and the jobs that fetch one."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

AMR_FRAMES = (12, 13, 15, 17, 19, 20, 26, 31, 5, 0, 0, 0, 0, 0, 0, 0)  # bytes after each frame's first, by its mode


@dataclass
class FetchJob:
    """media/upload_by_url: WeCom fetches the file itself. `outcome` is what the result call will say."""

    jobid: str
    corpid: str
    ready_at: float
    created_at: float
    outcome: dict[str, Any]


def size_of(content: bytes) -> tuple[int, int] | None:
    """(width, height) in pixels of a PNG or JPEG; None when the file does not say."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        if content[12:16] != b"IHDR" or len(content) < 24:
            return None
        width, height = struct.unpack(">II", content[16:24])
        return width, height
    return _jpeg_size(content)


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
    place = 2
    while place + 9 <= len(content) and content[place] == 0xFF:
        marker = content[place + 1]
        (length,) = struct.unpack(">H", content[place + 2 : place + 4])
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", content[place + 5 : place + 9])
            return width, height
        place += 2 + length
    return None


def voice_seconds(content: bytes) -> float:
    """The length of an AMR voice: a frame lasts 20 milliseconds."""
    place, frames = 6, 0  # after "#!AMR\n"
    while place < len(content):
        place += 1 + AMR_FRAMES[(content[place] >> 3) & 15]
        frames += 1
    return frames / 50


def seconds_of(content: bytes) -> float | None:
    """The length of an MP4 by its movie header; None when the file does not say."""
    at = content.find(b"mvhd")
    if at < 0 or len(content) < at + 32:
        return None
    if content[at + 4] == 1:
        scale, duration = struct.unpack(">IQ", content[at + 24 : at + 36]) if len(content) >= at + 36 else (0, 0)
    else:
        scale, duration = struct.unpack(">II", content[at + 16 : at + 24])
    return duration / scale if scale else None
