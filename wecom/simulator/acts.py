"""Acts of people on request: what `/_sim/acts/…` can make a customer, a guide or the console do.

Each act takes the JSON of its request and returns the JSON of its answer; it raises BadAct for what cannot be done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wecom.simulator import mass, moments, relations, staff
from wecom.simulator.endpoints.contact_ways import members_behind
from wecom.simulator.engine import Engine
from wecom.simulator.errors import Refused
from wecom.simulator.seed import make_customer
from wecom.simulator.world import Corp, Customer, Follow, Group, Member, TagGroup, opaque_id

Request = dict[str, Any]
Doer = Callable[[Engine, Corp, Request], Request]

ACTS: dict[str, Doer] = {}


class BadAct(Exception):
    """A request that makes no sense; the message says what is wrong with which field."""


def _act(name: str) -> Callable[[Doer], Doer]:
    def register(doer: Doer) -> Doer:
        ACTS[name] = doer
        return doer

    return register


def perform(engine: Engine, name: str, request: Request) -> Request:
    """Carry out an act. Raises BadAct."""
    if name not in ACTS:
        raise BadAct(f"unknown act {name}; there are {', '.join(sorted(ACTS))}")
    corp = engine.world.corp(str(request.get("corpid", "")))
    if corp is None:
        raise BadAct("corpid: unknown")
    engine.dirty = True
    try:
        return {"ok": True, **ACTS[name](engine, corp, request)}
    except (TypeError, ValueError) as error:
        raise BadAct(f"malformed request: {error}") from error
    except Refused as refusal:
        raise BadAct(f"refused with errcode {refusal.errcode} {refusal.text or ''}".strip()) from refusal


@_act("scan")
def scan(engine: Engine, corp: Corp, request: Request) -> Request:
    """A customer adds a guide by a contact way's code (config_id) or directly (userid). A known unionid or
    external_userid is that customer again; else somebody new. `half`: the guide has not added back yet."""
    customer = _visitor(engine, corp, request)
    state = str(request.get("state") or "")
    add_way = int(request.get("add_way", 1))
    if request.get("config_id"):
        way = corp.contact_ways.get(str(request["config_id"]))
        if way is None:
            raise BadAct("config_id: this code is invalid")
        state = way.settings["state"] or state
        member = _pick(engine, corp, members_behind(corp, way), customer, bool(way.settings["is_exclusive"]))
        if way.settings["is_temp"]:
            del corp.contact_ways[way.config_id]
    else:
        member = _member(corp, request)
    before = corp.follow(member.userid, customer.external_userid)
    already = before is not None and not before.deleted_at
    code = relations.befriend(
        engine,
        corp,
        member=member,
        customer=customer,
        state=state,
        add_way=add_way,
        half=bool(request.get("half", False)),
    )
    return {
        "external_userid": customer.external_userid,
        "unionid": customer.unionid,
        "name": customer.name,
        "userid": member.userid,
        "state": state,
        "already": already,
        "welcome_code": code.code if code else None,
    }


@_act("accept")
def accept(engine: Engine, corp: Corp, request: Request) -> Request:
    """The guide adds a half-added customer back."""
    relations.accept(engine, corp, _follow(corp, request, half=True))
    return {}


@_act("delete_follow")
def delete_follow(engine: Engine, corp: Corp, request: Request) -> Request:
    """`by` customer: one-way from now on; `by` guide: the friendship is gone."""
    follow = _follow(corp, request)
    by = request.get("by")
    if by == "customer":
        relations.customer_leaves(engine, corp, follow.userid, follow.external_userid)
    elif by == "guide":
        relations.member_deletes(engine, corp, follow)
    else:
        raise BadAct("by: must be customer or guide")
    return {}


@_act("edit")
def edit(engine: Engine, corp: Corp, request: Request) -> Request:
    """The guide edits remark, description or corp tags (add_tag, remove_tag: tag ids) in the client."""
    follow = _follow(corp, request)
    changed = False
    for name in ("remark", "description"):
        if name in request:
            setattr(follow, name, str(request[name]))
            changed = True
    add, remove = request.get("add_tag") or [], request.get("remove_tag") or []
    if add or remove:
        relations.mark(engine, corp, follow, add=list(add), remove=list(remove), by_api=False)
    if changed:
        relations.edited(engine, corp, follow, by_api=False)
    return {}


@_act("interact")
def interact(engine: Engine, corp: Corp, request: Request) -> Request:
    """The two chat: a send without a sender goes to the guide who last did."""
    _follow(corp, request).interacted_at = engine.now()
    return {}


@_act("join_group")
def join_group(engine: Engine, corp: Corp, request: Request) -> Request:
    """A customer joins a customer group (`scene` 1 invited, 2 link, 3 code)."""
    group, external_userid = _group(corp, request), str(request.get("external_userid") or "")
    if not external_userid:
        raise BadAct("external_userid: missing")
    scene = int(request.get("scene", 3))
    invitor = group.owner if scene == 1 else ""
    relations.join_group(
        engine, corp, group, external_userid, scene=scene, state=str(request.get("state") or ""), invitor=invitor
    )
    return {"members": len(group.members)}


@_act("leave_group")
def leave_group(engine: Engine, corp: Corp, request: Request) -> Request:
    """Somebody leaves a group, or is `removed` from it."""
    group = _group(corp, request)
    external_userid = str(request.get("external_userid") or "")
    if external_userid not in group.members:
        raise BadAct("external_userid: not in this group")
    relations.leave_group(engine, corp, group, external_userid, removed=bool(request.get("removed", False)))
    return {"members": len(group.members)}


@_act("create_group")
def create_group(engine: Engine, corp: Corp, request: Request) -> Request:
    """A guide (userid) opens a group `name` with customers `external_userids`."""
    people = [str(each) for each in request.get("external_userids") or []]
    name = str(request.get("name") or "新群")
    group = relations.create_group(engine, corp, owner=_member(corp, request), name=name, customers=people)
    return {"chat_id": group.chat_id}


@_act("change_group")
def change_group(engine: Engine, corp: Corp, request: Request) -> Request:
    """Change a group's `name`, `notice` or owner (userid)."""
    owner = _member(corp, request) if request.get("userid") else None
    relations.change_group(
        engine, corp, _group(corp, request), name=request.get("name"), notice=request.get("notice"), owner=owner
    )
    return {}


