"""Customers and guides: adding, chatting, leaving, confirming."""

from __future__ import annotations

from wecom.simulator import codes, library, mass, moments, relations, staff
from wecom.simulator.acts.base import BadAct, Request, act, the_follow, the_member, the_texts, the_visitor
from wecom.simulator.engine import Engine
from wecom.simulator.outbound import EventField
from wecom.simulator.world import Corp


@act("scan")
def scan(engine: Engine, corp: Corp, request: Request) -> Request:
    """A customer adds a guide by a contact way's code (config_id) or directly (userid). A known unionid or
    external_userid is that customer again; else somebody new, with `corp_name` (and `position`) a user of WeCom.
    `half`: the guide has not added back yet; `by` guide: the guide asked the customer; `channels` {nickname, source}:
    the 视频号 they came from (add_way 10)."""
    customer = the_visitor(engine, corp, request)
    state, add_way, half = str(request.get("state") or ""), int(request.get("add_way", 1)), bool(request.get("half"))
    way = None
    if request.get("config_id"):
        way = codes.usable(corp, str(request["config_id"]), customer, now=engine.now())
        state = way.settings["state"] or state
    member = codes.choose(engine, corp, way, customer) if way else the_member(corp, request)
    before = corp.follow(member.userid, customer.external_userid)
    already = before is not None and not before.deleted_at
    answer: Request = {
        "external_userid": customer.external_userid,
        "unionid": customer.unionid,
        "name": customer.name,
        "userid": member.userid,
        "state": state,
        "already": already,
    }
    if way is not None and not (way.settings["skip_verify"] or already or half):
        codes.ask(engine, corp, way, member, customer, state, add_way)
        return answer | {"added": False, "welcome_code": None}
    code = relations.befriend(
        engine,
        corp,
        member=member,
        customer=customer,
        state=state,
        add_way=add_way,
        half=half,
        by_member=request.get("by") == "guide",
        channels=dict(request.get("channels") or {}),
    )
    if way is not None and not already:
        codes.used(engine, corp, way.config_id, member, customer)
    return answer | {"added": True, "welcome_code": code.code if code else None}


@act("accept")
def accept(engine: Engine, corp: Corp, request: Request) -> Request:
    """The guide adds a half-added customer back."""
    relations.accept(engine, corp, the_follow(corp, request, half=True))
    return {}


@act("delete_follow")
def delete_follow(engine: Engine, corp: Corp, request: Request) -> Request:
    """`by` customer: one-way from now on; `by` guide: the friendship is gone."""
    follow = the_follow(corp, request)
    by = request.get("by")
    if by == "customer":
        relations.customer_leaves(engine, corp, follow.userid, follow.external_userid)
    elif by == "guide":
        relations.member_deletes(engine, corp, follow)
    else:
        raise BadAct("by: must be customer or guide")
    return {}


@act("edit")
def edit(engine: Engine, corp: Corp, request: Request) -> Request:
    """The guide edits remark, description, tags of their own (personal_tags: names) or corp tags (add_tag, remove_tag:
    tag ids) in the client."""
    follow = the_follow(corp, request)
    changed = False
    for name in ("remark", "description"):
        if name in request:
            setattr(follow, name, str(request[name]))
            changed = True
    add, remove = request.get("add_tag") or [], request.get("remove_tag") or []
    if add or remove:
        library.mark(engine, corp, follow, add=list(add), remove=list(remove), by_api=False)
    if "personal_tags" in request:
        follow.personal_tags = the_texts(request, "personal_tags")
        changed = True
    if changed:
        relations.edited(engine, corp, follow, by_api=False)
    return {}


@act("agree_to_archive")
def agree_to_archive(engine: Engine, corp: Corp, request: Request) -> Request:
    """The customer agrees that chats with the guide are archived."""
    relations.agree_to_archive(engine, corp, the_follow(corp, request))
    return {}


@act("enter_agent")
def enter_agent(engine: Engine, corp: Corp, request: Request) -> Request:
    """A member opens an app (`agentid`), or `event` subscribe, unsubscribe: is let in or shut out (reference §21.6)."""
    event = str(request.get("event") or "enter_agent")
    if event not in ("enter_agent", "subscribe", "unsubscribe"):
        raise BadAct("event: must be enter_agent, subscribe or unsubscribe")
    agentid = int(request.get("agentid") or corp.apps[0].agentid)
    app = next((each for each in corp.apps if each.agentid == agentid), None)
    if app is None:
        raise BadAct("agentid: no such app")
    body: list[EventField] = [("EventKey", str(request.get("event_key") or "")), ("AgentID", agentid)]
    engine.emit_of_app(corp, app, event, body, sender=the_member(corp, request).userid)
    return {}


@act("interact")
def interact(engine: Engine, corp: Corp, request: Request) -> Request:
    """The two chat: a send without a sender goes to the guide who last did."""
    the_follow(corp, request).interacted_at = engine.now()
    return {}


@act("confirm")
def confirm(engine: Engine, corp: Corp, request: Request) -> Request:
    """The guide confirms a mass send (msgid) or publishes a moment (moment_id) now, whatever their habit."""
    person = the_member(corp, request)
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


@act("settle")
def settle(engine: Engine, corp: Corp, request: Request) -> Request:
    """Everything people of this corp still mean to do happens now; jobs finish. Who never confirms still does not."""
    mass.make_ready(engine, corp)
    return {"done": engine.agenda.settle(corp.corpid)}


@act("habit")
def habit(engine: Engine, corp: Corp, request: Request) -> Request:
    """Give a guide another habit: prompt, late or never. Counts for tasks created from now on."""
    if request.get("habit") not in ("prompt", "late", "never"):
        raise BadAct("habit: must be prompt, late or never")
    the_member(corp, request).habit = str(request["habit"])
    return {}


@act("leave")
def leave(engine: Engine, corp: Corp, request: Request) -> Request:
    """The guide leaves the corp: out of the directory, the customers wait for inheritance."""
    person = the_member(corp, request)
    staff.dismiss(engine, corp, person)
    left_behind = sum(1 for each in corp.unassigned.values() if each.handover_userid == person.userid)
    return {"userid": person.userid, "unassigned": left_behind}
