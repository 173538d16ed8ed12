"""The segment builder as an operator clicks it: groups in groups, a template, and why somebody was in on a past day."""

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from events import log
from tagging.models import Segment
from tenants.scope import brand_scope

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path("/usr/bin/chromium").exists(), reason="Chromium is not installed"),
]


def test_a_segment_of_groups_is_built_and_explained(page, server, live_cast):
    now = timezone.now()
    buyer = live_cast.contact("陈小满", at=now - timedelta(days=40))
    live_cast.contact("路人甲", at=now - timedelta(days=40))
    paid = {"order_no": "A1", "amount_fen": 9900, "category": "婴童"}
    with brand_scope(live_cast.brand.pk):
        log.write([log.NewEvent("order_paid", now - timedelta(hours=3), contact_id=buyer.pk, props=paid)], at=now)
    found: list[str] = []
    page.on("pageerror", lambda error: found.append(str(error)))
    page.goto(f"{server}/")
    page.fill("#username", "alice")
    page.fill("#password", "orchard-alice-1")
    page.click("button:has-text('登录')")
    page.goto(f"{server}/b/cotton/console/segments/new/?template=never_paid")

    # A template, counted at once; then a group that lets the buyer in by another way.
    page.wait_for_selector("#count[data-count='1']")
    page.select_option("[name='joiner']", "any")
    page.click("#builder [data-add-group='0'][data-op='any'] >> nth=0")
    page.wait_for_selector("[data-group='2']")
    page.select_option("#add-rule-2", "sequence")
    page.wait_for_selector("[name='c3.s1.event']")
    page.select_option("#add-rule-2", "order")
    page.select_option("[name='c4.measure']", "net")
    page.wait_for_selector("[data-rule] label:has-text('元')")
    page.fill("[name='c4.value']", "99")
    page.wait_for_selector("#count[data-count='2']")
    page.wait_for_selector("#live :text('净成交 ≥ ¥99.00')")  # the count of the value before may be 2 as well
    shot(page, "builder")

    # Why: now, and yesterday, when nobody had bought yet.
    page.fill("#who", "陈小满")
    page.click("#explain-button")
    page.wait_for_selector("#explained :text('人群里')")
    assert "A1" in page.inner_text("#explained")
    shot(page, "why")
    page.fill("#when", timezone.localtime(now - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M"))
    page.click("#explain-button")
    page.wait_for_selector("#explained :text('按当时已知的情况')")
    assert "A1" not in page.inner_text("#explained")
    page.click("#save-segment")
    page.wait_for_url(re.compile(r"/segments/\d+/$"))
    page.wait_for_selector("#count[data-count='2']")
    with brand_scope(live_cast.brand.pk):
        tree = Segment.objects.get().tree
    assert [list(tree), list(tree["any"][1])] == [["any"], ["any"]]
    assert [leaf["kind"] for leaf in tree["any"][1]["any"]] == ["sequence", "order"]
    assert not found
    if SHOTS:
        made = page.url
        page.context.add_cookies([{"name": "django_language", "value": "en", "url": server}])
        page.goto(made)
        page.wait_for_selector("#count")
        shot(page, "builder-en")


SHOTS = os.environ.get("ORCHARD_SHOTS", "")
"""a directory: then the pages are kept as pictures"""


def shot(page: Any, name: str) -> None:
    """A picture, if somebody wants to look."""
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)
