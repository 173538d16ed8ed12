"""No body makes a call crash: WeCom answers nonsense with an errcode, and so does the simulator."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wecom.simulator.clock import Clock
from wecom.simulator.endpoints import ENDPOINTS
from wecom.simulator.engine import Engine
from wecom.simulator.seed import make_world
from wecom.simulator.wire import Binary, Call, answer
from wecom.simulator.world import App

WORLD = make_world(seed=3, guides=3, contacts=20, corps=1, confirm_rate=1.0, now=1_700_000_000)
CORP = next(iter(WORLD.corps.values()))
GUIDE = next(iter(CORP.members))
CUSTOMER = next(iter(CORP.follows_of[GUIDE]))
TAG = next(iter(CORP.tags))
FIELDS = """
    userid external_userid sender text attachments chat_type chat_id_list tag_filter visible_range tag_id group_id tag
    id name order add_tag remove_tag userid_list cursor limit start_time end_time type scene user party state config_id
    msgid moment_id welcome_code touser toparty msgtype agentid remark remark_mobiles chat_id owner_filter status_filter
    unionid openid subject_type group_name conclusions image filter_type auth_code auth_corpid permanent_code
    template_card response_code userids button external_userid_list templateid_list session_info pre_auth_code
""".split()  # noqa: SIM905
NAMES = ["content", "msgtype", "image", "link", "user_list", "tag_list", "group_list", "sender_list", "name"]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from([GUIDE, CUSTOMER, TAG, "single", "group", "text", "image", "link"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["content", "msgtype", "image", "link", "user_list", "tag_list"]), inner, max_size=3
        ),
        st.dictionaries(
            st.sampled_from(["group_list", "sender_list", "external_contact_list", "name"]), inner, max_size=2
        ),
    ),
    max_leaves=6,
)


@pytest.mark.parametrize("path", sorted(ENDPOINTS))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(body=st.dictionaries(st.sampled_from(FIELDS), values, max_size=8), as_provider=st.booleans())
def test_every_call_answers_nonsense_with_an_errcode(path: str, body: dict[str, Any], as_provider: bool) -> None:
    assert isinstance(errcode_of(path, body, as_provider=as_provider), int)


TEXT = {"text": {"content": "x"}}
WORDS = TEXT | {"agentid": 1000002, "msgtype": "text"}


@pytest.mark.parametrize(
    ("path", "body", "errcode"),
    [
        ("externalcontact/add_moment_task", {"attachments": [{"msgtype": {}}]}, 41065),
        ("externalcontact/add_moment_task", {"attachments": [{"msgtype": "image", "image": {"media_id": []}}]}, 41006),
        ("externalcontact/add_moment_task", TEXT | {"visible_range": {"sender_list": {"user_list": [[]]}}}, 40058),
        ("externalcontact/add_msg_template", TEXT | {"tag_filter": {"group_list": [{"tag_list": [[]]}]}}, 40068),
        ("externalcontact/add_msg_template", TEXT | {"sender": GUIDE, "attachments": [{"msgtype": []}]}, 41065),
        ("externalcontact/mark_tag", {"userid": GUIDE, "external_userid": CUSTOMER, "add_tag": [[]]}, 40058),
        ("externalcontact/batch/get_by_user", {"userid_list": GUIDE}, 40058),
        (
            "message/send",
            {"touser": GUIDE, "agentid": 1000002, "msgtype": "template_card", "template_card": {"main_title": "x"}},
            40058,
        ),
        ("message/send", WORDS | {"toparty": "²"}, 81013),
        ("message/send", WORDS | {"totag": "²|" + "1" * 5000}, 81013),
    ],
)
def test_nonsense_that_is_easily_overlooked(path: str, body: dict[str, Any], errcode: int) -> None:
    assert errcode_of(path, body) == errcode


def errcode_of(path: str, body: dict[str, Any], *, as_provider: bool = False) -> int:
    """Answer a call in this process; the body is the query, too."""
    engine = Engine(world=WORLD, clock=Clock())
    engine.limits.enabled = False
    now = engine.clock.now()
    suite = engine.suites.make(kind="customized", name="x")
    app = App(1000009, "x", "secret", "customized", suite_id=suite.suite_id) if as_provider else CORP.apps[0]
    tokens = {
        "access_token": engine.tokens.issue(corp=CORP, app=app, now=now)[0],
        "suite_access_token": engine.tokens.issue_suite(suite, now=now)[0],
        "provider_access_token": engine.tokens.issue_provider(suite.provider, now=now)[0],
    }
    query = tokens | {name: str(value) for name, value in body.items()}
    result = answer(Call(engine=engine, endpoint=ENDPOINTS[path], query=query, body=dict(body), ip="127.0.0.1"))
    return 0 if isinstance(result, Binary) else int(json.loads(json.dumps(result)).get("errcode", 0))


@pytest.mark.parametrize(
    ("raw", "errcode"),
    [
        (b"\xff\xfe\x00", 40003),
        (b"[1, 2]", 40003),
        (b'"userid"', 40003),
        (b"[" * 100_000, 40003),
        (b'{"userid": Infinity, "limit": NaN}', 40003),
        (rb'{"userid": "\ud800", "external_userid": "x"}', 40033),
    ],
)
def test_bodies_that_are_hardly_json(caller, raw, errcode):
    answered = requests.post(
        caller.simulator.api_base + "externalcontact/mark_tag",
        params={"access_token": caller.token},
        data=raw,
        timeout=10,
    )
    assert answered.status_code == 200
    assert answered.json()["errcode"] == errcode


@pytest.mark.parametrize(
    ("act", "request_"),
    [
        ("fly", {}),
        ("scan", {"userid": "nobody"}),
        ("scan", {"config_id": "invalid"}),
        ("scan", {"userid": ["x"]}),
        ("join_group", {"chat_id": "wrX", "external_userid": "wmX"}),
        ("delete_follow", {}),
        ("member", {"action": "create", "userid": "x", "department": ["a"]}),
        ("member", {"action": "create", "userid": "x", "department": [99]}),
    ],
)
def test_a_senseless_act_is_refused_with_a_reason(caller, act, request_):
    with pytest.raises(requests.HTTPError, match="400") as refusal:
        caller.simulator.act(act, **request_)
    assert json.loads(refusal.value.response.text)["error"]


def test_acts_of_an_unknown_corp(caller):
    with pytest.raises(requests.HTTPError, match="corpid"):
        caller.simulator.act("settle", corpid="wwUnknown")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("faults", {"path": "x", "mode": "reset", "count": "3"}),
        ("faults", {"path": "x", "mode": "slow", "delay": "1"}),
        ("faults", {"path": "x", "mode": "errcode", "errcode": "45009"}),
        ("faults", {"path": "x", "mode": "reset", "rate": "0.5"}),
        ("limits", {"paths": ["x"]}),
        ("limits", {"enabled": "no"}),
        ("suites", {"trusted_ips": "10.0.0.1"}),
        ("suites", {"token": "", "aes_key": "short"}),
        ("suites", {"suite_id": {"a": 1}}),
        ("mini_programs", {"corpid": "{corpid}", "appid": ["x"]}),
        ("corps/{corpid}/callback", {"url": "http://127.0.0.1:9/", "token": "x", "aes_key": "k" * 43, "timeout": []}),
        ("corps/{corpid}/apps/1000002", {"unlicensed": "x"}),
        ("acts/change_group", {"chat_id": "{chat_id}", "name": 5}),
        ("acts/member", {"action": "update", "userid": "{userid}", "name": ["x"]}),
        ("acts/tag", {"action": "update", "id": "{tag_id}", "order": "first"}),
        ("acts/enter_agent", {"userid": "{userid}", "agentid": 7}),
    ],
)
def test_a_senseless_control_request_is_refused_with_a_reason(caller, path, body):
    known = {
        "corpid": caller.corpid,
        "userid": caller.guides()[0],
        "chat_id": caller.ok("groupchat/list", {"limit": 1})["group_chat_list"][0]["chat_id"],
        "tag_id": caller.ok("get_corp_tag_list")["tag_group"][0]["tag"][0]["id"],
    }
    filled = {name: value.format(**known) if isinstance(value, str) else value for name, value in body.items()}
    if path.startswith("acts/"):
        filled["corpid"] = caller.corpid
    url = f"{caller.simulator.base_url}/_sim/{path.format(**known)}"
    refused = requests.post(url, json=filled, timeout=10)
    assert refused.status_code == 400, refused.text
    assert refused.json()["error"]
