"""Contact ways (「联系我」, reference §9)."""

from __future__ import annotations

from typing import Any

from wecom.simulator import codes, content
from wecom.simulator.errors import Refused
from wecom.simulator.wire import Body, Call, between, endpoint
from wecom.simulator.world import ContactWay, Corp

SINGLE, SEVERAL = 1, 2
BUTTON, QR_CODE = 1, 2
MAX_MEMBERS = 100
MAX_WAYS = 500_000
DAY = 86_400


@endpoint("POST", "externalcontact/add_contact_way")
def add_contact_way(call: Call) -> Body:
    """type, scene, user[], party[], state, … → config_id, and qr_code for scene 2. Official 92228."""
    corp = call.corp
    kind, scene = call.number("type", missing=41037), call.number("scene", missing=41038)
    if kind not in (SINGLE, SEVERAL):
        raise Refused(41039)
    if scene not in (BUTTON, QR_CODE):
        raise Refused(41040)
    settings: dict[str, Any] = {"type": kind, "scene": scene} | _settings(call)
    settings["is_temp"] = call.flag("is_temp", default=False)
    settings["is_exclusive"] = call.flag("is_exclusive", default=False)
    if settings["is_temp"] and kind != SINGLE:
        raise Refused(40058, "is_temp needs type 1")
    _check_members(corp, settings)
    _check_range(call, settings)
    if not settings["is_temp"] and has_all_codes(corp):
        raise Refused(41045)
    config_id = corp.new_id("", 32).replace("-", "a").replace("_", "b").lower()
    if scene == QR_CODE:
        settings["qr_code"] = f"https://wework.qpic.cn/wwpic/{config_id}/0"
    corp.contact_ways[config_id] = ContactWay(config_id, call.app.agentid, call.now, settings)
    answer: Body = {"config_id": config_id}
    return answer | ({"qr_code": settings["qr_code"]} if scene == QR_CODE else {})


@endpoint("POST", "externalcontact/get_contact_way", empty={"contact_way": {}})
def get_contact_way(call: Call) -> Body:
    """config_id → contact_way."""
    way = _asked(call)
    shown = {name: value for name, value in way.settings.items() if name != "conclusions"}
    if way.settings["conclusions"]:
        shown["conclusions"] = _shown_conclusions(way.settings["conclusions"])
    return {"contact_way": {"config_id": way.config_id, **shown}}


@endpoint("POST", "externalcontact/list_contact_way", empty={"contact_way": []})
def list_contact_way(call: Call) -> Body:
    """start_time (default 90 days ago), end_time, cursor, limit ≤ 1000 → config_ids; temporary ones are left out."""
    start = call.number("start_time", default=call.now - 90 * DAY)
    end = call.number("end_time", default=call.now)
    ways = between(call.corp.contact_ways.values(), lambda way: way.create_time, start, end)
    rows, cursor = call.page([way for way in ways if not way.settings["is_temp"]], most=1000, default=100)
    return {"contact_way": [{"config_id": way.config_id} for way in rows], "next_cursor": cursor}


@endpoint("POST", "externalcontact/update_contact_way")
def update_contact_way(call: Call) -> Body:
    """config_id and what changes; lists are replaced; type, scene and is_temp stay."""
    way = _asked(call)
    if way.agentid != call.app.agentid:
        raise Refused(41044)
    changed = {name: value for name, value in _settings(call).items() if name in call.body}
    settings = way.settings | changed
    _check_members(call.corp, settings)
    _check_range(call, settings)
    way.settings = settings
    return {}


@endpoint("POST", "externalcontact/del_contact_way")
def del_contact_way(call: Call) -> Body:
    """config_id: the code shows as invalid from now on."""
    way = _asked(call)
    if way.agentid != call.app.agentid:
        raise Refused(41044)
    del call.corp.contact_ways[way.config_id]
    return {}


@endpoint("POST", "externalcontact/close_temp_chat")
def close_temp_chat(call: Call) -> Body:
    """userid, external_userid: end their temporary session. 84061 when there is none."""
    member = call.member()
    external_userid = call.text("external_userid", missing=41035)
    if external_userid not in call.corp.customers:
        raise Refused(40096)
    if not codes.end_temp_chat(call.engine, call.corp, member.userid, external_userid):
        raise Refused(84061)
    return {}


def has_all_codes(corp: Corp) -> bool:
    """Whether the corp's 500 000 are used up: 联系我 without temporary ones, and 加入群聊."""
    if len(corp.contact_ways) + len(corp.join_ways) < MAX_WAYS:
        return False
    return sum(1 for way in corp.contact_ways.values() if not way.settings["is_temp"]) + len(corp.join_ways) >= MAX_WAYS


def _asked(call: Call) -> ContactWay:
    way = call.corp.contact_ways.get(call.text("config_id", missing=41043))
    if way is None or codes.has_expired(way, call.now):
        raise Refused(41044)
    return way


def _settings(call: Call) -> dict[str, Any]:
    style = call.number("style", default=0)
    if style not in (0, 1, 2, 3):
        raise Refused(41042)
    return {
        "style": style,
        "remark": call.text("remark", chars=30),
        "skip_verify": call.flag("skip_verify", default=True),
        "state": call.text("state", chars=30),
        "user": call.corp.all_spelt(call.strings("user")),
        "party": call.numbers("party"),
        "expires_in": _seconds(call, "expires_in", 7 * DAY),
        "chat_expires_in": _seconds(call, "chat_expires_in", DAY),
        "unionid": call.text("unionid"),
        "mark_source": call.flag("mark_source", default=True),
        "conclusions": content.conclusions(call.corp, call.record("conclusions"), now=call.now),
    }


def _seconds(call: Call, name: str, default: int) -> int:
    """A validity of at most fourteen days."""
    value = call.number(name, default=default)
    if not 0 < value <= 14 * DAY:
        raise Refused(40058, f"invalid {name}")
    return value


def _shown_conclusions(given: dict[str, Any]) -> dict[str, Any]:
    """Closing words as WeCom tells them: a picture by its address instead of its media_id."""
    if "image" not in given:
        return given
    return given | {"image": {"pic_url": content.picture_url(str(given["image"].get("media_id", "")))}}


def _check_range(call: Call, settings: dict[str, Any]) -> None:
    """Raises Refused 60011 for a member or a department outside the app's visible range."""
    members = (call.corp.member(userid) for userid in settings["user"])
    if any(member is not None and not call.sees(member) for member in members):
        raise Refused(60011)
    if not call.seen_departments().issuperset(settings["party"]):
        raise Refused(60011)


def _check_members(corp: Corp, settings: dict[str, Any]) -> None:
    """Raises Refused 40058 (nobody, or not exactly one), 40003, 60003, 84074, 41041."""
    users = settings["user"]
    if settings["type"] == SINGLE and (len(users) != 1 or settings["party"]):
        raise Refused(40058, "type 1 needs exactly one user")
    if not users and not settings["party"]:
        raise Refused(40058, "user and party are both empty")
    for userid in users:
        member = corp.member(userid)
        if member is None:
            raise Refused(40003)
        if not member.service:
            raise Refused(84074)
        if member.status != 1:
            raise Refused(41054)
        if not member.real_named:
            raise Refused(40098)
    if any(department not in corp.departments for department in settings["party"]):
        raise Refused(60003)
    if len(codes.members_behind(corp, settings)) > MAX_MEMBERS:
        raise Refused(41041)
