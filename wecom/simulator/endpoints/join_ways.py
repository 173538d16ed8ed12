"""Codes for joining customer groups (加入群聊, reference §11.2)."""

from __future__ import annotations

from typing import Any

from wecom.simulator.endpoints.contact_ways import BUTTON, QR_CODE, has_all_codes
from wecom.simulator.errors import Refused
from wecom.simulator.records import JoinWay
from wecom.simulator.wire import Body, Call, endpoint

MOST_GROUPS = 5


@endpoint("POST", "externalcontact/groupchat/add_join_way")
def add_join_way(call: Call) -> Body:
    """scene, chat_id_list ≤ 5, auto_create_room, room_base_name, room_base_id, state, … → config_id. Official 92229."""
    corp = call.corp
    settings = _settings(call)
    if has_all_codes(corp):
        raise Refused(41045)
    config_id = corp.new_id("", 32).replace("-", "a").replace("_", "b").lower()
    corp.join_ways[config_id] = JoinWay(config_id, call.app.agentid, call.now, settings, settings["room_base_id"])
    return {"config_id": config_id}


@endpoint("POST", "externalcontact/groupchat/get_join_way", empty={"join_way": {}})
def get_join_way(call: Call) -> Body:
    """config_id → join_way; the code's picture is told only here."""
    way = _own(call)
    code = f"https://wework.qpic.cn/wwpic/{way.config_id}/0"
    return {"join_way": {"config_id": way.config_id, **way.settings, "qr_code": code}}


@endpoint("POST", "externalcontact/groupchat/update_join_way")
def update_join_way(call: Call) -> Body:
    """config_id and everything add_join_way takes: what is not sent again is gone."""
    way = _own(call)
    settings = _settings(call)
    if settings["room_base_id"] != way.settings["room_base_id"]:
        way.next_room = settings["room_base_id"]
    way.settings = settings
    return {}


@endpoint("POST", "externalcontact/groupchat/del_join_way")
def del_join_way(call: Call) -> Body:
    """config_id: the code is invalid from now on."""
    del call.corp.join_ways[_own(call).config_id]
    return {}


def _own(call: Call) -> JoinWay:
    """A code that this app made. Raises Refused 41043, 41044."""
    way = call.corp.join_ways.get(call.text("config_id", missing=41043))
    if way is None or way.agentid != call.app.agentid:
        raise Refused(41044)
    return way


def _settings(call: Call) -> dict[str, Any]:
    scene = call.number("scene", missing=41038)
    if scene not in (BUTTON, QR_CODE):
        raise Refused(41040)
    chat_ids = call.strings("chat_id_list", missing=40058)
    if len(chat_ids) > MOST_GROUPS:
        raise Refused(41091)
    if any(chat_id not in call.corp.groups for chat_id in chat_ids):
        raise Refused(90501)
    auto_create = call.number("auto_create_room", default=1)
    if auto_create not in (0, 1):
        raise Refused(40058, "invalid auto_create_room")
    first = call.number("room_base_id", default=1)
    if first < 0:
        raise Refused(40058, "invalid room_base_id")
    return {
        "scene": scene,
        "remark": call.text("remark")[:30],
        "auto_create_room": auto_create,
        "room_base_name": call.text("room_base_name", chars=40),
        "room_base_id": first,
        "chat_id_list": chat_ids,
        "state": call.text("state", chars=30),
        "mark_source": call.flag("mark_source", default=True),
    }
