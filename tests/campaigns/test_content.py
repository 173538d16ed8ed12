"""Content is checked against WeCom's limits, in bytes, when it is saved."""

import pytest

from campaigns.contents import contents
from campaigns.models import Content
from scrm.lib.errors import Conflict, Invalid
from tenants.actors import SYSTEM
from tenants.models import AuditEntry
from tenants.scope import brand_scope

IMAGE = {"msgtype": "image", "image": {"media_id": "m1"}}
LINK = {"msgtype": "link", "link": {"title": "会员日", "url": "https://shop.example/day"}}
FILE = {"msgtype": "file", "file": {"media_id": "f1"}}
VIDEO = {"msgtype": "video", "video": {"media_id": "v1"}}
PROGRAM = {
    "msgtype": "miniprogram",
    "miniprogram": {"title": "签到", "pic_media_id": "p1", "appid": "wx1", "page": "pages/sign.html"},
}


def problems(text="你好", channel="single", attachments=(), name="会员日"):
    return {
        (error.field, error.code)
        for error in contents.check(name=name, channel=channel, text=text, attachments=attachments)
    }


def with_link(**fields):
    return [{"msgtype": "link", "link": {**LINK["link"], **fields}}]


@pytest.mark.parametrize(
    ("_case", "given"),
    [
        ("4,000 bytes", {"text": "果" * 1333 + "a"}),
        ("nine attachments", {"attachments": [IMAGE] * 9}),
        ("every kind", {"attachments": [IMAGE, LINK, VIDEO, PROGRAM, FILE]}),
        ("attachments alone", {"text": "", "attachments": [IMAGE]}),
        ("a link's longest title", {"attachments": with_link(title="果" * 42 + "ab")}),
        ("moments: 2,000 characters", {"channel": "moments", "text": "果" * 2000}),
        ("moments: nine images", {"channel": "moments", "attachments": [IMAGE] * 9}),
        ("moments: one link", {"channel": "moments", "attachments": [LINK]}),
    ],
)
def test_what_wecom_takes_is_saved(_case, given):
    assert problems(**given) == set()


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"text": "果" * 1333 + "ab"}, ("text", "content.text_too_long")),
        ({"text": "  "}, ("text", "content.empty")),
        ({"name": " "}, ("name", "content.name_missing")),
        ({"channel": "sms"}, ("channel", "content.channel_unknown")),
        ({"attachments": [IMAGE] * 10}, ("attachments", "content.too_many_attachments")),
        ({"attachments": with_link(title="果" * 43)}, ("attachments.0.link.title", "content.field_too_long")),
        ({"attachments": with_link(desc="果" * 171)}, ("attachments.0.link.desc", "content.field_too_long")),
        ({"attachments": with_link(url="")}, ("attachments.0.link.url", "content.field_missing")),
        ({"attachments": with_link(url="shop.example")}, ("attachments.0.link.url", "content.url")),
        ({"attachments": with_link(colour="red")}, ("attachments.0.colour", "content.field_unknown")),
        ({"attachments": [IMAGE, {"msgtype": "voice"}]}, ("attachments.1.msgtype", "content.attachment_type")),
        ({"attachments": ["image"]}, ("attachments.0.msgtype", "content.attachment_type")),
        ({"attachments": [{"msgtype": "image"}]}, ("attachments.0.image", "content.attachment_form")),
        ({"attachments": [{"msgtype": "image", "image": {}}]}, ("attachments.0.image", "content.image_missing")),
        (
            {"attachments": [{"msgtype": "file", "file": {"media_id": 7}}]},
            ("attachments.0.file.media_id", "content.not_text"),
        ),
        ({"channel": "moments", "text": "果" * 2001}, ("text", "content.text_too_long")),
        ({"channel": "moments", "attachments": [IMAGE, LINK]}, ("attachments", "content.moments_mix")),
        ({"channel": "moments", "attachments": [VIDEO, VIDEO]}, ("attachments", "content.moments_mix")),
        ({"channel": "moments", "attachments": [PROGRAM]}, ("attachments.0.msgtype", "content.attachment_type")),
        (
            {"channel": "moments", "attachments": with_link(title="果" * 22)},
            ("attachments.0.link.title", "content.field_too_long"),
        ),
    ],
)
def test_what_wecom_would_refuse_is_named(given, problem):
    assert problem in problems(**given)


def test_the_message_says_by_how_much_and_what_to_do(orchard):
    with pytest.raises(Invalid) as refused, brand_scope(orchard.brand_id):
        contents.save(name="长", channel="single", text="a" * 4186, actor=SYSTEM, at=orchard.at)

    (error,) = refused.value.errors
    assert str(error.message) == "文案超出 186 字节。企业微信单条消息上限 4,000 字节（约 1,333 个汉字）。"
    assert str(error.remedy) == "请删减，或改用链接卡片。"
    with brand_scope(orchard.brand_id):
        assert not Content.objects.exists()


def test_a_content_is_replaced_and_the_trail_keeps_both(orchard):
    said = orchard.content("旧")
    with brand_scope(orchard.brand_id):
        contents.save(name="新", channel="single", text="新", content_id=said.pk, actor=SYSTEM, at=orchard.at)
        assert Content.objects.get().text == "新"
        trail = AuditEntry.objects.filter(action="content.save").order_by("pk").last()
    assert (trail.before["text"], trail.after["text"]) == ("旧", "新")


def test_a_content_on_its_way_cannot_be_changed(orchard):
    orchard.contacts(1)
    push = orchard.planned()
    with brand_scope(orchard.brand_id):
        said = Content.objects.get()

    with pytest.raises(Conflict) as refused, brand_scope(orchard.brand_id):
        contents.save(name="新", channel="single", text="新", content_id=said.pk, actor=SYSTEM, at=orchard.at)

    assert refused.value.problem_code == "content.in_use"
    assert push.name in str(refused.value.detail)
