"""Between the ids of one person (reference §7.6)."""

from __future__ import annotations

from itertools import islice
from typing import Any

from wecom.simulator.errors import Refused
from wecom.simulator.logins import openid_of
from wecom.simulator.wire import Body, Call, endpoint
from wecom.simulator.world import Corp, opaque_id

MOST = 100
PENDING_SECONDS = 90 * 86_400


@endpoint("POST", "idconvert/unionid_to_external_userid")
def unionid_to_external_userid(call: Call) -> Body:
    """unionid, openid, subject_type → external_userid, or pending_id when nobody follows that person yet."""
    unionid = call.text("unionid", missing=40063)
    _check_openid(call, call.text("openid", missing=40063), unionid)
    if call.number("subject_type", default=0) not in (0, 1):
        raise Refused(40058, "invalid subject_type")
    if len(unionid) < 6:
        raise Refused(610014)
    customer = call.corp.by_unionid.get(unionid)
    followers = call.corp.followers_of[customer.external_userid].values() if customer else []
    if customer is not None and any(not follow.half and call.sees_follower(follow) for follow in followers):
        return {"external_userid": customer.external_userid}
    call.corp.pending_ids[unionid] = call.now
    return {"pending_id": pending_id_of(call.corp, unionid)}


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
    for each in islice(corp.customers, len(corp.tmp_ids), None):  # who came since the last call
        corp.tmp_ids[tmp_id_of(corp, each)] = each
    results: list[dict[str, Any]] = [
        {"tmp_external_userid": each, "external_userid": corp.tmp_ids[each], "corpid": corp.corpid, "userid": ""}
        for each in asked
        if each in corp.tmp_ids
    ]
    unknown = [each for each in asked if each not in corp.tmp_ids]
    return {"results": results, "invalid_tmp_external_userid_list": unknown}


def opengid_of(corp: Corp, chat_id: str) -> str:
    """What a mini program learns of a group it is opened from."""
    return opaque_id("tG", f"{corp.seed}:opengid:{chat_id}", 28)


def tmp_id_of(corp: Corp, external_userid: str) -> str:
    """The temporary id of a customer elsewhere in WeCom."""
    return opaque_id("tmp", f"{corp.seed}:tmp:{external_userid}", 32)


def pending_id_of(corp: Corp, unionid: str) -> str:
    """The pending_id of somebody who is not a customer yet."""
    return opaque_id("pending_", f"{corp.seed}:{unionid}", 40)


def _check_openid(call: Call, openid: str, unionid: str) -> None:
    """Both ids must be of one person, from one mini program. Raises Refused 610018; 845001 for an openid that no mini
    program was told, if the switch says so."""
    known = call.engine.logins.openids.get(openid)
    if known is None and call.engine.switches.strict_openids:
        raise Refused(845001)
    if known is not None and known != unionid:
        raise Refused(610018)
