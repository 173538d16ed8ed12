"""Ids of other kinds, and who was served (reference §7.5, §7.6)."""

from __future__ import annotations

from typing import Any

from wecom.simulator.errors import Refused
from wecom.simulator.logins import openid_of
from wecom.simulator.wire import SELF_BUILT, Body, Call, endpoint
from wecom.simulator.world import Corp, opaque_id

MOST = 100
PENDING_SECONDS = 90 * 86_400


@endpoint("POST", "externalcontact/convert_to_openid", empty={"openid": ""})
def convert_to_openid(call: Call) -> Body:
    """external_userid → openid."""
    external_userid = call.text("external_userid", missing=41035)
    if external_userid not in call.corp.customers:
        raise Refused(40096)
    return {"openid": openid_of(call.corp, external_userid)}


@endpoint("POST", "externalcontact/opengid_to_chatid", empty={"chat_id": ""})
def opengid_to_chatid(call: Call) -> Body:
    """opengid (what a mini program learns when opened from a group) → chat_id; 90511 for one that is not ours."""
    opengid = call.text("opengid", missing=90511)
    for chat_id in call.corp.groups:
        if opengid_of(call.corp, chat_id) == opengid:
            return {"chat_id": chat_id}
    raise Refused(90511)


@endpoint("POST", "idconvert/batch/external_userid_to_pending_id", empty={"result": []})
def to_pending_id(call: Call) -> Body:
    """external_userid[] ≤ 100 → the pending_id each was known by before they were customers, within 90 days."""
    call.text("chat_id")
    found = []
    for external_userid in call.strings("external_userid", most=MOST, missing=41035):
        customer = call.corp.customers.get(external_userid)
        unionid = customer.unionid if customer else None
        if unionid and call.now - call.corp.pending_ids.get(unionid, 0) <= PENDING_SECONDS:
            pending_id = pending_id_of(call.corp, unionid)
            found.append({"external_userid": external_userid, "pending_id": pending_id})
    return {"result": found}


@endpoint("POST", "idconvert/convert_tmp_external_userid", empty={"results": []})
def convert_tmp_external_userid(call: Call) -> Body:
    """tmp_external_userid_list ≤ 100 → who they are, and those that are not ours."""
    for name in ("business_type", "user_type"):
        call.number(name)
    corp = call.corp
    asked = call.strings("tmp_external_userid_list", most=MOST, missing=40058)
    known = {tmp_id_of(corp, each): each for each in corp.customers} if asked else {}
    results: list[dict[str, Any]] = [
        {"tmp_external_userid": each, "external_userid": known[each], "corpid": corp.corpid, "userid": ""}
        for each in asked
        if each in known
    ]
    unknown = [each for each in asked if each not in known]
    return {"results": results, "invalid_tmp_external_userid_list": unknown}


@endpoint("POST", "externalcontact/contact_list", empty={"info_list": []}, kinds=SELF_BUILT)
def contact_list(call: Call) -> Body:
    """cursor, limit ≤ 1000 → everybody served: customers by member, then strangers in customer groups by group."""
    corp = call.corp
    size = call.limit(most=1000, default=1000)
    position = call.position()
    start = int(position[0]) if position else 0
    rows: list[dict[str, Any]] = []
    place = 0
    seen = {member.userid for member in corp.members.values() if call.sees(member)}
    for served in _served(corp, seen):
        if start <= place < start + size:
            rows.append(served)
        place += 1
        if place > start + size:
            break
    return {"info_list": rows, "next_cursor": call.cursor([start + size]) if place > start + size else ""}


def _served(corp: Corp, seen: set[str]) -> Any:
    for userid in (each for each in corp.follows_of if each in seen):
        for follow in corp.follows_of[userid].values():
            if not follow.half:
                yield {
                    "is_customer": True,
                    "tmp_openid": opaque_id("o", f"{corp.seed}:tmp_openid:{follow.external_userid}", 28),
                    "external_userid": follow.external_userid,
                    "follow_userid": follow.userid,
                    "add_time": follow.createtime,
                }
    for group in (each for each in corp.groups.values() if each.owner in seen):
        for person in group.members.values():
            if person.type == 2 and not corp.followers_of.get(person.userid):
                customer = corp.customers.get(person.userid)
                name = customer.name if customer else ""
                yield {
                    "is_customer": False,
                    "tmp_openid": opaque_id("o", f"{corp.seed}:tmp_openid:{person.userid}", 28),
                    "name": f"{name[:1]}**",
                    "chat_id": group.chat_id,
                    "chat_name": group.name,
                    "add_time": person.join_time,
                }


def opengid_of(corp: Corp, chat_id: str) -> str:
    """What a mini program learns of a group it is opened from."""
    return opaque_id("tG", f"{corp.seed}:opengid:{chat_id}", 28)


def tmp_id_of(corp: Corp, external_userid: str) -> str:
    """The temporary id of a customer elsewhere in WeCom."""
    return opaque_id("tmp", f"{corp.seed}:tmp:{external_userid}", 32)


def pending_id_of(corp: Corp, unionid: str) -> str:
    """The pending_id of somebody who is not a customer yet."""
    return opaque_id("pending_", f"{corp.seed}:{unionid}", 40)
