"""The registry of acts and how their requests name people.

Each act takes the JSON of its request and returns the JSON of its answer; it raises BadAct for what cannot be done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wecom.simulator.engine import Engine
from wecom.simulator.seed import make_customer
from wecom.simulator.world import WECOM_USER, Corp, Customer, Follow, Group, Member, opaque_id

Request = dict[str, Any]
Doer = Callable[[Engine, Corp, Request], Request]

ACTS: dict[str, Doer] = {}


class BadAct(Exception):
    """A request that makes no sense; the message says what is wrong with which field."""


def act(name: str) -> Callable[[Doer], Doer]:
    """Register what `/_sim/acts/{name}` does."""

    def register(doer: Doer) -> Doer:
        ACTS[name] = doer
        return doer

    return register


def the_texts(request: Request, name: str) -> list[str]:
    """A list of strings in the request, [] when absent."""
    return [str(each) for each in request.get(name) or []]


def a_text(request: Request, name: str) -> str | None:
    """A string of the request, None when it is absent. Raises BadAct."""
    value = request.get(name)
    if value is not None and not isinstance(value, str):
        raise BadAct(f"{name}: must be a text")
    return value


def the_member(corp: Corp, request: Request) -> Member:
    """Whom `userid` names. Raises BadAct."""
    found = corp.member(str(request.get("userid") or ""))
    if found is None:
        raise BadAct("userid: no such member")
    return found


def the_follow(corp: Corp, request: Request, *, half: bool = False) -> Follow:
    """The pair that `userid` and `external_userid` name. Raises BadAct."""
    external_userid = str(request.get("external_userid") or "")
    follow = corp.follows_of[the_member(corp, request).userid].get(external_userid)
    if follow is None or follow.half is not half:
        raise BadAct("external_userid: not a customer of this member")
    return follow


def the_group(corp: Corp, request: Request) -> Group:
    """Which group `chat_id` names. Raises BadAct."""
    group = corp.groups.get(str(request.get("chat_id") or ""))
    if group is None:
        raise BadAct("chat_id: no such group")
    return group


def _from_another_corp(corp: Corp, customer: Customer, request: Request) -> None:
    """A user of WeCom: their company is told, they have no unionid."""
    customer.external_userid = opaque_id("wo", customer.external_userid, len(customer.external_userid))
    customer.kind, customer.unionid = WECOM_USER, None
    customer.corp_name, customer.position = str(request["corp_name"]), str(request.get("position") or "")


def the_visitor(engine: Engine, corp: Corp, request: Request) -> Customer:
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
    if request.get("corp_name"):
        _from_another_corp(corp, customer, request)
    elif customer.unionid is None:  # who comes through the front door in a demo is a mini-program visitor as well
        customer.unionid = opaque_id("o", f"{corp.seed}:visitor:{number}", 28)
    corp.add_customer(customer)
    return customer
