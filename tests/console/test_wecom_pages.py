"""企微接入 as the brand's owner clicks it: connecting with every refusal on the way, the handshake of the callback,
rotation, disconnection, and a corp that comes by a provider's link."""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from contacts.models import SyncRun
from tenants.models import AuditEntry, Seat, User
from tenants.roles import Role
from tenants.scope import brand_scope
from tests.cast import Cast
from tests.console.test_browser import log_in, problems  # noqa: F401  (a fixture)
from wecom.client import client_for
from wecom.models import AuthorisationLink, CallbackEndpoint, Corp, CorpApp, Suite
from wecom.provider import command, suites

CHINESE = re.compile(r"[\u4e00-\u9fff]")


def in_browser(test: Callable[..., None]) -> Any:
    """A test that needs Chromium."""
    missing = not Path("/usr/bin/chromium").exists()
    return pytest.mark.browser(pytest.mark.skipif(missing, reason="Chromium is not installed")(test))


def look(page: Any, name: str) -> None:
    """Keep a picture of the page where ORCHARD_SHOTS says, for people to look at."""
    if os.environ.get("ORCHARD_SHOTS"):
        page.screenshot(path=f"{os.environ['ORCHARD_SHOTS']}/{name}.png", full_page=True)


def in_english(page: Any) -> None:
    page.context.add_cookies([{"name": "django_language", "value": "en", "url": page.url}])


def chinese_left(page: Any) -> list[str]:
    """Lines in Chinese that are not the brand's or the corp's own names."""
    names = "茵|棉朵|charlie|果园|门店|应用|客户联系.*1000002|全棉"
    lines = page.inner_text("main, #content, body").splitlines()
    return [line for line in lines if CHINESE.search(line) and not re.search(names, line)]


def fill(page: Any, corp: dict[str, Any], secret: str, agent: int | None = None) -> None:
    page.fill("#w-name", "茵之")
    page.fill("#w-corpid", corp["corpid"])
    page.fill("#w-agent", str(agent or corp["apps"][0]["agentid"]))
    page.fill("#w-secret", secret)
    page.click("button:has-text('检查并接入')")


