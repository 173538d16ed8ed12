"""Identity conversion (reference §7.6)."""

from __future__ import annotations

from wecom.simulator.endpoints.conversions import pending_id_of
from wecom.simulator.errors import Refused
from wecom.simulator.wire import Body, Call, endpoint


@endpoint("POST", "idconvert/unionid_to_external_userid")
def unionid_to_external_userid(call: Call) -> Body:
    """unionid, openid, subject_type → external_userid, or pending_id when nobody follows that person yet."""
    unionid = call.text("unionid", missing=40063)
    call.text("openid", missing=40063)
    if call.number("subject_type", default=0) not in (0, 1):
        raise Refused(40058, "invalid subject_type")
    if len(unionid) < 6:
        raise Refused(610014)
    customer = call.corp.by_unionid.get(unionid)
    followers = call.corp.followers_of[customer.external_userid].values() if customer else []
    if customer is not None and any(not follow.half for follow in followers):
        return {"external_userid": customer.external_userid}
    call.corp.pending_ids[unionid] = call.now
    return {"pending_id": pending_id_of(call.corp, unionid)}