@_act("dismiss_group")
def dismiss_group(engine: Engine, corp: Corp, request: Request) -> Request:
    """A group is dissolved."""
    relations.dismiss_group(engine, corp, _group(corp, request))
    return {}


@_act("tag")
def tag(engine: Engine, corp: Corp, request: Request) -> Request:
    """The console changes the tag library: `action` create (group_name, name), update or delete (id)."""
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
    elif action == "delete":
        is_tag = item_id in corp.tags
        relations.delete_tags(
            engine, corp, tag_ids=[item_id] if is_tag else [], group_ids=[] if is_tag else [item_id], by_api=False
        )
    else:
        raise BadAct("action: must be create, update or delete")
    return {"id": item_id}


@_act("member")
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
    person = _member(corp, request)
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


@_act("confirm")
def confirm(engine: Engine, corp: Corp, request: Request) -> Request:
    """The guide confirms a mass send (msgid) or publishes a moment (moment_id) now, whatever their habit."""
    person = _member(corp, request)
    if request.get("moment_id"):
        moment = corp.moments.get(str(request["moment_id"]))
        if moment is None or person.userid not in moment.members:
            raise BadAct("moment_id: not a moment of this member")
        moments.publish(engine, corp, moment.moment_id, person.userid)
        return {"published": moment.members[person.userid].publish_time > 0}
    task = corp.mass_tasks.get(str(request.get("msgid") or ""))
    if task is None or person.userid not in task.members:
        raise BadAct("msgid: not a task of this member")
    task.ready_at = min(task.ready_at, engine.clock.now())
    mass.confirm(engine, corp, task.msgid, person.userid)
    return {"sent": task.members[person.userid].sent}


@_act("settle")
def settle(engine: Engine, corp: Corp, request: Request) -> Request:
    """Everything people of this corp still mean to do happens now; jobs finish. Who never confirms still does not."""
    mass.make_ready(engine, corp)
    return {"done": engine.agenda.settle(engine, corp)}


@_act("habit")
def habit(engine: Engine, corp: Corp, request: Request) -> Request:
    """Give a guide another habit: prompt, late or never. Counts for tasks created from now on."""
    if request.get("habit") not in ("prompt", "late", "never"):
        raise BadAct("habit: must be prompt, late or never")
    _member(corp, request).habit = str(request["habit"])
    return {}


def _member(corp: Corp, request: Request) -> Member:
    found = corp.member(str(request.get("userid") or ""))
    if found is None:
        raise BadAct("userid: no such member")
    return found


def _follow(corp: Corp, request: Request, *, half: bool = False) -> Follow:
    external_userid = str(request.get("external_userid") or "")
    follow = corp.follows_of[_member(corp, request).userid].get(external_userid)
    if follow is None or follow.half is not half:
        raise BadAct("external_userid: not a customer of this member")
    return follow


def _group(corp: Corp, request: Request) -> Group:
    group = corp.groups.get(str(request.get("chat_id") or ""))
    if group is None:
        raise BadAct("chat_id: no such group")
    return group


def _visitor(engine: Engine, corp: Corp, request: Request) -> Customer:
    """Who adds the guide: named by external_userid or unionid, or somebody new."""
    if request.get("external_userid"):
        known = corp.customers.get(str(request["external_userid"]))
        if known is None:
            raise BadAct("external_userid: unknown")
        return known
    unionid = str(request["unionid"]) if request.get("unionid") else None
    if unionid and unionid in corp.by_unionid:
        return corp.by_unionid[unionid]
    number = 10_000_000 + corp.next_serial()
    name = str(request["name"]) if request.get("name") else None
    rng = engine.draw("visitor", corp.corpid, str(number))
    customer = make_customer(corp, rng, number=number, name=name, unionid=unionid)
    if customer.unionid is None:  # who comes through the front door in a demo is a mini-program visitor as well
        customer.unionid = opaque_id("o", f"{corp.seed}:visitor:{number}", 28)
    corp.add_customer(customer)
    return customer


def _pick(engine: Engine, corp: Corp, userids: list[str], customer: Customer, exclusive: bool) -> Member:
    """Whom a code with several members leads to: at random; an exclusive one to whom the customer knows already."""
    if not userids:
        raise BadAct("config_id: nobody is behind this code")
    if exclusive:
        for userid in userids:
            if corp.follow(userid, customer.external_userid):
                return corp.members[userid]
    return corp.members[engine.rng.choice(userids)]