def until(holds: Callable[[], object]) -> None:
    """Wait for what the simulator sends by itself."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline


def failed_steps(page: Any) -> set[str]:
    """The steps of the check that did not pass, after it was run anew."""
    page.evaluate("document.querySelector('#verdicts').innerHTML = ''")
    page.click("button[hx-target='#verdicts']")
    page.wait_for_selector("#verdicts [data-passed]")
    rows = page.locator("#verdicts li")
    passed = page.locator("#verdicts li:has(.o-chip.done)")
    steps = {rows.nth(n).get_attribute("data-step") for n in range(rows.count())}
    return steps - {passed.nth(n).get_attribute("data-step") for n in range(passed.count())}


@in_browser
def test_a_corp_is_connected_step_by_step(page, server, live_cast: Cast, wecom, settings, problems):  # noqa: F811
    settings.PUBLIC_URL = server
    corp = wecom.corps()[0]
    contact, plain = corp["apps"][0], corp["apps"][1]
    brand = live_cast.other.pk
    log_in(page, server, "charlie")
    page.goto(f"{server}/b/yin/console/wecom/connect/")
    assert page.locator("text=服务商代开发").count() == 0  # the installation is no provider

    # Everything that WeCom refuses is said with what to do, and nothing is kept.
    fill(page, corp, "a-wrong-secret")
    page.wait_for_selector(".o-field.bad:has(#w-secret)")
    look(page, "connect-refused-zh")
    wecom.post(f"/_sim/corps/{corp['corpid']}/trusted_ips", {"ips": ["203.0.113.9"]})
    fill(page, corp, contact["secret"])
    page.wait_for_selector(".o-problem:has-text('127.0.0.1'):has-text('企业可信 IP')")
    look(page, "connect-ip-zh")
    wecom.post(f"/_sim/corps/{corp['corpid']}/trusted_ips", {"ips": None})
    fill(page, corp, plain["secret"], plain["agentid"])
    page.wait_for_selector(".o-problem:has-text('可调用接口的应用')")
    with brand_scope(brand):
        assert not Corp.objects.exists()
    problems.clear()  # the browser reports the refusals' 422

    fill(page, corp, contact["secret"])
    page.wait_for_url(re.compile(r"/wecom/\d+/$"))
    corp_id = int(page.url.rstrip("/").rsplit("/", 1)[1])
    page.wait_for_selector("#verdicts li[data-step='handshake']:has-text('还没有验证')")
    page.wait_for_selector("#corp-steps:has-text('等待企业微信验证')")
    look(page, "corp-fresh-zh")

    # WeCom's console saves what the page shows; its handshake appears by itself.
    keys = {"token": page.inner_text("#cb-token"), "aes_key": page.inner_text("#cb-key")}
    wired = wecom.post(
        f"/_sim/corps/{corp['corpid']}/callback", {"url": page.inner_text("#cb-url"), **keys, "timeout": 10}
    )
    assert wired["ok"], wired
    page.wait_for_selector("#corp-steps:has-text('企业微信已验证')")
    assert failed_steps(page) == {"callback"}  # nothing has happened in the corp yet

    # What the corp takes away later is found by the check, each for itself.
    app = f"/_sim/corps/{corp['corpid']}/apps/{contact['agentid']}"
    guides = wecom.get(f"/_sim/corps/{corp['corpid']}/guides")["items"]
    wecom.post(app, {"users": [guides[0]["userid"]], "parties": [], "forbidden": ["externalcontact/get_moment_list"]})
    assert failed_steps(page) == {"agent", "moments", "directory", "callback"}
    look(page, "corp-narrow-zh")
    wecom.post(app, {"users": None, "parties": None, "forbidden": None})
    assert failed_steps(page) == {"callback"}
    assert wecom.journal() == []
    calls = wecom.get("/_sim/counters")["calls"]
    assert not [path for path in calls if re.search(r"/(add_|create_|send|mark_tag|del_|edit_|update_)", path)]
    assert problems == []
    _rotates_and_disconnects(page, wecom, brand, corp_id, corp)


def _rotates_and_disconnects(page: Any, wecom: Any, brand: int, corp_id: int, corp: dict[str, Any]) -> None:
    contact, plain = corp["apps"][0], corp["apps"][1]
    # The secret is made anew in WeCom: the check says so, the wrong new one is refused, the right one taken.
    wecom.post(f"/_sim/corps/{corp['corpid']}/apps/{contact['agentid']}", {"secret": "made-anew-in-wecom"})
    assert "credentials" in failed_steps(page)
    page.reload()
    page.wait_for_selector(".o-problem:has-text('Secret')")
    page.click("summary:has-text('更换 Secret')")
    page.fill("input[name='secret'] >> nth=0", "not-it")
    page.click("button:has-text('检查并更换')")
    page.wait_for_selector("text=Secret 不正确")
    page.click("summary:has-text('更换 Secret')")
    page.fill("input[name='secret'] >> nth=0", "made-anew-in-wecom")
    page.click("button:has-text('检查并更换')")
    page.wait_for_selector("text=已更换")
    assert client_for(brand_id=brand, corp_id=corp_id).follow_users()

    # A second app, another purpose.
    page.click("summary:has-text('再添加一个应用')")
    page.fill("#a-name", "侧边栏")
    page.fill("#a-agent", str(plain["agentid"]))
    page.fill("#a-secret", plain["secret"])
    page.click("button:has-text('检查并添加')")
    page.wait_for_selector("li:has-text('侧边栏与应用消息')")
    assert client_for(brand_id=brand, corp_id=corp_id, kind="sidebar").agent_id == plain["agentid"]

    # New keys: what was pasted before is refused from now on.
    before = page.inner_text("#cb-token")
    page.click("summary:has-text('更换 Token')")
    page.click("form[action$='/keys/'] button:has-text('更换')")
    page.wait_for_selector("text=在此之前的回调会被拒绝")
    assert page.inner_text("#cb-token") != before
    page.wait_for_selector("#corp-steps:has-text('等待企业微信验证')")

    page.click("button:has-text('断开接入')")
    page.fill("#d-confirm", "别的企业")
    page.click("dialog[open] button.danger")
    page.wait_for_selector("text=请完整输入企业名称")
    page.click("button:has-text('断开接入')")
    look(page, "corp-disconnect-zh")
    page.fill("#d-confirm", "茵之")
    page.click("dialog[open] button.danger")
    page.wait_for_selector("h2:has-text('未接入')")
    look(page, "corp-off-zh")
    page.click("a:has-text('重新接入')")
    assert (page.input_value("#w-corpid"), page.input_value("#w-secret")) == (corp["corpid"], "")
    assert not CallbackEndpoint.objects.filter(corp_id=corp_id, brand=brand).exists()
    with brand_scope(brand):
        assert not CorpApp.objects.exclude(secret="").exists()
        assert Corp.objects.get().connected_at is None
        acts = list(AuditEntry.objects.order_by("id").values_list("action", flat=True))
        assert acts == [
            *("corp.connect", "corp.rotate_secret", "corp.add_app"),
            *("corp.rotate_callback_keys", "corp.disconnect"),
        ]
        assert "made-anew-in-wecom" not in str(list(AuditEntry.objects.values()))


@in_browser
def test_a_corp_comes_by_a_providers_link_in_english(page, server, live_cast: Cast, wecom, settings, problems):  # noqa: F811
    settings.PUBLIC_URL = server
    settings.WECOM_INSTALL_URL = f"{wecom.base_url}/open.work.weixin.qq.com/3rdapp/install"
    made = wecom.post("/_sim/suites", {"kind": "customized", "name": "Orchard"})
    suite = suites.put(suite_id=made["suite_id"], name="Orchard", secret=made["secret"])
    log_in(page, server, "charlie")
    page.wait_for_url(f"{server}/b/yin/console/")
    in_english(page)
    page.goto(f"{server}/b/yin/console/wecom/connect/")
    assert page.locator("button:has-text('authorisation link')").is_disabled()  # no ticket yet, and it says so
    look(page, "connect-noticket-en")

    keys = {"token": suite.token, "aes_key": suite.aes_key, "command_url": suites.command_url(suite)}
    assert wecom.post("/_sim/suites", {"suite_id": suite.suite_id, **keys, "timeout": 10})["ok"]
    until(lambda: Suite.objects.get().ticket)
    page.reload()
    assert not chinese_left(page)
    look(page, "connect-en")
    page.click("button:has-text('authorisation link')")
    page.wait_for_selector("#auth-url")
    assert not chinese_left(page)
    look(page, "link-en")

    # The corp's administrator, in another browser, follows it and agrees.
    with page.context.browser.new_context(locale="en-US") as other:
        admin = other.new_page()
        admin.goto(page.inner_text("#auth-url"))
        admin.locator("a, button").first.click()
        admin.wait_for_url(re.compile(r"/authorised/"))
        assert "Authorised" in admin.inner_text("h1")
        look(admin, "authorised-en")
    page.click("a:has-text('Continue')")
    page.wait_for_selector("#verdicts li[data-step='handshake']")
    assert not chinese_left(page)
    look(page, "corp-provided-en")

    with brand_scope(live_cast.other.pk):
        corp = Corp.objects.get()
    wecom.post(f"/_sim/suites/{suite.suite_id}/cancel", {"corpid": wecom.corps()[0]["corpid"]})
    until(lambda: command.carry_out(at=timezone.now()))  # as a worker does
    page.reload()
    page.wait_for_selector(".o-problem:has-text('authorisation')")
    assert not chinese_left(page)
    look(page, "corp-cancelled-en")
    assert corp.suite_id == suite.pk
    assert [text for text in problems if "outside" not in text] == []


def test_only_the_owner_sees_keys_and_changes_things(console, cast: Cast):
    with brand_scope(cast.brand.id):
        Corp.objects.filter(pk=cast.corp.pk).update(callback_token="tok", callback_aes_key="k" * 43)
    analyst = User.objects.create_user("ana", password="orchard-ana-1", name="ana")
    Seat.objects.create(user=analyst, brand=cast.brand, role=Role.OPERATOR)
    client = console(analyst)
    home = "/b/cotton/console/wecom/"

    shown = client.get(f"{home}{cast.corp.pk}/")
    assert shown.status_code == 200
    assert "k" * 43 not in shown.content.decode()
    for path in ("keys/", "disconnect/", "apps/", "apps/1/secret/", "apps/1/remove/"):
        assert client.post(f"{home}{cast.corp.pk}/{path}").status_code == 403
    assert client.post(f"{home}authorise/").status_code == 403


def test_another_brands_corp_and_link_are_missing(console, cast: Cast, wecom):
    client = console(cast.charlie.user)
    home = "/b/yin/console/wecom/"
    suite = suites.put(suite_id="dk1", name="x", secret="s")
    link = AuthorisationLink.objects.create(
        state="a" * 32,
        suite=suite,
        brand=cast.brand,
        made_by="user:1",
        url="https://x",
        made_at="2026-11-22T00:00Z",
        expires_at="2026-11-22T00:20Z",
    )
    for path in ("", "steps/", "runs/"):
        assert client.get(f"{home}{cast.corp.pk}/{path}").status_code == 404
    for path in ("check/", "sync/", "keys/", "disconnect/", "apps/1/secret/", "apps/1/remove/"):
        assert client.post(f"{home}{cast.corp.pk}/{path}", {"secret": "x"}).status_code == 404, path
    typed = {"agent_id": "1", "secret": "x", "name": "x", "kind": "sidebar"}
    assert client.post(f"{home}{cast.corp.pk}/apps/", typed).status_code == 404
    for path in ("", "status/"):
        assert client.get(f"{home}authorise/{link.state}/{path}").status_code == 404
    assert client.post(f"{home}authorise/", {"suite": "999"}).status_code == 404
    with brand_scope(cast.brand.id):
        assert not SyncRun.objects.exists()
