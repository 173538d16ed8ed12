"""A customer's phone in the browser: conversations and Moments as the customer saw them, in two languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import requests

CHROMIUM = Path("/usr/bin/chromium")
PNG = b"\x89PNG\r\n\x1a\n" + b"picture" * 4


def page(caller, *, accept="", **query):
    """The page's text."""
    url = f"{caller.simulator.base_url}/_sim/phone"
    headers = {"Accept-Language": accept}
    answer = requests.get(url, params={"corpid": caller.corpid, **query}, headers=headers, timeout=10)
    assert answer.status_code == 200
    return answer.text


def upload(caller, path, **query):
    answer = requests.post(
        caller.simulator.api_base + path,
        params={"access_token": caller.token, **query},
        files={"media": ("a.png", PNG)},
        timeout=10,
    )
    return answer.json()["media_id"]


@pytest.fixture
def visitor(caller):
    """Somebody who just added the first guide: (userid, external_userid)."""
    userid = caller.guides()[0]
    made = caller.simulator.act("scan", userid=userid, name="柚子<i>")
    return userid, made["external_userid"]


def say(caller, visitor, text, **more):
    userid, customer = visitor
    body = {"sender": userid, "external_userid": [customer], "text": {"content": text}, **more}
    caller.simulator.act("confirm", msgid=caller.ok("add_msg_template", body)["msgid"], userid=userid)


def test_it_speaks_the_language_of_the_browser_or_the_address(caller, visitor):
    customer = visitor[1]
    assert "你已添加了" in page(caller, external_userid=customer)
    assert "You have added" in page(caller, external_userid=customer, accept="en-GB,en;q=0.9")
    assert "你已添加了" in page(caller, external_userid=customer, accept="en", lang="zh")
    assert not re.search(r"(?<![\w@])(聊天|朋友圈|还没有)", page(caller, external_userid=customer, lang="en"))


def test_what_people_wrote_is_shown_and_not_run(caller, visitor):
    link = {"title": "<b>新品</b>", "url": "javascript:alert(1)"}
    attachments = [{"msgtype": "link", "link": link}]
    say(caller, visitor, "<script>alert(1)</script>", attachments=attachments)
    shown = page(caller, external_userid=visitor[1])
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "柚子&lt;i&gt;" in shown
    assert "&lt;b&gt;新品&lt;/b&gt;" in shown
    assert 'href="javascript' not in shown


def test_pictures_are_there_also_when_their_media_id_is_not_good_any_more(caller, visitor):
    media_id = upload(caller, "media/upload", type="image")
    say(caller, visitor, "看图", attachments=[{"msgtype": "image", "image": {"media_id": media_id}}])
    source = re.search(r'<img class="picture" src="([^"]+)"', page(caller, external_userid=visitor[1]))
    answer = requests.get(caller.simulator.base_url + source[1].replace("&amp;", "&"), timeout=10)
    assert (answer.headers["Content-Type"], answer.content) == ("image/png", PNG)
    unknown = {"corpid": caller.corpid, "media_id": "x"}
    assert (
        requests.get(f"{caller.simulator.base_url}/_sim/phone/picture", params=unknown, timeout=10).status_code == 404
    )


def test_the_latest_conversation_is_open_and_the_others_are_a_list(caller, visitor):
    userid, customer = visitor
    other = caller.guides()[1]
    caller.simulator.act("scan", userid=other, external_userid=customer)
    say(caller, visitor, "第一位导购")
    say(caller, (other, customer), "第二位导购")
    caller.simulator.post("/_sim/clock", {"advance_seconds": 5})
    caller.simulator.act("chat", userid=userid, external_userid=customer, by="customer", text="在吗")
    newest = page(caller, external_userid=customer)
    earlier = page(caller, external_userid=customer, **{"with": other})
    listed = page(caller, external_userid=customer, **{"with": "list"})
    assert ("在吗" in newest, "第二位导购" in newest) == (True, False)
    assert ("第二位导购" in earlier, "第一位导购" in earlier) == (True, False)
    assert listed.count('class="row"') >= 2


