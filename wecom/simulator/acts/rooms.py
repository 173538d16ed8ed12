"""Customer groups: joining, leaving, opening, talking."""

from __future__ import annotations

from wecom.simulator import behaviour, relations, rooms
from wecom.simulator.acts.base import BadAct, Request, a_text, act, the_group, the_member, the_texts, the_visitor
from wecom.simulator.engine import Engine
from wecom.simulator.world import Corp


@act("join_group")
def join_group(engine: Engine, corp: Corp, request: Request) -> Request:
    """A customer joins a customer group (`scene` 1 invited, 2 link, 3 code)."""
    group, external_userid = the_group(corp, request), str(request.get("external_userid") or "")
    if not external_userid:
        raise BadAct("external_userid: missing")
    scene = int(request.get("scene", 3))
    invitor = group.owner if scene == 1 else ""
    relations.join_group(
        engine, corp, group, external_userid, scene=scene, state=str(request.get("state") or ""), invitor=invitor
    )
    return {"members": len(group.members)}


@act("leave_group")
def leave_group(engine: Engine, corp: Corp, request: Request) -> Request:
    """Somebody leaves a group, or is `removed` from it."""
    group = the_group(corp, request)
    external_userid = str(request.get("external_userid") or "")
    if external_userid not in group.members:
        raise BadAct("external_userid: not in this group")
    relations.leave_group(engine, corp, group, external_userid, removed=bool(request.get("removed", False)))
    return {"members": len(group.members)}


@act("create_group")
def create_group(engine: Engine, corp: Corp, request: Request) -> Request:
    """A guide (userid) opens a group `name` with customers `external_userids`."""
    people = the_texts(request, "external_userids")
    name = str(request.get("name") or "新群")
    group = relations.create_group(engine, corp, owner=the_member(corp, request), name=name, customers=people)
    return {"chat_id": group.chat_id}


@act("change_group")
def change_group(engine: Engine, corp: Corp, request: Request) -> Request:
    """Change a group's `name`, `notice` or owner (userid)."""
    owner = the_member(corp, request) if request.get("userid") else None
    name, notice = a_text(request, "name"), a_text(request, "notice")
    relations.change_group(engine, corp, the_group(corp, request), name=name, notice=notice, owner=owner)
    return {}


@act("dismiss_group")
def dismiss_group(engine: Engine, corp: Corp, request: Request) -> Request:
    """A group is dissolved."""
    relations.dismiss_group(engine, corp, the_group(corp, request))
    return {}


@act("scan_join_way")
def scan_join_way(engine: Engine, corp: Corp, request: Request) -> Request:
    """A customer (as with `scan`) joins by a 加入群聊 code (`config_id`): the first group with room, or a new one."""
    way = corp.join_ways.get(str(request.get("config_id") or ""))
    if way is None:
        raise BadAct("config_id: this code is invalid")
    customer = the_visitor(engine, corp, request)
    group = rooms.join_by(engine, corp, way, customer.external_userid)
    return {"external_userid": customer.external_userid, "unionid": customer.unionid, "chat_id": group.chat_id}


@act("group_message")
def group_message(engine: Engine, corp: Corp, request: Request) -> Request:
    """Somebody in a group (`external_userid` or `userid`) writes."""
    group, who = the_group(corp, request), str(request.get("external_userid") or request.get("userid") or "")
    if who not in group.members:
        raise BadAct("external_userid: not in this group")
    behaviour.say_in_group(group, who, at=engine.now())
    return {}


@act("pick_group_welcome")
def pick_group_welcome(engine: Engine, corp: Corp, request: Request) -> Request:
    """The owner picks a welcome template for a group ("" takes it away)."""
    template_id = str(request.get("template_id") or "")
    if template_id and template_id not in corp.group_welcomes:
        raise BadAct("template_id: no such template")
    the_group(corp, request).welcome_template = template_id
    return {}
