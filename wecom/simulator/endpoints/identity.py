"""Identity conversion (reference §7.6)."""

from __future__ import annotations

from wecom.simulator.endpoints.conversions import pending_id_of
from wecom.simulator.errors import Refused
from wecom.simulator.wire import Body, Call, endpoint
from wecom.simulator.world import Follow


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
    if customer is not None and any(not follow.half and _seen(call, follow) for follow in followers):
        return {"external_userid": customer.external_userid}
    call.corp.pending_ids[unionid] = call.now
    return {"pending_id": pending_id_of(call.corp, unionid)}


def _seen(call: Call, follow: Follow) -> bool:
    member = call.corp.member(follow.userid)
    return member is not None and call.sees(member)


def _check_openid(call: Call, openid: str, unionid: str) -> None:
    """Both ids must be of one person, from one mini program. Raises Refused 610018; 845001 for an openid that no mini
    program was told, if the switch says so."""
    known = call.engine.logins.openids.get(openid)
    if known is None and call.engine.switches.strict_openids:
        raise Refused(845001)
    if known is not None and known != unionid:
        raise Refused(610018)
