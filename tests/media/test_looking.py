"""What a file is, its bytes say; what WeCom would refuse is refused before, with what to do about it."""

import pytest
from django.utils import translation

from media.looking import MB, look, unfit
from scrm.lib.errors import Invalid
from tests.media.files import GIF, HEIC, PDF, WEBP, jpeg, mp4, png


def refused(data: bytes, name: str, kind: str = "") -> tuple[str, str]:
    """(code, remedy in English) of the refusal."""
    with translation.override("en"), pytest.raises(Invalid) as refusal:
        look(data=data, name=name, kind=kind)
    (error,) = refusal.value.errors
    assert str(error.message).isascii()
    return error.code, str(error.remedy)


@pytest.mark.parametrize(
    ("data", "name", "seen"),
    [
        (png(40, 30), "海报.png", ("image", "海报.png", 40, 30)),
        (jpeg(640, 480), "海报.JPG", ("image", "海报.JPG", 640, 480)),
        # The name promises something else than the content: the content is right, and the name follows.
        (jpeg(640, 480), "IMG_1.png", ("image", "IMG_1.jpg", 640, 480)),
        (png(), "截图", ("image", "截图.png", 40, 30)),
        (mp4(12), "视频.mp4", ("video", "视频.mp4", None, None)),
        (PDF, "价目表.pdf", ("file", "价目表.pdf", None, None)),
        (b"name,price\n1,2\n", "a.csv", ("file", "a.csv", None, None)),
    ],
)
def test_a_file_is_what_its_bytes_say(data, name, seen):
    found = look(data=data, name=name)
    assert (found.kind, found.name, found.width, found.height) == seen


def test_a_video_tells_its_length():
    assert look(data=mp4(12), name="a.mp4").seconds == 12


@pytest.mark.parametrize(
    ("data", "name", "kind", "code"),
    [
        (b"", "a.png", "", "media.empty"),
        (b"12345", "a.txt", "", "media.empty"),
        (WEBP, "a.jpg", "", "media.not_picture"),
        (HEIC, "IMG_2.jpg", "", "media.not_picture"),
        (GIF, "a.png", "image", "media.not_picture"),
        (PDF, "a.png", "image", "media.not_picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "a.svg", "image", "media.not_picture"),
        (png()[:40], "a.png", "", "media.broken"),
        (jpeg()[:20], "a.jpg", "", "media.broken"),
        (png(0, 30), "a.png", "", "media.broken"),
        (HEIC, "a.mp4", "video", "media.not_video"),
        (png(), "a.mp4", "video", "media.not_video"),
        (jpeg(padding=11 * MB), "a.jpg", "", "media.too_large"),
        (mp4() + bytes(10 * MB), "a.mp4", "", "media.too_large"),
        (bytes(21 * MB), "a.bin", "", "media.too_large"),
        (b"<html>not found</html>", "价目表.pdf", "", "media.extension"),
        (PDF, "价目表.docx", "", "media.extension"),
        (png(), "a.png", "voice", "media.kind"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)}B",
)
def test_what_wecom_would_refuse_is_refused_here(data, name, kind, code):
    told, remedy = refused(data, name, kind)
    assert told == code
    assert remedy


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\海报 1.csv", "海报 1.csv"),
        ("a\0b\r\nSet-Cookie.csv", "abSet-Cookie.csv"),
        ("", "file"),
        ("...", "file"),
        ("很长" * 100 + ".csv", ("很长" * 100)[:96] + ".csv"),
        ("\ud800.csv", "csv"),
    ],
)
def test_a_name_is_only_a_name(name, kept):
    assert look(data=b"name,price\n", name=name).name == kept


@pytest.mark.parametrize(
    ("fields", "form", "fits"),
    [
        ({"size": 3 * MB}, "url", False),
        ({"size": 2 * MB}, "url", True),
        ({"size": 3 * MB}, "message", True),
        ({"width": 1080, "height": 10_800}, "moments", True),
        ({"width": 1081, "height": 2000}, "moments", False),
        ({"width": 100, "height": 10_801}, "moments", False),
        ({"seconds": 31.0}, "moments", False),
        ({"seconds": 31.0}, "message", True),
    ],
)
def test_what_a_form_takes(fields, form, fits):
    about = {"size": 1000, "width": None, "height": None, "seconds": None, **fields}
    assert (unfit(form=form, **about) == "") is fits
