"""Small true files of every kind, and things that only pretend."""

import struct
import zlib

MB = 1024 * 1024


def png(width: int = 40, height: int = 30, colour: tuple[int, int, int] = (15, 118, 110)) -> bytes:
    """A PNG of one colour."""
    rows = (b"\0" + bytes(colour) * width) * height

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packed = zlib.compress(rows)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def jpeg(width: int = 640, height: int = 480, padding: int = 0) -> bytes:
    """The bones of a JPEG: headers, an empty scan, an end."""
    note = b"".join(b"\xff\xfe" + struct.pack(">H", 60_002) + bytes(60_000) for _ in range(padding // 60_000))
    frame = struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\x01\x11\x00"
    return (
        b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
        + note
        + b"\xff\xc0"
        + frame
        + b"\xff\xd9"
    )


def mp4(seconds: int = 12) -> bytes:
    """An MP4's first boxes."""
    header = struct.pack(">IIIII", 0, 0, 0, 1000, seconds * 1000) + bytes(80)
    movie = struct.pack(">I4s", 8 + len(header), b"mvhd") + header
    return (
        struct.pack(">I4s4sI4s4s", 24, b"ftyp", b"isom", 512, b"isom", b"mp42")
        + struct.pack(">I4s", 8 + len(movie), b"moov")
        + movie
    )


WEBP = b"RIFF\x24\x00\x00\x00WEBPVP8 " + bytes(24)
HEIC = struct.pack(">I4s4sI4s4s", 24, b"ftyp", b"heic", 0, b"mif1", b"heic") + bytes(64)
GIF = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01" + bytes(20)
PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"
