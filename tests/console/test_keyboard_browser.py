"""The console by keyboard, by double click, and back again."""

import re
from pathlib import Path

import pytest

from campaigns.models import Push
from tenants.models import ApiKey
from tenants.scope import brand_scope
from tests.console.test_browser import log_in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path("/usr/bin/chromium").exists(), reason="Chromium is not installed"),
]


def test_keys_clicks_and_the_way_back(page, server, live_cast):
    brand = live_cast.brand
    console = f"{server}/b/{brand.slug}/console"
    log_in(page, server, "alice")
    page.wait_for_url(f"{console}/")

    # The person's menu opens and closes by key, and gives the focus back.
    page.focus("#user-button")
    page.keyboard.press("Enter")
    page.wait_for_selector("#user-menu button:has-text('English')")
    page.keyboard.press("Escape")
    page.wait_for_selector("#user-menu", state="hidden")
    assert page.evaluate("document.activeElement.id") == "user-button"

    # Enter in a dialog does what the dialog is for; a second one, while it is on its way, nothing.
    page.goto(f"{console}/keys/")
    page.click("button[data-open='#new-key']")
    page.fill("#k-name", "小程序")
    page.check("input[name=scopes][value='events:write']")
    page.focus("#k-name")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    page.wait_for_selector("#made")
    assert ApiKey.objects.filter(brand=brand, name="小程序").count() == 1

    # What was refused has the focus and is read out with its reason.
    page.goto(f"{console}/pushes/new/")
    page.fill("#push-name", "会员日")
    page.fill("[name='v1.text']", "长" * 1400)
    page.click("#save-draft")
    page.wait_for_selector("[name='v1.text'][aria-invalid=true]")
    field = page.locator("[name='v1.text']")
    assert page.evaluate("document.activeElement.name") == "v1.text"
    said = [page.inner_text(f"#{note}") for note in field.get_attribute("aria-describedby").split()]
    assert "4,000" in said[0] or "4000" in said[0]

    # A double click saves one draft; on the way back the form can be sent again.
    field.fill("会员日签到送积分")
    page.dblclick("#save-draft")
    page.wait_for_url(re.compile(r"/pushes/\d+/$"))
    with brand_scope(brand.pk):
        assert Push.objects.count() == 1
    page.goto(f"{console}/members/")
    page.go_back()
    page.wait_for_selector("#forecast #planned, #forecast .o-problem")
    assert page.get_attribute("#composer", "aria-busy") is None
