"""Media limits, and application messages to members."""

import pytest

JPG = b"\xff\xd8\xff\xe0" + b"0" * 100
MP4 = b"\x00\x00\x00\x18ftypmp42" + b"0" * 100


def upload(caller, path, content, filename="a.jpg", **query):
    return caller.session.post(
        caller.simulator.api_base + path,
        params={"access_token": caller.token, **query},
        files={"media": (filename, content)},
        timeout=30,
    )


@pytest.mark.parametrize(
    ("kind", "content", "errcode"),
    [
        ("image", JPG, 0),
        ("image", b"GIF89a" + b"0" * 50, 40004),
        ("image", b"\xff\xd8\xff", 40006),
        ("image", b"\xff\xd8\xff" + b"0" * (10 * 1024 * 1024), 45001),
        ("video", MP4, 0),
        ("video", JPG, 41090),
        ("file", "价目表".encode(), 0),
        ("song", JPG, 40005),
    ],
)
def test_upload_limits(caller, kind, content, errcode):
    assert upload(caller, "media/upload", content, type=kind).json().get("errcode", 0) == errcode


def test_a_file_comes_back_as_it_went_for_three_days(caller):
    media_id = upload(caller, "media/upload", JPG, "封面.jpg", type="image").json()["media_id"]
    url, query = caller.simulator.api_base + "media/get", {"access_token": caller.token, "media_id": media_id}
    answer = caller.session.get(url, params=query, timeout=10)
    assert answer.content == JPG
    assert "attachment" in answer.headers["Content-disposition"]

    caller.simulator.post("/_sim/clock", {"advance_seconds": 3 * 86_400 + 1})

    assert caller.get("media/get", media_id=media_id)["errcode"] == 40007


def test_an_uploaded_picture_has_a_lasting_address(caller):
    url = upload(caller, "media/uploadimg", JPG).json()["url"]
    assert caller.session.get(url, timeout=10).content == JPG
    userid = caller.guides()[0]
    body = {"sender": userid, "attachments": [{"msgtype": "image", "image": {"pic_url": url}}]}
    assert caller.errcode("add_msg_template", body) == 0


@pytest.mark.parametrize(
    ("change", "errcode"),
    [
        ({}, 0),
        ({"touser": "nobody|nowhere"}, 81013),
        ({"touser": ""}, 81012),
        ({"agentid": 1}, 40056),
        ({"agentid": 1000003}, 301002),
        ({"agentid": None}, 41011),
        ({"text": {"content": ""}}, 44004),
        ({"text": {"content": "字" * 700}}, 45002),
        ({"msgtype": "song"}, 40058),
        ({"msgtype": "textcard", "textcard": {"title": "t", "url": "https://a.example"}}, 41033),
        ({"msgtype": "textcard", "textcard": {"title": "t", "description": "d", "url": "a.example"}}, 45034),
    ],
)
def test_message_refusals(caller, change, errcode):
    body = {"touser": caller.guides()[0], "agentid": caller.agentid, "msgtype": "text", "text": {"content": "任务"}}
    assert caller.post("message/send", body | change)["errcode"] == errcode


def test_a_department_hears_it_together(caller):
    body = {"toparty": "2|77", "agentid": caller.agentid, "msgtype": "text", "text": {"content": "早会"}}
    sent = caller.post("message/send", body)
    assert sent["invalidparty"] == "77"
    heard = {row["userid"] for row in caller.simulator.journal(kind="app") if row["msgid"] == sent["msgid"]}
    assert heard == {each["userid"] for each in caller.get("user/simplelist", department_id=2)["userlist"]}


def test_a_message_takes_a_file_of_its_own_kind_that_was_uploaded_for_messages(caller):
    image = upload(caller, "media/upload", JPG, type="image").json()["media_id"]
    file = upload(caller, "media/upload", b"price list", type="file").json()["media_id"]
    moment = upload(caller, "media/upload_attachment", JPG, media_type="image", attachment_type=1).json()["media_id"]
    body = {"touser": caller.guides()[0], "agentid": caller.agentid, "msgtype": "image"}
    codes = [
        caller.post("message/send", body | {"image": {"media_id": media_id}})["errcode"]
        for media_id in (image, file, moment)
    ]
    assert codes == [0, 40007, 41072]
