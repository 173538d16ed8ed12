"""Application messages in full: every kind of template card, response codes, recall, silent drops; media in full."""

from __future__ import annotations

import hashlib
import struct

import pytest

TITLE = {"main_title": {"title": "今天的群发", "desc": "12 位客户"}}
JUMP = {"card_action": {"type": 1, "url": "https://orchard.example/tasks"}}
OPTIONS = {"question_key": "q", "option_list": [{"id": "a", "text": "好"}, {"id": "b", "text": "不好"}]}
SUBMIT = {"submit_button": {"text": "提交", "key": "send"}}
BUTTON = {"text": "去确认", "style": 1, "key": "confirm"}

TEXT_NOTICE = {"card_type": "text_notice", **TITLE, **JUMP}
NEWS_NOTICE = {"card_type": "news_notice", **TITLE, **JUMP, "card_image": {"url": "https://a.example/1.png"}}
BUTTONS = {"card_type": "button_interaction", **TITLE, "button_list": [BUTTON]}
VOTE = {"card_type": "vote_interaction", **TITLE, "checkbox": OPTIONS, **SUBMIT}
MULTIPLE = {"card_type": "multiple_interaction", **TITLE, "select_list": [OPTIONS], **SUBMIT}

numbers = iter(range(10_000))


def task():
    return {"task_id": f"task-{next(numbers)}"}


def send(caller, card, **body):
    given = {"touser": caller.guides()[0], "agentid": caller.agentid, "msgtype": "template_card"}
    return caller.post("message/send", {**given, "template_card": card, **body})


def update(caller, **body):
    return caller.post("message/update_template_card", {"agentid": caller.agentid, "atall": 1, **body})


@pytest.mark.parametrize("card", [TEXT_NOTICE, NEWS_NOTICE])
def test_a_notice_has_no_response_code(caller, card):
    sent = send(caller, card)
    assert sent["errcode"] == 0
    assert "response_code" not in sent


@pytest.mark.parametrize("card", [BUTTONS, VOTE, MULTIPLE, TEXT_NOTICE | {"action_menu": None}])
def test_an_interactive_card_has_one(caller, card):
    if "action_menu" in card:
        card = card | {"action_menu": {"desc": "更多", "action_list": [{"text": "不再提醒", "key": "mute"}]}}
    assert send(caller, card | task())["response_code"]


@pytest.mark.parametrize(
    ("card", "errcode"),
    [
        ({"card_type": "song", **TITLE}, 40058),
        ({"card_type": "text_notice", **TITLE}, 40058),  # no card_action
        (TEXT_NOTICE | {"main_title": {}}, 40058),
        (TEXT_NOTICE | {"card_action": {"type": 1, "url": "a.example"}}, 45034),
        (TEXT_NOTICE | {"card_action": {"type": 1}}, 41010),
        (TEXT_NOTICE | {"card_action": {"type": 2}}, 40058),
        (TEXT_NOTICE | {"horizontal_content_list": [{"keyname": "k", "value": "v"}] * 7}, 40058),
        (TEXT_NOTICE | {"horizontal_content_list": [{"keyname": "k", "type": 1}]}, 41010),
        (TEXT_NOTICE | {"horizontal_content_list": [{"keyname": "k", "type": 2, "media_id": "x"}]}, 40007),
        (TEXT_NOTICE | {"horizontal_content_list": [{"keyname": "k", "type": 3, "userid": "nobody"}]}, 40003),
        (TEXT_NOTICE | {"jump_list": [{"type": 0, "title": "t"}] * 4}, 40058),
        (TEXT_NOTICE | {"action_menu": {"action_list": [{"text": "t", "key": "k"}]}}, 40058),  # no task_id
        ({"card_type": "news_notice", **TITLE, **JUMP}, 40058),
        (NEWS_NOTICE | {"vertical_content_list": [{"title": "t"}] * 5}, 40058),
        (BUTTONS, 40058),  # no task_id
        (BUTTONS | {"task_id": "t" * 129}, 40058),
        (BUTTONS | {"task_id": "x", "button_list": []}, 40058),
        (BUTTONS | {"task_id": "x", "button_list": [BUTTON] * 7}, 40058),
        (BUTTONS | {"task_id": "x", "button_list": [BUTTON | {"style": 5}]}, 40058),
        (VOTE | {"task_id": "x", "checkbox": {}}, 40058),
        (VOTE | {"task_id": "x", "submit_button": {}}, 40058),
        (MULTIPLE | {"task_id": "x", "select_list": [OPTIONS] * 4}, 40058),
    ],
)
def test_what_a_card_must_not_be(caller, card, errcode):
    assert send(caller, card)["errcode"] == errcode


