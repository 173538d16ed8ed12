"""Joining customer groups by a code (加入群聊, reference §11.2): the first group with room, or a new one."""

from __future__ import annotations

from wecom.simulator import relations
from wecom.simulator.engine import Engine
from wecom.simulator.errors import Refused
from wecom.simulator.records import JoinWay
from wecom.simulator.world import Corp, Group

BY_CODE = 3


def join_by(engine: Engine, corp: Corp, way: JoinWay, external_userid: str) -> Group:
    """Somebody scans the code. Who is in one of its groups already stays there. Raises Refused 90503 when all are
    full and none may be opened, 90501 when none exists any more."""
    groups = [corp.groups[chat_id] for chat_id in way.settings["chat_id_list"] if chat_id in corp.groups]
    if not groups:
        raise Refused(90501)
    for group in groups:
        if external_userid in group.members:
            return group
    room = next((group for group in groups if len(group.members) < engine.switches.group_full_at), None)
    if room is None:
        if not way.settings["auto_create_room"]:
            raise Refused(90503, "all groups are full")
        room = _open_next(engine, corp, way, groups[-1])
    relations.join_group(engine, corp, room, external_userid, scene=BY_CODE, state=str(way.settings["state"]))
    return room


def _open_next(engine: Engine, corp: Corp, way: JoinWay, last: Group) -> Group:
    """A new group of the same owner, named by base name and running number; the code leads to it from now on."""
    owner = corp.member(last.owner)
    if owner is None:
        raise Refused(90502)
    name = f"{way.settings['room_base_name'] or last.name}{way.next_room}"
    way.next_room += 1
    group = relations.create_group(engine, corp, owner=owner, name=name, customers=[])
    way.settings["chat_id_list"].append(group.chat_id)
    return group
