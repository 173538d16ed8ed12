"""The main loop as an operator clicks it, in headless Chromium, against the product's own WSGI application."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from campaigns.dispatch import dispatch, results
from campaigns.models import Batch, Push
from campaigns.planning import plan
from contacts import sync
from contacts.models import Contact
from tenants.actors import Actor
from tenants.scope import brand_scope
from tests.cast import Cast
from wecom import corps
from wecom.client import client_for
from wecom.models import Corp

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path("/usr/bin/chromium").exists(), reason="Chromium is not installed"),
]
ALICE = Actor("user:1", "alice")


@pytest.fixture
def problems(page) -> list[str]:
    """What the browser complained about; must stay empty. Nothing may be loaded from elsewhere."""
    found: list[str] = []
    page.on("pageerror", lambda error: found.append(f"script: {error}"))
    # A page that is left while it is asking for news aborts the request; htmx calls that an error.
    left = ("htmx:sendAbort", "htmx:afterRequest")
    page.on("console", lambda said: found.append(said.text) if said.type == "error" and said.text not in left else None)
    page.on("request", lambda asked: None if "127.0.0.1" in asked.url else found.append(f"outside: {asked.url}"))
    return found


@pytest.fixture
def friends(live_cast: Cast, wecom: Any) -> Corp:
    """Charlie's brand, connected to the small WeCom and synced."""
    brand, corp = live_cast.other, wecom.corps()[0]
    app, now = corp["apps"][0], timezone.now()
    connected = corps.connect(
        brand_id=brand.pk,
        corpid=corp["corpid"],
        name="茵之",
        agent_id=app["agentid"],
        secret=app["secret"],
        actor=ALICE,
        at=now,
    )
    run = sync.start(brand_id=brand.pk, corp_id=connected.corp_id, at=now)
    sync.run_to_end(
        brand_id=brand.pk, run_id=run, wecom=client_for(brand_id=brand.pk, corp_id=connected.corp_id), at=now
    )
    with brand_scope(brand.pk):
        return Corp.objects.get(pk=connected.corp_id)


def log_in(page: Any, server: str, name: str) -> None:
    page.goto(f"{server}/")
    page.fill("#username", name)
    page.fill("#password", f"orchard-{name}-1")
    page.click("button:has-text('登录')")


def carry_out(brand_id: int, corp: Corp, wecom: Any, push_id: int) -> None:
    """What worker and guides do with a push that has been sent: here at once, instead of after the grace."""
    now = timezone.now()
    with brand_scope(brand_id):
        Push.objects.filter(pk=push_id).update(scheduled_at=now)
    plan.plan(brand_id=brand_id, push_id=push_id, at=now)
    client = client_for(brand_id=brand_id, corp_id=corp.pk)
    with brand_scope(brand_id):
        batches = list(Batch.objects.filter(push=push_id).values_list("pk", flat=True))
    for batch_id in batches:
        dispatch.send(brand_id=brand_id, batch_id=batch_id, wecom=client, at=now)
    wecom.post("/_sim/acts/settle", {"corpid": corp.corpid})
    for batch_id in batches:
        results.poll(brand_id=brand_id, batch_id=batch_id, wecom=client, at=timezone.now())


def test_from_log_in_to_the_result_of_a_push(page, server, live_cast, friends, wecom, problems):
    log_in(page, server, "dora")

    # An agency sees its brands, each row with its own figures, and enters one.
    page.wait_for_url(f"{server}/agency/")
    page.wait_for_selector("tr:has-text('茵之') td:has-text('40')")
    page.click("a:has-text('茵之')")
    page.wait_for_selector("[data-chart][data-drawn]")
    assert "茵之" in page.title()

    # It switches to the other brand, and back; what is shown is that brand's.
    page.click("#brand-switcher")
    page.click("#brand-list a:has-text('全棉生活')")
    page.wait_for_url(f"{server}/b/cotton/console/")
    assert "全棉生活" in page.title()
    page.click("#brand-switcher")
    page.click("#brand-list a:has-text('茵之')")
    page.wait_for_url(f"{server}/b/yin/console/")

    # A segment, in sentences, with a live count.
    page.click("nav a:has-text('人群')")
    page.locator("a:has-text('新建人群')").first.click()
    page.wait_for_selector("#count")
    assert page.get_attribute("#count", "data-count") == "40"
    page.fill("#seg-name", "女性客户")
    page.select_option("#add-rule", "profile")
    page.select_option("[name='c1.field']", "gender")
    page.wait_for_selector("select[name='c1.value']")
    page.select_option("[name='c1.value']", "2")
    with brand_scope(live_cast.other.pk):
        women = Contact.objects.filter(gender=2).count()
        one = Contact.objects.filter(gender=1).order_by("pk")[0]
    page.wait_for_selector(f"#count[data-count='{women}']")
    page.fill("#who", one.name)
    page.click("#explain-button")
    page.wait_for_selector("#explained :text('人群里')")
    page.click("#save-segment")
    page.wait_for_url(re.compile(r"/segments/\d+/$"))

    # A push to it: saved, dry-run, sent.
    page.click("nav a:has-text('推送')")
    page.locator("a:has-text('新建推送')").first.click()
    page.fill("#push-name", "会员日")
    page.select_option("#f-segment", label="女性客户 · v1")
    page.fill("[name='v1.text']", "会员日到啦，今天签到有礼")
    assert "会员日到啦" in page.inner_text("#phone")
    page.click("#save-draft")
    page.wait_for_url(re.compile(r"/pushes/\d+/$"))
    push_id = int(page.url.rstrip("/").rsplit("/", 1)[1])
    page.wait_for_selector("#planned")
    planned = int(page.get_attribute("#planned", "data-planned"))
    assert 0 < planned <= women
    page.click("#dry-run-button")
    page.wait_for_selector("#dry-run :text('不会发送，不会写入')")
    page.keyboard.press("Escape")
    page.click("#send-button")
    page.click("#send-now")
    page.wait_for_selector("#recall")
    assert not wecom.journal(kind="single")

    # The page follows by itself what guides and WeCom do.
    carry_out(live_cast.other.pk, friends, wecom, push_id)
    page.wait_for_selector("#delivered", timeout=60_000)
    delivered = len(wecom.journal(kind="single"))
    assert delivered > 0
    page.wait_for_selector(f"#delivered[data-delivered='{delivered}']", timeout=60_000)
    page.click("#delivered")
    page.wait_for_url(re.compile(r"/people/\?status=delivered"))
    assert page.locator("tbody tr").count() == delivered
    assert problems == []


