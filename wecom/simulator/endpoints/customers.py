"""Customers (客户管理, reference §7)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from wecom.simulator import content, relations
from wecom.simulator.errors import Refused
from wecom.simulator.wire import PROVIDERS, SELF_BUILT, Body, Call, endpoint
from wecom.simulator.world import (
    WECHAT_USER,
    WECOM_USER,
    Corp,
    Customer,
    Follow,
    Group,
    GroupMember,
    opaque_id,
)

FOLLOWERS_PER_PAGE = 500
BATCH_MEMBERS = 100


@endpoint("GET", "externalcontact/get_follow_user_list", empty={"follow_user": []})
def get_follow_user_list(call: Call) -> Body:
    """→ userids with 客户联系 in the visible range. Official 92571."""
    return {"follow_user": [member.userid for member in call.seen_service_members()]}


@endpoint(
    "POST",
    "externalcontact/check_follow_user",
    kinds=PROVIDERS,
    empty={"authorized": {"userid": [], "partyid": []}, "unauthorized": {"userid": [], "partyid": []}},
)
def check_follow_user(call: Call) -> Body:
    """userid[], partyid[] → which of them have 客户联系 in the visible range: a department has if anybody in it has."""
    able = {member.userid for member in call.seen_service_members()}
    userids, parties = call.strings("userid"), call.numbers("partyid")
    if not userids and not parties:
        raise Refused(40058, "userid and partyid are both empty")
    good = [each for each in userids if (member := call.corp.member(each)) and member.userid in able]
    open_to = [
        each for each in parties if any(one.userid in able for one in call.corp.members_of(each, recursive=True))
    ]
    return {
        "authorized": {"userid": good, "partyid": open_to},
        "unauthorized": {
            "userid": [each for each in userids if each not in good],
            "partyid": [each for each in parties if each not in open_to],
        },
    }


@endpoint("GET", "externalcontact/list", empty={"external_userid": []})
def list_customers(call: Call) -> Body:
    """userid → its customers, those who deleted the member among them; 84061 when there are none. Official 92113."""
    member = call.member()
    if not member.service:
        raise Refused(84074)
    found = [follow.external_userid for follow in call.corp.visible_follows(member.userid)]
    if not found:
        raise Refused(84061)
    return {"external_userid": found}


@endpoint("GET", "externalcontact/get", empty={"external_contact": {}, "follow_user": []})
def get_customer(call: Call) -> Body:
    """external_userid, cursor → the customer and the members who follow, 500 a page. Official 92114."""
    external_userid = call.text("external_userid", missing=41035)
    customer = call.corp.customers.get(external_userid)
    if customer is None:
        raise Refused(40096)
    known_since = call.now - call.engine.switches.stale_detail_seconds
    followers = call.corp.followers_of[external_userid].values()
    everybody = [each for each in followers if not each.half and each.createtime <= known_since]
    if not everybody:
        raise Refused(84061)
    follows = [each for each in everybody if call.sees_follower(each)]
    if not follows:
        raise Refused(60011)
    rows, cursor = call.page(follows, most=FOLLOWERS_PER_PAGE, default=FOLLOWERS_PER_PAGE)
    answer: Body = {
        "external_contact": _contact(customer),
        "follow_user": [_follow_user(call.corp, each) for each in rows],
    }
    return answer | ({"next_cursor": cursor} if cursor else {})


@endpoint(
    "POST",
    "externalcontact/batch/get_by_user",
    empty={"external_contact_list": [], "next_cursor": ""},
)
def batch_get_by_user(call: Call) -> Body:
    """userid_list ≤ 100, cursor, limit ≤ 100 → pairs of customer and follow_info; pages run across members.

    Official 92994. A cursor stays right while people are added and removed behind it."""
    if "userid_list" not in call.body and isinstance(call.given("userid"), str):
        call.body["userid_list"] = [call.given("userid")]  # the older form
    userids = call.strings("userid_list", most=BATCH_MEMBERS, missing=40063)
    members = []
    for userid in userids:
        member = call.corp.member(userid)
        if member is None:
            raise Refused(40003)
        if not call.sees(member):
            raise Refused(60011)
        members.append(member.userid)
    unlicensed = [each for each in members if each in call.app.unlicensed]
    if len(unlicensed) == len(members):
        raise Refused(701008, fail_info={"unlicensed_userid_list": unlicensed})
    members = [each for each in members if each not in unlicensed]
    size = _shortened(call, call.limit(most=100, default=50))
    place, after = call.position() or [0, 0]
    pairs: list[dict[str, Any]] = []
    cursor = ""
    while place < len(members):
        mine = (each for each in call.corp.visible_follows(members[place]) if each.seq > after)
        taken = list(islice(mine, size - len(pairs) + 1))
        if len(pairs) + len(taken) > size:
            taken = taken[: size - len(pairs)]
            pairs += [_pair(call.corp, each) for each in taken]
            cursor = call.cursor([place, taken[-1].seq if taken else after])
            break
        pairs += [_pair(call.corp, each) for each in taken]
        place, after = place + 1, 0
    return {
        "external_contact_list": pairs,
        "next_cursor": cursor,
        "fail_info": {"unlicensed_userid_list": unlicensed},
    }


def _shortened(call: Call, size: int) -> int:
    """A page may be short, or even empty, while there is more to come: how often is a switch."""
    engine = call.engine
    if engine.rng.random() < engine.switches.short_page_rate:
        return engine.rng.randrange(size)
    return size


@endpoint("POST", "externalcontact/remark")
def remark(call: Call) -> Body:
    """Set remark, description, remark_company, remark_mobiles of a pair; absent leaves, "" clears. Official 92115."""
    follow = call.follow()
    fields = ("remark", "description", "remark_company", "remark_mobiles", "remark_pic_mediaid")
    if not any(name in call.body for name in fields):
        raise Refused(40058, "nothing to change")
    new_remark = call.text("remark", chars=20)
    description = call.text("description", chars=150)
    company = call.text("remark_company", chars=20)
    mobiles = [each for each in call.strings("remark_mobiles") if each]
    if call.text("remark_pic_mediaid"):
        content.check_file(call.corp, call.text("remark_pic_mediaid"), now=call.now, kind="image")
    before = (follow.remark, follow.description, follow.remark_corp_name)
    if "remark" in call.body:
        follow.remark = new_remark
    if "description" in call.body:
        follow.description = description
    if "remark_company" in call.body and call.corp.customers[follow.external_userid].kind == WECHAT_USER:
        follow.remark_corp_name = company
    if "remark_mobiles" in call.body:
        follow.remark_mobiles = mobiles
    if before != (follow.remark, follow.description, follow.remark_corp_name):
        relations.edited(call.engine, call.corp, follow, by_api=True)
    return {}


@endpoint("POST", "externalcontact/contact_list", empty={"info_list": []}, kinds=SELF_BUILT)
def contact_list(call: Call) -> Body:
    """cursor, limit ≤ 1000 → everybody served: customers by member, then strangers in customer groups by group."""
    size = call.limit(most=1000, default=1000)
    start = int((call.position() or [0])[0])
    found = list(islice(_served(call), start, start + size + 1))
    shown = [_served_row(call.corp, *each) for each in found[:size]]
    return {"info_list": shown, "next_cursor": call.cursor([start + size]) if len(found) > size else ""}


def _served(call: Call) -> Iterator[tuple[Follow | GroupMember, Group | None]]:
    """Friendships, and people in groups who are nobody's customer, with the group."""
    seen = {member.userid for member in call.corp.members.values() if call.sees(member)}
    for userid in (each for each in call.corp.follows_of if each in seen):
        yield from ((follow, None) for follow in call.corp.visible_follows(userid))
    for group in (each for each in call.corp.groups.values() if each.owner in seen):
        for person in group.members.values():
            if person.type == 2 and not call.corp.followers_of.get(person.userid):
                yield person, group


