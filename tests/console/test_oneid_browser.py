"""The identity graph, a conflict and a merge in a real browser."""

import os
from pathlib import Path

import pytest
from django.utils import timezone

from contacts.oneid.identity import Claim, Draft, attach
from tenants.scope import brand_scope
from tests.console.test_browser import log_in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path("/usr/bin/chromium").exists(), reason="Chromium is not installed"),
]
PICTURES = os.environ.get("ORCHARD_TEST_PICTURES", "")


def look(page, name):
    """Keep a picture for a person to look at, when asked to."""
    if PICTURES:
        page.screenshot(path=f"{PICTURES}/{name}.png", full_page=True)


def test_a_conflict_is_settled_and_the_graph_shows_why(page, server, live_cast):
    at = timezone.now()
    corpid = live_cast.corp.corpid
    with brand_scope(live_cast.brand.id):
        one, _other = attach(
            claims=[
                Claim((("external_userid", f"{corpid}:wm1"), ("unionid", "oFirstUnionid"))),
                Claim((("unionid", "oSecondUnionid"), ("phone", "13812345678"), ("device", "ipad-of-the-shop"))),
            ],
            at=at,
        ).contact_ids
        attach(claims=[Claim((("unionid", "oThird"), ("openid", "wx1:o3")), Draft(name="邱叶"))], at=at)
        attach(claims=[Claim((("external_userid", f"{corpid}:wm1"), ("unionid", "oSecondUnionid")))], at=at)
    log_in(page, server, "alice")
    home = f"{server}/b/{live_cast.brand.slug}/console/"
    page.goto(f"{home}oneid/")
    look(page, "oneid")
    page.click("a:has-text('处理 1 条冲突')")
    page.wait_for_selector("text=合并为一位")
    look(page, "conflicts")
    page.fill("input[name=reason]", "电话核实过是同一位")
    page.click("button:has-text('合并为一位')")
    page.wait_for_selector("text=没有待处理的冲突")

    page.goto(f"{home}contacts/{one}/")
    page.wait_for_selector("svg[role=img]")
    assert page.locator("svg[role=img] rect").count() == 5
    assert "电话核实过是同一位" in page.content()
    look(page, "contact")
    page.click("button:has-text('删除个人数据')")
    page.wait_for_selector("#erase[open]")
    look(page, "erase")
    page.keyboard.press("Escape")

    page.fill("input[aria-label='拆分的理由']", "弄错了")
    page.click("button:has-text('拆分')")
    page.wait_for_selector("text=已拆分")