def test_a_draft_is_saved_while_it_is_typed(page, server, live_cast, friends, problems):
    log_in(page, server, "charlie")
    page.wait_for_url(f"{server}/b/yin/console/")
    page.goto(f"{server}/b/yin/console/pushes/new/")
    page.fill("#push-name", "草稿")
    page.fill("[name='v1.text']", "第一稿")
    page.click("#save-draft")
    page.wait_for_selector("#forecast #planned")

    page.fill("[name='v1.text']", "第二稿")
    page.wait_for_selector("#saved:has-text('已保存')")
    page.reload()

    assert page.input_value("[name='v1.text']") == "第二稿"
    assert problems == []


def test_the_console_speaks_english(page, server, live_cast, friends, problems):
    log_in(page, server, "charlie")
    page.wait_for_url(f"{server}/b/yin/console/")
    page.evaluate("fetch('/').then(() => 0)")
    page.click("#user-button:has-text('charlie')")
    page.click("button:has-text('English')")
    page.wait_for_selector("nav a:has-text('Contacts')")

    chinese = re.compile(r"[\u4e00-\u9fff]")
    for path in (
        "",
        "contacts/",
        "segments/new/",
        "pushes/new/",
        "points/rules/",
        "wecom/",
        "members/",
        "keys/",
        "inbox/",
    ):
        page.goto(f"{server}/b/yin/console/{path}")
        page.wait_for_load_state("networkidle")
        # What is left without the brand's own names is ours, and must be English.
        page.evaluate(
            "document.querySelectorAll('tbody, .o-avatar, .o-brandmark, option[value]:not([value=\"\"])')"
            ".forEach((element) => element.remove())"
        )
        text = page.inner_text("body")
        for name in ("简体中文", "茵之", "果园"):
            text = text.replace(name, "")
        found = [line for line in text.splitlines() if chinese.search(line)]
        assert not found, (path, found[:5])
    assert problems == []


def test_wecom_is_connected_with_a_live_check(page, server, live_cast, wecom, problems):
    corp = wecom.corps()[0]
    app = corp["apps"][0]
    log_in(page, server, "charlie")
    page.goto(f"{server}/b/yin/console/wecom/connect/")
    page.fill("#w-name", "茵之")
    page.fill("#w-corpid", corp["corpid"])
    page.fill("#w-agent", str(app["agentid"]))

    page.fill("#w-secret", "a-wrong-secret")
    page.click("button:has-text('检查并接入')")
    page.wait_for_selector(".o-field.bad")
    with brand_scope(live_cast.other.pk):
        assert not Corp.objects.exists()
    assert "a-wrong-secret" not in page.content()
    problems.clear()  # the browser reports the refusal's 422

    page.fill("#w-secret", app["secret"])
    page.click("button:has-text('检查并接入')")
    page.wait_for_url(re.compile(r"/wecom/\d+/$"))
    shown = page.inner_text("#cb-url")
    assert re.fullmatch(re.escape(settings.PUBLIC_URL.rstrip("/")) + r"/callbacks/wecom/[0-9a-f-]{36}/", shown)
    page.click("button:has-text('重新检查')")
    page.wait_for_selector("#verdicts li")
    assert page.locator("#verdicts :text('通过')").count() >= 3
    assert problems == []
