"""What was typed into a dialog is still there when it is refused."""

from pathlib import Path

import pytest

from tests.console.test_browser import log_in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path("/usr/bin/chromium").exists(), reason="Chromium is not installed"),
]


def test_a_refused_dialog_opens_again_with_what_was_typed(page, server, live_cast):
    log_in(page, server, "alice")
    page.goto(f"{server}/b/{live_cast.brand.slug}/console/webhooks/")
    page.locator("button:has-text('新建事件推送')").first.click()
    page.fill("#w-name", "商城")
    page.fill("#w-url", "http://shop.example.com/")
    page.click("dialog[open] button.primary")
    page.wait_for_selector("dialog[open] :text('请至少选择一种事件')")
    assert page.input_value("dialog[open] #w-name") == "商城"
    assert page.input_value("dialog[open] #w-url") == "http://shop.example.com/"
