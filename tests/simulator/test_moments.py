"""Moments: an asynchronous job, guides who publish, customers who see it."""

import pytest

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 64


def finished(caller, body):
    """The result of a moment job that ran to its end; guides have not published yet."""
    jobid = caller.ok("add_moment_task", body)["jobid"]
    first = caller.get("externalcontact/get_moment_task_result", jobid=jobid)
    assert first["status"] in (1, 2)
    caller.simulator.post("/_sim/clock", {"advance_seconds": 5})
    for _ in range(100):
        answer = caller.get("externalcontact/get_moment_task_result", jobid=jobid)
        if answer["status"] == 3:
            return answer["result"]
    raise AssertionError("the job did not finish")


@pytest.fixture
def fresh_minutes(caller):
    """Ten moments a minute and corp are all WeCom creates: begin a new minute."""
    caller.simulator.post("/_sim/clock", {"advance_seconds": 120})


@pytest.mark.usefixtures("fresh_minutes")
def test_a_tag_on_one_guides_pair_aims_at_that_pair_only(caller):
    person = next(
        each
        for each in caller.people()
        if len(each["follows"]) == 2 and not any(f["deleted_by_customer"] for f in each["follows"])
    )
    chosen, customer = person["follows"][0]["userid"], person["external_userid"]
    tag = caller.ok("add_corp_tag", {"group_name": "朋友圈", "tag": [{"name": "本次可见"}]})["tag_group"]["tag"][0][
        "id"
    ]
    caller.ok("mark_tag", {"userid": chosen, "external_userid": customer, "add_tag": [tag]})

    visible = {"external_contact_list": {"tag_list": [tag, "etUnknown"]}}
    result = finished(caller, {"text": {"content": "婴童新品"}, "visible_range": visible})
    assert result["errcode"] == 0
    assert result["invalid_external_contact_list"]["tag_list"] == ["etUnknown"]
    moment = {"moment_id": result["moment_id"]}
    mine = moment | {"userid": chosen}

    assert caller.ok("get_moment_task", moment)["task_list"] == [{"userid": chosen, "publish_status": 0}]
    assert caller.ok("get_moment_customer_list", mine)["customer_list"] == [
        {"userid": chosen, "external_userid": customer}
    ]
    assert caller.errcode("get_moment_send_result", mine) == 41062
    assert caller.errcode("get_moment_comments", mine) == 41062

    caller.simulator.act("settle")

    assert caller.ok("get_moment_task", moment)["task_list"][0]["publish_status"] == 1
    assert caller.ok("get_moment_send_result", mine)["customer_list"] == [{"external_userid": customer}]
    shown = [row for row in caller.simulator.journal(kind="moment") if row["moment_id"] == result["moment_id"]]
    assert [(row["external_userid"], row["sender"], row["text"]) for row in shown] == [(customer, chosen, "婴童新品")]


@pytest.mark.usefixtures("fresh_minutes")
def test_public_moments_go_to_everybody_but_those_who_left(caller):
    caller.simulator.post("/_sim/switches", {"like_rate": 0.5, "comment_rate": 0.3})
    userid = caller.guides()[0]
    friends = set(caller.friends_of(userid))
    body = {
        "text": {"content": "早安"},
        "visible_range": {"sender_list": {"user_list": [userid, "stranger"], "department_list": [99]}},
    }
    result = finished(caller, body)
    assert result["invalid_sender_list"] == {"user_list": ["stranger"], "department_list": [99]}
    caller.simulator.act("settle")
    mine = {"moment_id": result["moment_id"], "userid": userid}

    listed = {each["external_userid"] for each in caller.ok("get_moment_customer_list", mine)["customer_list"]}
    shown = {each["external_userid"] for each in caller.ok("get_moment_send_result", mine)["customer_list"]}
    reactions = caller.ok("get_moment_comments", mine)

    assert shown == friends
    assert listed > shown  # WeCom's list still has those who deleted the guide
    assert {each["external_userid"] for each in reactions["like_list"] + reactions["comment_list"]} <= shown
    assert reactions["like_list"]
    assert reactions["comment_list"]


@pytest.mark.usefixtures("fresh_minutes")
def test_a_cancelled_moment_is_not_published(caller):
    result = finished(caller, {"text": {"content": "取消我"}})
    caller.ok("cancel_moment_task", {"moment_id": result["moment_id"]})
    caller.simulator.act("settle")
    assert not [row for row in caller.simulator.journal(kind="moment") if row["moment_id"] == result["moment_id"]]


@pytest.mark.usefixtures("fresh_minutes")
def test_moments_are_listed_twenty_a_page(caller):
    now = int(caller.simulator.get("/_sim/health")["now"])
    result = finished(caller, {"text": {"content": "列表"}})
    span = {"start_time": now - 86_400, "end_time": now + 86_400, "limit": 100}
    listed = caller.ok("get_moment_list", span)["moment_list"]
    assert result["moment_id"] in [each["moment_id"] for each in listed]
    assert len(listed) <= 20
    assert caller.errcode("get_moment_list", span | {"start_time": now - 40 * 86_400}) == 40058


@pytest.mark.usefixtures("fresh_minutes")
def test_media_of_a_moment_comes_from_upload_attachment(caller):
    def upload(path, **query):
        answer = caller.session.post(
            caller.simulator.api_base + path,
            params={"access_token": caller.token, **query},
            files={"media": ("a.png", PNG)},
            timeout=10,
        )
        return answer.json()

    ordinary = upload("media/upload", type="image")
    attachment = upload("media/upload_attachment", media_type="image", attachment_type=1)
    assert isinstance(ordinary["created_at"], str)
    assert isinstance(attachment["created_at"], int)

    def moment(media_id):
        return {"attachments": [{"msgtype": "image", "image": {"media_id": media_id}}]}

    assert caller.errcode("add_moment_task", moment(ordinary["media_id"])) == 41072
    assert caller.errcode("add_moment_task", moment(attachment["media_id"])) == 0
    caller.simulator.post("/_sim/clock", {"advance_seconds": 3 * 86_400 + 60})
    assert caller.errcode("add_moment_task", moment(attachment["media_id"])) == 40007


@pytest.mark.usefixtures("fresh_minutes")
@pytest.mark.parametrize(
    ("body", "errcode"),
    [
        ({}, 41089),
        ({"text": {"content": "x" * 2001}}, 40058),
        ({"attachments": [{"msgtype": "file", "file": {"media_id": "x"}}]}, 41065),
        ({"attachments": [{"msgtype": "link", "link": {"url": "https://a.example"}}] * 2}, 41064),
    ],
)
def test_moment_limits(caller, body, errcode):
    assert caller.errcode("add_moment_task", body) == errcode


@pytest.mark.usefixtures("fresh_minutes")
def test_the_eleventh_moment_of_a_minute_is_refused(caller):
    codes = [caller.errcode("add_moment_task", {"text": {"content": f"第{n}条"}}) for n in range(11)]
    assert codes == [0] * 10 + [45009]
    caller.simulator.post("/_sim/clock", {"advance_seconds": 61})
    assert caller.errcode("add_moment_task", {"text": {"content": "下一分钟"}}) == 0