def _served_row(corp: Corp, person: Follow | GroupMember, group: Group | None) -> dict[str, Any]:
    who = person.external_userid if isinstance(person, Follow) else person.userid
    shown = {"is_customer": group is None, "tmp_openid": opaque_id("o", f"{corp.seed}:tmp_openid:{who}", 28)}
    if isinstance(person, Follow):
        return shown | {"external_userid": who, "follow_userid": person.userid, "add_time": person.createtime}
    name = corp.customers[who].name if who in corp.customers else ""
    about = {"chat_id": group.chat_id, "chat_name": group.name} if group else {}
    return shown | {"name": f"{name[:1]}**", **about, "add_time": person.join_time}


def _contact(customer: Customer) -> dict[str, Any]:
    contact: dict[str, Any] = {
        "external_userid": customer.external_userid,
        "name": customer.name,
        "avatar": customer.avatar,
        "type": customer.kind,
        "gender": customer.gender,
    }
    if customer.kind == WECOM_USER:
        profile = {"external_corp_name": customer.corp_name, "external_attr": []}
        return contact | {
            "position": customer.position,
            "corp_name": customer.corp_name,
            "corp_full_name": customer.corp_name,
            "external_profile": profile,
        }
    if customer.unionid:
        contact["unionid"] = customer.unionid
    return contact


def _relation(follow: Follow) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "userid": follow.userid,
        "remark": follow.remark,
        "description": follow.description,
        "createtime": follow.createtime,
        "remark_corp_name": follow.remark_corp_name,
        "remark_mobiles": follow.remark_mobiles,
        "add_way": follow.add_way,
        "oper_userid": follow.oper_userid,
        "state": follow.state,
    }
    if follow.channels:
        shown["wechat_channels"] = follow.channels
    return shown


def _follow_user(corp: Corp, follow: Follow) -> dict[str, Any]:
    """A follower as externalcontact/get tells it: tags with names."""
    tags: list[dict[str, Any]] = []
    for tag_id in follow.tags:
        tag = corp.tags[tag_id]
        group = corp.tag_groups[tag.group_id]
        tags.append(
            {"group_name": group.name, "tag_name": tag.name, "tag_id": tag_id, "type": 3 if group.strategy_id else 1}
        )
    tags += [{"group_name": "", "tag_name": name, "type": 2} for name in follow.personal_tags]
    return {**_relation(follow), "tags": tags}


def _pair(corp: Corp, follow: Follow) -> dict[str, Any]:
    """A pair as batch/get_by_user tells it: follow_info is an object and its tags are bare ids."""
    return {
        "external_contact": _contact(corp.customers[follow.external_userid]),
        "follow_info": {**_relation(follow), "tag_id": follow.tags},
    }
