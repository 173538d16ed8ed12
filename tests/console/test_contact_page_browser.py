"""The contact page in a browser: its parts arrive, the timeline pages, evidence opens, a phone is wide enough."""

from pathlib import Path

import pytest
from django.utils import timezone

from tests.console import life
from tests.console.test_browser import log_in
from tests.console.test_oneid_browser import look

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path("/usr/bin/chromium").exists(), reason="Chromium is not installed"),
]


def test_the_whole_page_at_both_widths(page, server, live_cast):
    made = life.made(live_cast, at=timezone.now())
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    log_in(page, server, "alice")
    page.goto(f"{server}/b/{live_cast.brand.slug}/console/contacts/{made.full}/")

    page.wait_for_selector("#timeline .o-time")
    page.wait_for_selector("text=NO-2026-001")
    page.wait_for_selector("text=主要来自")
    assert page.inner_text("#stage") == "活跃"
    assert page.locator("#stays li").count() == 4
    assert "客户删除了小伊" in page.inner_text("#losses")

    page.click("details.o-evidence summary")
    page.wait_for_selector("details.o-evidence li:has-text('浏览商品')")

    shown = page.locator("#timeline .o-time > li:not(.day)").count()
    page.click("button:has-text('更早的记录')")
    page.wait_for_function(f"document.querySelectorAll('#timeline .o-time > li:not(.day)').length > {shown}")
    page.click(".o-tab:has-text('好友与群')")
    page.wait_for_selector("#timeline :text('加入客户群 · 静安妈妈群')")
    assert page.inner_text("#points-now") == "200"
    page.click("button:has-text('打标签')")
    page.wait_for_selector("text=没有别的标签可打")
    look(page, "contact-page")

    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    look(page, "contact-page-narrow")
    page.context.add_cookies([{"name": "django_language", "value": "en", "url": server}])
    for width in (390, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        page.reload()
        page.wait_for_selector("#timeline .o-time")
        page.wait_for_selector("text=NO-2026-001")
        page.wait_for_selector("#losses")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        tabs = page.locator("#timeline .o-tabs")
        assert "Friends" in tabs.inner_text()
        assert tabs.evaluate("tabs => tabs.scrollWidth - tabs.clientWidth") == 0
        look(page, f"contact-page-en-{width}")
    assert wrong == []
