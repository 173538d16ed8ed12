"""What a network and a busy server do to a call: reads recover, sends are never repeated blindly."""

import socket
from datetime import UTC, datetime, timedelta

import pytest

from wecom import errors
from wecom.client import WeComClient

READ = "externalcontact/get_follow_user_list"
SEND = "externalcontact/add_msg_template"


def fault(simulator, path, mode, **more):
    simulator.post("/_sim/faults", {"path": path, "mode": mode, **more})


def hits(simulator):
    """How often a call met a fault."""
    return sum(rule["hits"] for rule in simulator.get("/_sim/faults")["items"])


def tasks_with(wecom, text):
    now = datetime.now(UTC)
    day = timedelta(days=1)
    messages = wecom.group_messages(chat_type="single", start=now - day, end=now + 20 * day)
    return [each.msgid for each in messages if each.text == text]


def send(wecom, text):
    guide = wecom.follow_users()[0]
    customer = wecom.contacts_of(userids=[guide]).items[0].person.external_userid
    return wecom.add_msg_template(chat_type="single", sender=guide, external_userids=[customer], text=text)


@pytest.mark.parametrize(
    ("mode", "more"),
    [
        ("timeout_before", {}),
        ("reset", {}),
        ("http_500", {}),
        ("errcode", {"errcode": -1}),
        ("errcode", {"errcode": 6000}),
        ("errcode", {"errcode": 45033}),
    ],
)
def test_a_read_recovers(simulator, wecom, settings, mode, more):
    settings.WECOM_TIMEOUT_SECONDS = 1
    fault(simulator, READ, mode, count=1, **more)

    assert len(wecom.follow_users()) == 4


def test_a_read_that_never_recovers_is_busy(simulator, wecom):
    fault(simulator, READ, "http_500")

    with pytest.raises(errors.Unreachable) as busy:
        wecom.follow_users()

    assert busy.value.problem_code == "wecom.busy"
    assert hits(simulator) == 3


@pytest.mark.parametrize(
    ("mode", "more", "made"),
    [
        ("timeout_after", {}, 1),
        ("reset_after", {}, 1),
        ("http_500_after", {}, 1),
        ("timeout_before", {}, 0),
        ("reset", {}, 0),
        ("http_500", {}, 0),
        ("errcode", {"errcode": -1}, 0),
    ],
)
def test_a_send_without_an_answer_is_unknown_and_never_repeated(simulator, wecom, settings, mode, more, made):
    settings.WECOM_TIMEOUT_SECONDS = 1
    text = f"只建一次 {mode} {more}"
    fault(simulator, SEND, mode, count=1, **more)

    with pytest.raises(errors.OutcomeUnknown):
        send(wecom, text)

    assert len(tasks_with(wecom, text)) == made


def test_every_call_that_creates_or_sends_is_unknown_after_a_lost_answer(simulator, wecom):
    guide = wecom.follow_users()[0]
    calls = {
        SEND: lambda: send(wecom, "群发"),
        "externalcontact/add_moment_task": lambda: wecom.add_moment(text="朋友圈"),
        "externalcontact/send_welcome_msg": lambda: wecom.send_welcome(code="CODE", text="欢迎"),
        "externalcontact/add_corp_tag": lambda: wecom.add_corp_tag(group="未知", names=["一"]),
        "externalcontact/add_contact_way": lambda: wecom.add_contact_way(userids=[guide]),
        "externalcontact/remind_groupmsg_send": lambda: wecom.remind(msgid="msg1"),
        "message/send": lambda: wecom.send_app_message(userids=[guide], text="提醒"),
    }
    for path, call in calls.items():
        fault(simulator, path, "reset", count=1)
        with pytest.raises(errors.OutcomeUnknown):
            call()
    assert hits(simulator) == len(calls)


def test_a_send_that_could_not_even_connect_is_safe_to_offer_again(db, settings):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound, not listening: nobody else gets the port, every connection is refused
        port = held.getsockname()[1]
        closed = WeComClient(corpid="ww1", secret="s", api_base=f"http://127.0.0.1:{port}/cgi-bin/")
        with pytest.raises(errors.Unreachable) as refused:
            closed.add_msg_template(chat_type="single", sender="bob", external_userids=["wm1"], text="你好")

    assert refused.value.problem_code == "wecom.unreachable"


def test_a_connection_lost_between_token_and_send_is_unreachable(simulator, wecom, link):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        elsewhere = WeComClient(corpid=link.corpid, secret=link.secret)
        elsewhere.follow_users()
        elsewhere.transport.API_BASE_URL = f"http://127.0.0.1:{port}/cgi-bin/"  # the token is cached already
        with pytest.raises(errors.Unreachable):
            elsewhere.send_app_message(userids=["bob"], text="你好")


def test_a_frequency_limit_stops_the_api_for_everybody(simulator, link):
    fault(simulator, READ, "errcode", errcode=45009, count=1)

    with pytest.raises(errors.Throttled) as limited:
        link.wecom.follow_users()
    with pytest.raises(errors.Throttled) as still:
        link.wecom.follow_users()  # another client; the simulator would answer by now

    assert limited.value.errcode == 45009
    assert 30 < still.value.retry_after <= 60
    assert link.wecom.departments()  # other calls go on


def test_our_own_limit_comes_before_wecoms(simulator, link):
    wecom = link.wecom
    for number in range(5):
        wecom.add_moment(text=f"朋友圈 {number}")
    with pytest.raises(errors.Throttled) as limited:
        wecom.add_moment(text="朋友圈 5")

    assert limited.value.errcode is None
    assert 2 < limited.value.retry_after <= 12


@pytest.mark.parametrize(
    ("errcode", "kind", "code"),
    [
        (40058, errors.Rejected, "wecom.bad_parameter"),
        (40201, errors.Gone, "wecom.content_refused"),
        (84061, errors.Gone, "wecom.no_relation"),
        (41048, errors.Gone, "wecom.nobody"),
        (48002, errors.Misconfigured, "wecom.permission_withdrawn"),
        (60020, errors.Misconfigured, "wecom.ip_untrusted"),
        (41063, errors.StillDispatching, "wecom.still_dispatching"),
        (41094, errors.Throttled, "wecom.remind_limit"),
        (50100, errors.Gone, "wecom.cursor_expired"),
        (999999, errors.Rejected, "wecom.rejected"),
    ],
)
def test_codes_become_our_own_errors(simulator, wecom, errcode, kind, code):
    fault(simulator, SEND, "errcode", errcode=errcode, count=1)

    with pytest.raises(errors.WeComError) as refusal:
        send(wecom, "错误码")

    assert (type(refusal.value), refusal.value.problem_code) == (kind, code)
    assert refusal.value.errcode == errcode
    assert str(refusal.value.detail)


def test_an_unknown_path_is_not_a_retry(simulator, wecom):
    with pytest.raises(errors.Rejected) as refusal:
        wecom.transport.call("get", "externalcontact/no_such_call")
    assert refusal.value.problem_code == "wecom.no_such_api"
