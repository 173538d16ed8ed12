"""What an administrator does in WeCom's console: tags, members, departments."""

from __future__ import annotations

from wecom.simulator import library, staff
from wecom.simulator.acts.base import BadAct, Request, a_text, act, the_member, the_texts
from wecom.simulator.engine import Engine
from wecom.simulator.world import ROOT_DEPARTMENT, Corp, TagGroup

STANDING = {"status": int, "real_named": bool, "banned": bool}


@act("tag")
def tag(engine: Engine, corp: Corp, request: Request) -> Request:
    """The console changes the tag library: `action` create (group_name, name), update, delete (id), or
    shuffle (id of a group, `order`: its tag ids)."""
    action, item_id = request.get("action"), str(request.get("id") or "")
    if action == "create":
        title = str(request.get("group_name") or "")
        if not title or not request.get("name"):
            raise BadAct("group_name and name: both are needed")
        found = library.group_named(corp, title)
        group = found or TagGroup(corp.new_id("et"), title, engine.now(), 0)
        wanted = [(str(request["name"]), 0)]
        made = library.create_tags(engine, corp, group=group, tags=wanted, agentid=0, by_api=False)
        return {"group_id": group.group_id, "id": made[0].tag_id}
    item = corp.tags.get(item_id) or corp.tag_groups.get(item_id)
    if item is None or item.deleted:
        raise BadAct("id: no such tag or group")
    if action == "update":
        name = str(request.get("name") or "")
        order = int(request["order"]) if request.get("order") is not None else None
        library.rename_tag(engine, corp, item, name=name, order=order, by_api=False)
    elif action == "shuffle" and isinstance(item, TagGroup):
        library.shuffle_tags(engine, corp, item, the_texts(request, "order"))
    elif action == "delete":
        is_tag = item_id in corp.tags
        library.delete_tags(
            engine, corp, tag_ids=[item_id] if is_tag else [], group_ids=[] if is_tag else [item_id], by_api=False
        )
    else:
        raise BadAct("action: must be create, update, shuffle (a group) or delete")
    return {"id": item_id}


@act("member")
def member(engine: Engine, corp: Corp, request: Request) -> Request:
    """The console changes the directory: `action` create, update or delete a member (userid, name, department[],
    service); update: also new_userid, status, real_named, banned."""
    action = request.get("action")
    if action == "create":
        made = staff.hire(
            engine,
            corp,
            userid=str(request.get("userid") or ""),
            name=str(request.get("name") or ""),
            department=[int(each) for each in request.get("department") or [1]],
            service=bool(request.get("service", True)),
        )
        return {"userid": made.userid}
    person = the_member(corp, request)
    if action == "update":
        department = request.get("department")
        standing = {field: kind(request[field]) for field, kind in STANDING.items() if field in request}
        staff.change(
            engine,
            corp,
            person,
            name=a_text(request, "name"),
            department=department,
            service=bool(request["service"]) if "service" in request else None,
            new_userid=str(request.get("new_userid") or ""),
            standing=standing,
        )
    elif action == "delete":
        staff.dismiss(engine, corp, person)
    else:
        raise BadAct("action: must be create, update or delete")
    return {"userid": person.userid}


@act("department")
def department(engine: Engine, corp: Corp, request: Request) -> Request:
    """The console changes a department: `action` create, update or delete (`id`, `name`, `parentid`)."""
    action, number = request.get("action"), int(request.get("id") or 0)
    name, parentid = str(request.get("name") or ""), request.get("parentid")
    if action == "create":
        made = staff.create_department(
            engine, corp, name=name, parentid=int(parentid or ROOT_DEPARTMENT), number=number
        )
        return {"id": made.id}
    if action == "update":
        goal = int(parentid) if parentid is not None else None
        staff.update_department(engine, corp, number, name=name, parentid=goal)
    elif action == "delete":
        staff.delete_department(engine, corp, number)
    else:
        raise BadAct("action: must be create, update or delete")
    return {"id": number}


@act("member_tag")
def member_tag(engine: Engine, corp: Corp, request: Request) -> Request:
    """The console puts a member tag (`tagid`) on `add_users`, `add_parties`, and off `del_users`, `del_parties`."""
    tag = corp.member_tags.get(int(request.get("tagid") or 0))
    if tag is None:
        raise BadAct("tagid: no such tag")
    parties = {name: [int(each) for each in request.get(name) or []] for name in ("add_parties", "del_parties")}
    staff.change_tag(
        engine,
        corp,
        tag,
        add=(the_texts(request, "add_users"), parties["add_parties"]),
        remove=(the_texts(request, "del_users"), parties["del_parties"]),
    )
    return {"tagid": tag.tagid}
