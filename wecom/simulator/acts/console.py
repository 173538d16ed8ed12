"""What an administrator does in WeCom's console: tags, members, departments."""

from __future__ import annotations

from wecom.simulator import relations, staff
from wecom.simulator.acts.base import BadAct, Request, act, the_member, the_texts
from wecom.simulator.engine import Engine
from wecom.simulator.world import Corp, TagGroup


@act("tag")
def tag(engine: Engine, corp: Corp, request: Request) -> Request:
    """The console changes the tag library: `action` create (group_name, name), update, delete (id), or
    shuffle (id of a group, `order`: its tag ids)."""
    action, item_id = request.get("action"), str(request.get("id") or "")
    if action == "create":
        title = str(request.get("group_name") or "")
        if not title or not request.get("name"):
            raise BadAct("group_name and name: both are needed")
        found = relations.group_named(corp, title)
        group = found or TagGroup(corp.new_id("et"), title, engine.now(), 0)
        wanted = [(str(request["name"]), 0)]
        made = relations.create_tags(engine, corp, group=group, tags=wanted, agentid=0, by_api=False)
        return {"group_id": group.group_id, "id": made[0].tag_id}
    item = corp.tags.get(item_id) or corp.tag_groups.get(item_id)
    if item is None or item.deleted:
        raise BadAct("id: no such tag or group")
    if action == "update":
        name = str(request.get("name") or "")
        relations.rename_tag(engine, corp, item, name=name, order=request.get("order"), by_api=False)
    elif action == "shuffle" and isinstance(item, TagGroup):
        relations.shuffle_tags(engine, corp, item, the_texts(request, "order"))
    elif action == "delete":
        is_tag = item_id in corp.tags
        relations.delete_tags(
            engine, corp, tag_ids=[item_id] if is_tag else [], group_ids=[] if is_tag else [item_id], by_api=False
        )
    else:
        raise BadAct("action: must be create, update, shuffle (a group) or delete")
    return {"id": item_id}


@act("member")
def member(engine: Engine, corp: Corp, request: Request) -> Request:
    """The console changes the directory: `action` create, update or delete a member (userid, name, department[])."""
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
        staff.change(
            engine, corp, person, name=request.get("name"), department=department, service=request.get("service")
        )
    elif action == "delete":
        staff.dismiss(engine, corp, person)
    else:
        raise BadAct("action: must be create, update or delete")
    return {"userid": person.userid}


@act("department")
def department(engine: Engine, corp: Corp, request: Request) -> Request:
    """The console changes a department: `action` create, update or delete (`id`, `name`, `parentid`)."""
    action = str(request.get("action") or "")
    if action not in ("create", "update", "delete"):
        raise BadAct("action: must be create, update or delete")
    parentid = request.get("parentid")
    number = staff.change_department(
        engine,
        corp,
        action=action,
        department_id=int(request.get("id") or 0),
        name=str(request["name"]) if request.get("name") else None,
        parentid=int(parentid) if parentid is not None else None,
    )
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