def test_a_newcomer_does_not_see_what_a_group_was_told_before(caller, visitor):
    userid, customer = visitor
    chat_id = caller.simulator.act("create_group", userid=userid, name="手机群", external_userids=[])["chat_id"]

    def tell(text):
        body = {"chat_type": "group", "sender": userid, "chat_id_list": [chat_id], "text": {"content": text}}
        caller.simulator.act("confirm", msgid=caller.ok("add_msg_template", body)["msgid"], userid=userid)

    tell("以前说的")
    caller.simulator.post("/_sim/clock", {"advance_seconds": 5})
    caller.simulator.act("join_group", chat_id=chat_id, external_userid=customer)
    tell("后来说的")
    shown = page(caller, external_userid=customer, **{"with": chat_id})
    assert ("以前说的" in shown, "后来说的" in shown, "手机群 (2)" in shown) == (False, True, True)


def test_whoever_deleted_a_guide_sees_that_too(caller, visitor):
    userid, customer = visitor
    say(caller, visitor, "再见")
    caller.simulator.act("delete_follow", userid=userid, external_userid=customer, by="customer")
    shown = page(caller, external_userid=customer)
    assert "你删除了" in shown
    assert "(已删除)" in shown


def test_customers_can_be_found(caller, visitor):
    assert visitor[1] in page(caller, q="柚子<")
    assert visitor[1] in page(caller, q=visitor[1])
    assert "没有找到这样的客户" in page(caller, q="nobody at all")


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args):
    """Debian's Chromium."""
    return {**browser_type_launch_args, "executable_path": str(CHROMIUM), "args": ["--no-sandbox", "--disable-gpu"]}


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed")
@pytest.mark.parametrize(
    ("width", "end"), [(1280, "document.querySelector('.of-chats .screen')"), (390, "document.scrollingElement")]
)
def test_it_follows_what_happens_on_a_desk_and_in_the_hand(caller, visitor, browser, width, end):
    userid, customer = visitor
    tab = browser.new_page(viewport={"width": width, "height": 700})
    wrong: list[object] = []
    tab.on("pageerror", lambda error: wrong.append(error))
    tab.goto(f"{caller.simulator.base_url}/_sim/phone?corpid={caller.corpid}&external_userid={customer}&lang=zh")
    for number in range(15):
        caller.simulator.act("chat", userid=userid, external_userid=customer, by="guide", text=f"第{number}句")
    tab.evaluate("look()")
    assert tab.get_by_text("第14句", exact=True).is_visible()
    assert tab.evaluate(f"{end}.scrollHeight - {end}.scrollTop - {end}.clientHeight") < 2
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert wrong == []
    tab.close()


def test_a_guide_with_another_userid_is_still_the_same_on_the_phone(caller):
    act = caller.simulator.act
    userid = act("member", action="create", userid="was.so", name="改名前", department=[3])["userid"]
    customer = act("scan", userid=userid)["external_userid"]
    say(caller, (userid, customer), "以前的话")
    jobid = caller.ok("add_moment_task", {"text": {"content": "以前的圈"}, "visible_range": senders(userid)})["jobid"]
    act("settle")
    moment_id = caller.get("externalcontact/get_moment_task_result", jobid=jobid)["result"]["moment_id"]
    act("confirm", userid=userid, moment_id=moment_id)
    act("member", action="update", userid=userid, new_userid="is.so", name="改名后")
    say(caller, ("is.so", customer), "现在的话")
    shown = page(caller, external_userid=customer)
    assert all(said in shown for said in ("以前的话", "现在的话", "以前的圈", "改名后"))
    assert "was.so" not in shown
    act("leave", userid="is.so")


def senders(userid):
    return {"sender_list": {"user_list": [userid]}}
