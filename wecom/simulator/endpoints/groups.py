"""Customer groups (客户群, reference §11.1)."""

from __future__ import annotations

from typing import Any

from wecom.simulator import transfers
from wecom.simulator.errors import Refused
from wecom.simulator.wire import Body, Call, endpoint
from wecom.simulator.world import Corp, GroupMember

MAX_VISIBLE_MEMBERS = 1000


@endpoint("POST", "externalcontact/groupchat/list", empty={"group_chat_list": []})
def list_groups(call: Call) -> Body:
    """status_filter, owner_filter.userid_list ≤ 100, cursor, limit 1–1000 (required). Official 92120."""
    corp = call.corp
    status = call.number("status_filter", default=0)
    if status not in (0, 1, 2, 3):
        raise Refused(40058, "invalid status_filter")
    if not 1 <= call.number("limit") <= 1000:
        raise Refused(40058, "limit must be between 1 and 1000")
    named = call.record("owner_filter").get("userid_list") or []
    if not isinstance(named, list) or len(named) > 100 or not all(isinstance(each, str) for each in named):
        raise Refused(40058, "invalid owner_filter")
    owners = {corp.spelt(each) for each in named}
    if not owners and len(call.seen_service_members()) > MAX_VISIBLE_MEMBERS:
        raise Refused(81017)
    found = []
    for group in corp.groups.values():
        group_status = transfers.group_status(corp, group)
        owner = corp.member(group.owner)
        if owner is not None and not call.sees(owner):
            continue
        if (not owners or group.owner in owners) and status in (0, group_status):
            found.append({"chat_id": group.chat_id, "status": group_status})
    rows, cursor = call.page(found, most=1000, default=1000)
    return {"group_chat_list": list(rows), "next_cursor": cursor}


@endpoint("POST", "externalcontact/groupchat/get", empty={"group_chat": {}})
def get_group(call: Call) -> Body:
    """chat_id, need_name → group_chat with its members. Official 92122."""
    group = call.corp.groups.get(call.text("chat_id", missing=40063))
    if group is None:
        raise Refused(40058, "invalid chat_id")
    owner = call.corp.member(group.owner)
    if owner is not None and not call.sees(owner):
        raise Refused(60011)
    named = call.number("need_name", default=0) == 1
    shown: dict[str, Any] = {
        "chat_id": group.chat_id,
        "name": group.name,
        "owner": group.owner,
        "create_time": group.create_time,
        "member_list": [_member(call.corp, each, named=named) for each in group.members.values()],
        "admin_list": [{"userid": each} for each in group.admins],
        "member_version": group.member_version,
    }
    if group.notice:
        shown["notice"] = group.notice
    return {"group_chat": shown}


def _member(corp: Corp, person: GroupMember, *, named: bool) -> dict[str, Any]:
    customer = corp.customers.get(person.userid) if person.type == 2 else None
    colleague = corp.member(person.userid) if person.type == 1 else None
    shown: dict[str, Any] = {
        "userid": person.userid,
        "type": person.type,
        "join_time": person.join_time,
        "join_scene": person.join_scene,
        "group_nickname": person.group_nickname,
    }
    if person.invitor:
        shown["invitor"] = {"userid": person.invitor}
    if customer is not None and customer.unionid:
        shown["unionid"] = customer.unionid
    if person.state:
        shown["state"] = person.state
    if named:
        shown["name"] = customer.name if customer else colleague.name if colleague else ""
    return shown