def test_a_task_id_is_used_once_per_app(caller):
    card = BUTTONS | task()
    assert [send(caller, card)["errcode"] for _ in range(2)] == [0, 40058]


def test_a_response_code_updates_the_card_once_within_72_hours(caller):
    sent, late = send(caller, BUTTONS | task()), send(caller, BUTTONS | task())
    change = {"response_code": sent["response_code"], "button": {"replace_name": "已确认"}}
    assert update(caller, **change)["errcode"] == 0
    assert update(caller, **change)["errcode"] == 40058
    items = caller.simulator.get("/_sim/messages")["items"]
    shown = next(each for each in items if each["msgid"] == sent["msgid"])
    assert shown["updates"] == {caller.guides()[0]: {"replace_name": "已确认"}}
    caller.simulator.post("/_sim/clock", {"advance_seconds": 72 * 3600 + 1})
    assert update(caller, response_code=late["response_code"], button={"replace_name": "x"})["errcode"] == 40058


def test_a_whole_card_may_replace_it_but_not_another_apps(caller):
    sent = send(caller, BUTTONS | task())
    other = type(caller)(caller.simulator, app=1)
    given = {"response_code": sent["response_code"], "template_card": TEXT_NOTICE}
    assert update(other, **given)["errcode"] == 42015
    assert update(caller, **given | {"template_card": {"card_type": "song"}})["errcode"] == 40058
    named = given | {"atall": 0, "userids": [caller.guides()[0], "nobody"]}
    assert update(caller, **named)["invaliduser"] == ["nobody"]


def test_a_pressed_button_is_an_event_with_a_new_code(caller):
    sent = send(caller, VOTE | task())
    press = {"userid": caller.guides()[0], "key": "send", "selected": {"q": ["a"]}}
    code = caller.simulator.post(f"/_sim/messages/{sent['msgid']}/press", press)["response_code"]
    assert code != sent["response_code"]
    assert update(caller, response_code=code, button={"replace_name": "已提交"})["errcode"] == 0


def test_recall_within_a_day_by_the_same_app(caller):
    body = {"touser": caller.guides()[0], "agentid": caller.agentid, "msgtype": "text", "text": {"content": "收回"}}
    sent, old = caller.post("message/send", body), caller.post("message/send", body)
    other = type(caller)(caller.simulator, app=1)
    assert other.post("message/recall", {"msgid": sent["msgid"]})["errcode"] == 40058
    assert caller.post("message/recall", {"msgid": sent["msgid"]})["errcode"] == 0
    caller.simulator.post("/_sim/clock", {"advance_seconds": 86_401})
    assert caller.post("message/recall", {"msgid": old["msgid"]})["errcode"] == 40058


def test_above_thirty_a_minute_a_member_hears_no_more_and_nobody_says_so(caller):
    userid = caller.guides()[3]
    body = {"touser": userid, "agentid": caller.agentid, "msgtype": "text"}
    sent = [caller.post("message/send", body | {"text": {"content": f"{number}"}}) for number in range(33)]
    assert {each["errcode"] for each in sent} == {0}
    heard = {row["msgid"] for row in caller.simulator.journal(kind="app", external_userid=userid)}
    assert [each["msgid"] in heard for each in sent] == [True] * 30 + [False] * 3
    caller.simulator.post("/_sim/clock", {"advance_seconds": 61})
    again = caller.post("message/send", body | {"text": {"content": "又来"}})
    assert again["msgid"] in {row["msgid"] for row in caller.simulator.journal(kind="app", external_userid=userid)}


def test_the_duplicate_check_drops_what_was_said_lately(caller):
    userid = caller.guides()[4]
    body = {"touser": userid, "agentid": caller.agentid, "msgtype": "text", "text": {"content": "同一句"}}
    body |= {"enable_duplicate_check": 1, "duplicate_check_interval": 600}

    def heard():
        rows = caller.simulator.journal(kind="app", external_userid=userid)
        return sum(1 for row in rows if row["text"] == "同一句")

    assert [caller.post("message/send", body)["errcode"] for _ in range(2)] == [0, 0]
    assert heard() == 1
    caller.simulator.post("/_sim/clock", {"advance_seconds": 601})
    caller.post("message/send", body)
    assert heard() == 2


