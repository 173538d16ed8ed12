"""Inheritance, acquisition links, chats: what customers and the console do there."""

from __future__ import annotations

from wecom.simulator import behaviour, codes, links, transfers
from wecom.simulator.acts.base import BadAct, Request, act, the_follow, the_member, the_visitor
from wecom.simulator.engine import Engine
from wecom.simulator.records import WAITING
from wecom.simulator.world import Corp

YEAR = 365 * 86_400


@act("chat")
def chat(engine: Engine, corp: Corp, request: Request) -> Request:
    """The pair chats: `by` customer or guide writes `text`. Neither may have deleted the other."""
    follow = the_follow(corp, request)
    by = request.get("by")
    if by not in (behaviour.CUSTOMER, behaviour.GUIDE):
        raise BadAct("by: must be customer or guide")
    if follow.deleted_at:
        raise BadAct("external_userid: they are no longer friends")
    behaviour.say(engine, corp, follow, by=str(by), text=str(request.get("text") or "你好"))
    return {}


@act("refuse_transfer")
def refuse_transfer(engine: Engine, corp: Corp, request: Request) -> Request:
    """The customer refuses the member who is to take over from another."""
    external_userid = str(request.get("external_userid") or "")
    waiting = [each for each in corp.transfers_of.get(external_userid, []) if each.status == WAITING]
    if not waiting:
        raise BadAct("external_userid: not being transferred")
    for transfer in waiting:
        transfers.refuse(engine, corp, transfer.transfer_id)
    return {}


@act("open_link")
def open_link(engine: Engine, corp: Corp, request: Request) -> Request:
    """A customer opens an acquisition link (`link_id`, `state`: its customer_channel) and, unless `only_look`, asks to
    be added. Who it is: as with `scan`."""
    link = corp.links.get(str(request.get("link_id") or ""))
    if link is None:
        raise BadAct("link_id: this link is invalid")
    customer = the_visitor(engine, corp, request)
    state = links.cut_state(str(request.get("state") or ""))
    links.click(engine, corp, link, customer, state)
    answer: Request = {"external_userid": customer.external_userid, "unionid": customer.unionid, "state": state}
    if request.get("only_look"):
        return answer
    member = links.choose(corp, link, customer, engine.rng)
    before = corp.follow(member.userid, customer.external_userid)
    already = before is not None and not before.deleted_at
    done, code = links.add(engine, corp, link, member=member, customer=customer, state=state)
    return answer | {
        "userid": member.userid,
        "already": already,
        "added": done,
        "welcome_code": code.code if code else None,
    }


@act("acquisition")
def acquisition(engine: Engine, corp: Corp, request: Request) -> Request:
    """The console: `action` top_up (`amount`, `expire_date`?), spend_to (`left`), delete_link (`link_id`), access
    (`allowed`)."""
    action = request.get("action")
    if action == "top_up":
        expire_date = int(request.get("expire_date") or engine.now() + YEAR)
        links.top_up(engine, corp, amount=int(request.get("amount", 100)), expire_date=expire_date)
    elif action == "spend_to":
        links.spend_to(engine, corp, int(request.get("left", 0)))
    elif action == "delete_link":
        link = corp.links.pop(str(request.get("link_id") or ""), None)
        if link is None:
            raise BadAct("link_id: no such link")
        engine.emit(corp, links.EVENT, "delete_link", [("LinkId", link.link_id)])
    elif action == "access":
        corp.link_access = bool(request.get("allowed", True))
    else:
        raise BadAct("action: must be top_up, spend_to, delete_link or access")
    return {"balance": links.balance(corp)}


@act("end_temp_chat")
def end_temp_chat(engine: Engine, corp: Corp, request: Request) -> Request:
    """A temporary session ends before its time."""
    codes.end_temp_chat(engine, corp, the_member(corp, request).userid, str(request.get("external_userid") or ""))
    return {}
