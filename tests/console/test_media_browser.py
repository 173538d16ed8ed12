"""An operator's picture, from the file on their disk to the customer's phone, in headless Chromium."""

import re
from pathlib import Path

import pytest

from campaigns.models import Content, Welcome
from media.models import Kept
from tenants.scope import brand_scope
from tests.console.test_browser import carry_out, friends, log_in, problems
from tests.media.files import WEBP, png

__all__ = ["friends", "problems"]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path("/usr/bin/chromium").exists(), reason="Chromium is not installed"),
]
ORANGE = (217, 119, 6)


def picture(name: str, data: bytes) -> dict[str, object]:
    return {"name": name, "mimeType": "image/png", "buffer": data}


def test_an_operators_picture_reaches_the_customers_phone(page, server, live_cast, friends, wecom, problems):
    brand = live_cast.other
    log_in(page, server, "charlie")
    page.wait_for_url(f"{server}/b/yin/console/")
    page.goto(f"{server}/b/yin/console/pushes/new/")
    page.fill("#push-name", "带图的推送")
    page.fill("[name='v1.text']", "新品到店")
    page.select_option("[name='v1.attachment']", "image")
    picker = page.locator("[data-media]:has([name='v1.image.media'])")

    # What WeCom does not take is refused at once, with what to do, and the draft is as it was.
    picker.locator("[data-file]").set_input_files(picture("海报.png", WEBP))
    picker.locator("[data-error]:has-text('另存为 JPG')").wait_for()
    assert page.input_value("[name='v1.image.media']") == ""
    problems.clear()  # the browser reports the refusal's 422

    picker.locator("[data-file]").set_input_files(picture("海报.png", png(240, 160, ORANGE)))
    page.wait_for_selector("#phone .o-cardmsg img")
    assert page.evaluate("document.querySelector('#phone .o-cardmsg img').naturalWidth") == 240
    page.click("#save-draft")
    page.wait_for_url(re.compile(r"/pushes/\d+/$"))
    push_id = int(page.url.rstrip("/").rsplit("/", 1)[1])
    page.wait_for_selector("#phone .o-cardmsg img")  # of the saved draft
    page.wait_for_selector("#planned")
    page.click("#send-button")
    page.click("#send-now")
    page.wait_for_selector("#recall")
    page.wait_for_selector("#result img[alt='海报.png']")

    carry_out(brand.pk, friends, wecom, push_id)
    page.wait_for_selector("#delivered", timeout=60_000)
    page.wait_for_selector("#result img[alt='海报.png']")
    rows = wecom.journal(kind="single")
    assert rows
    customer = rows[0]["external_userid"]
    phone = f"{wecom.base_url}/_sim/phone?corpid={friends.corpid}&external_userid={customer}&with={rows[0]['userid']}"
    page.goto(phone)
    shown = page.locator("img.picture").last
    shown.wait_for()
    assert shown.evaluate("node => node.naturalWidth") == 240
    assert problems == []


def test_a_picture_of_the_welcome_and_of_the_library(page, server, live_cast, friends, problems):
    brand = live_cast.other
    log_in(page, server, "charlie")
    page.wait_for_url(f"{server}/b/yin/console/")
    page.goto(f"{server}/b/yin/console/media/")
    page.wait_for_selector(":text('还没有素材')")
    page.locator("[data-upload-now]").set_input_files(picture("会员日.png", png(120, 90, ORANGE)))
    page.wait_for_selector("td:has-text('120×90')")
    page.locator("[data-upload-now]").set_input_files(picture("空.png", b""))
    page.wait_for_selector("[data-upload-error]:has-text('文件是空的')")
    problems.clear()

    # The welcome takes it from the pile, then another from the disk.
    page.goto(f"{server}/b/yin/console/welcome/")
    page.select_option("[data-choose]", label="会员日.png")
    page.wait_for_selector("[data-shown] img[alt='会员日.png']")
    page.locator("[data-file]").set_input_files(picture("欢迎.png", png(60, 60)))
    page.wait_for_selector("[data-shown] img[alt='欢迎.png']")
    page.fill("textarea[name=text]", "欢迎")
    page.click("button:has-text('保存并启用')")
    page.wait_for_selector(":text('欢迎语已启用')")
    page.wait_for_selector("[data-shown] img[alt='欢迎.png']")
    with brand_scope(brand.pk):
        assert Welcome.objects.get().media.name == "欢迎.png"

    # What is used cannot be deleted, what is not can.
    page.goto(f"{server}/b/yin/console/media/")
    assert page.locator("tr:has-text('欢迎.png') button").count() == 0
    page.click("tr:has-text('会员日.png') button:has-text('删除')")
    page.click("dialog[open] button:has-text('删除素材')")
    page.wait_for_selector(":text('素材已删除')")
    with brand_scope(brand.pk):
        assert [row.name for row in Kept.objects.all()] == ["欢迎.png"]
        assert not Content.objects.exists()
    assert problems == []