def test_the_day_has_an_end_for_an_apps_messages(caller):
    caller.simulator.post("/_sim/limits", {"account_cap": 0})
    body = {"touser": caller.guides()[0], "agentid": caller.agentid, "msgtype": "text", "text": {"content": "x"}}
    assert caller.post("message/send", body)["errcode"] == 45009
    caller.simulator.post("/_sim/limits", {"account_cap": 10_000})
    assert caller.post("message/send", body)["errcode"] == 0


# -- media -------------------------------------------------------------------------------------------------------------


def upload(caller, path, content, filename="a.png", **query):
    return caller.session.post(
        caller.simulator.api_base + path,
        params={"access_token": caller.simulator.token(), **query},
        files={"media": (filename, content)},
        timeout=30,
    ).json()


def png(width, height):
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + struct.pack(">II", width, height) + b"0" * 40


def jpeg(width, height):
    frame = b"\xff\xc0" + struct.pack(">HBHH", 17, 8, height, width) + b"0" * 30
    return b"\xff\xd8\xff\xe0" + struct.pack(">H", 4) + b"00" + frame


def film(seconds):
    movie = b"mvhd" + bytes(12) + struct.pack(">II", 1000, seconds * 1000)
    return b"\x00\x00\x00\x18ftypmp42" + b"0" * 20 + movie + b"0" * 40


@pytest.mark.parametrize(
    ("kind", "content", "errcode"),
    [
        ("image", png(1080, 10_800), 0),
        ("image", png(1081, 1081), 41081),
        ("image", png(100, 10_801), 41081),
        ("image", jpeg(800, 600), 0),
        ("image", jpeg(4000, 3000), 41081),
        ("video", film(30), 0),
        ("video", film(31), 41082),
    ],
)
def test_an_attachment_for_moments_has_measures(caller, kind, content, errcode):
    answer = upload(caller, "media/upload_attachment", content, media_type=kind, attachment_type=1)
    assert answer["errcode"] == errcode
    if not errcode:
        assert isinstance(answer["created_at"], int)


def test_an_ordinary_upload_tells_its_time_as_a_string_and_album_takes_images_only(caller):
    assert isinstance(upload(caller, "media/upload", png(10, 10), type="image")["created_at"], str)
    refused = upload(caller, "media/upload_attachment", film(3), media_type="video", attachment_type=2)
    assert refused["errcode"] == 40005


def test_a_large_file_comes_in_ranges(caller):
    content = bytes(range(256)) * 40
    media_id = upload(caller, "media/upload", content, "a.bin", type="file")["media_id"]
    url, query = (
        caller.simulator.api_base + "media/get",
        {"access_token": caller.simulator.token(), "media_id": media_id},
    )
    part = caller.session.get(url, params=query, headers={"Range": "bytes=100-199"}, timeout=10)
    assert (part.status_code, part.content) == (206, content[100:200])
    assert part.headers["Content-Range"] == f"bytes 100-199/{len(content)}"
    beyond = caller.session.get(url, params=query, headers={"Range": "bytes=99999-"}, timeout=10)
    assert beyond.json()["errcode"] == 830002


def test_upload_by_url_is_a_job(caller):
    url = upload(caller, "media/uploadimg", png(10, 10))["url"]
    md5 = hashlib.md5(png(10, 10)).hexdigest()  # noqa: S324
    body = {"scene": 1, "type": "file", "filename": "a.png", "url": url, "md5": md5}
    jobs = [caller.post("media/upload_by_url", body | each)["jobid"] for each in ({}, {"md5": "0" * 32})]
    jobs.append(caller.post("media/upload_by_url", body | {"url": "https://nowhere.example/a"})["jobid"])
    assert caller.post("media/get_upload_by_url_result", {"jobid": jobs[0]})["status"] == 1
    caller.simulator.post("/_sim/clock", {"advance_seconds": 10})
    results = [caller.post("media/get_upload_by_url_result", {"jobid": each}) for each in jobs]
    assert [(each["status"], each["detail"]["errcode"]) for each in results] == [(2, 0), (3, 301019), (3, 830003)]
    assert caller.get("media/get", media_id=results[2]["detail"]["media_id"])["errcode"] == 41006
    assert caller.post("media/upload_by_url", body | {"url": "ftp://x"})["errcode"] == 830001
