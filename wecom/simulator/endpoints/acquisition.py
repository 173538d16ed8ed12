"""Customer acquisition links (获客助手, reference §10)."""

from __future__ import annotations

from typing import Any

from wecom.simulator import links
from wecom.simulator.behaviour import CHAT_KEY_SECONDS, day_of
from wecom.simulator.errors import Refused
from wecom.simulator.records import Link
from wecom.simulator.wire import Body, Call, endpoint

PREFIX = "externalcontact/customer_acquisition"
MOST_MEMBERS = 500
NAME_CHARS = 30
MOST_DAYS, REACH_DAYS = 30, 180
NOT_YET, HAS_WRITTEN = 0, 1


@endpoint("POST", f"{PREFIX}/list_link", empty={"link_id_list": []})
def list_links(call: Call) -> Body:
    """cursor, limit ≤ 100 → link_id_list. Official 97297."""
    _admit(call)
    rows, cursor = call.page(list(call.corp.links), most=100, default=100)
    return {"link_id_list": list(rows), "next_cursor": cursor}


@endpoint("POST", f"{PREFIX}/get", empty={"link": {}, "range": {}})
def get_link(call: Call) -> Body:
    """link_id → link, range, priority_option."""
    link = _asked(call)
    shown = _link(link) | {"skip_verify": link.skip_verify, "mark_source": link.mark_source}
    answer: Body = {"link": shown, "range": {"user_list": link.users, "department_list": link.departments}}
    if link.priority_type:
        users = link.priority_users if link.priority_type == links.LISTED else []
        answer["priority_option"] = {"priority_type": link.priority_type, "priority_userid_list": users}
    return answer


@endpoint("POST", f"{PREFIX}/create_link", empty={"link": {}})
def create_link(call: Call) -> Body:
    """link_name ≤ 30, range ≤ 500 members, skip_verify, priority_option, mark_source → link."""
    _admit(call)
    name = call.text("link_name", missing=40058, chars=NAME_CHARS)
    users, departments = _range(call)
    priority_type, priority_users = _priority(call)
    if len(call.corp.links) >= call.engine.switches.link_cap:
        raise Refused(41095)
    code = call.corp.new_id("ca", 24)
    link = Link(
        link_id=code,
        agentid=call.app.agentid,
        link_name=name,
        url=f"https://work.weixin.qq.com/ca/{code}",
        create_time=call.now,
        skip_verify=call.flag("skip_verify", default=True),
        mark_source=call.flag("mark_source", default=True),
        users=users,
        departments=departments,
        priority_type=priority_type,
        priority_users=priority_users,
    )
    call.corp.links[link.link_id] = link
    return {"link": _link(link)}


@endpoint("POST", f"{PREFIX}/update_link")
def update_link(call: Call) -> Body:
    """link_id and what changes; the range is replaced as a whole."""
    link = _own(call)
    name = call.text("link_name", chars=NAME_CHARS) or link.link_name
    users, departments = _range(call) if call.given("range") is not None else (link.users, link.departments)
    priority = (link.priority_type, link.priority_users)
    if call.given("priority_option") is not None:
        priority = _priority(call)
    link.skip_verify = call.flag("skip_verify", default=link.skip_verify)
    link.mark_source = call.flag("mark_source", default=link.mark_source)
    link.link_name, link.users, link.departments = name, users, departments
    link.priority_type, link.priority_users = priority
    links.check_all(call.engine, call.corp)
    return {}


@endpoint("POST", f"{PREFIX}/delete_link")
def delete_link(call: Call) -> Body:
    """link_id: the link leads nowhere from now on. No event: the API did it."""
    del call.corp.links[_own(call).link_id]
    return {}


@endpoint("POST", f"{PREFIX}/customer", empty={"customer_list": []})
def list_link_customers(call: Call) -> Body:
    """link_id, cursor, limit ≤ 1000 → who came by it: chat_status 0 has not written yet, 1 has. Official 97298."""
    link = _asked(call)
    came = [each for each in call.corp.link_customers.values() if each.link_id == link.link_id]
    rows, cursor = call.page(came, most=1000, default=1000)
    shown = [
        {
            "external_userid": each.external_userid,
            "userid": each.userid,
            "chat_status": HAS_WRITTEN if each.received else NOT_YET,
            "state": each.state,
        }
        for each in rows
    ]
    return {"customer_list": shown, "next_cursor": cursor}


@endpoint("GET", "externalcontact/customer_acquisition_quota", empty={"quota_list": []})
def quota(call: Call) -> Body:
    """→ total (bought), balance (left), quota_list by expiry. Official 97375."""
    _admit(call)
    packs = call.corp.link_quota
    return {
        "total": sum(bought for _, bought, _ in packs),
        "balance": links.balance(call.corp),
        "quota_list": [{"expire_date": expires, "balance": left} for expires, _, left in packs if left],
    }


@endpoint("POST", f"{PREFIX}/statistic", empty={"click_link_customer_cnt": 0, "new_customer_cnt": 0})
def statistic(call: Call) -> Body:
    """link_id, start_time, end_time (at most 30 days, within 180) → customers who clicked, customers who were added.

    Parameters in the query are taken too: one client sends this by GET."""
    if not call.body:
        call.body = dict(call.query)
    link = _asked(call)
    start, end = call.number("start_time"), call.number("end_time")
    if end < start or day_of(end) - day_of(start) > MOST_DAYS or day_of(start) < day_of(call.now) - REACH_DAYS:
        raise Refused(40058, "invalid time range")
    days = range(day_of(start), day_of(end) + 1)
    return {
        "click_link_customer_cnt": len({who for day, who in link.clicks if day in days}),
        "new_customer_cnt": sum(1 for day, _ in link.adds if day in days),
    }


@endpoint("POST", f"{PREFIX}/get_chat_info", empty={"chat_info": {}})
def get_chat_info(call: Call) -> Body:
    """chat_key of a message_from_customer event, at most 30 minutes old → userid, external_userid, chat_info."""
    _admit(call)
    key = call.corp.chat_keys.get(call.text("chat_key", missing=40058))
    if key is None or call.now - key.created_at > CHAT_KEY_SECONDS:
        raise Refused(40058, "invalid chat_key")
    came = call.corp.link_customers[key.pair]
    return {
        "userid": came.userid,
        "external_userid": came.external_userid,
        "chat_info": {"recv_msg_cnt": came.received, "link_id": came.link_id, "state": came.state},
    }


def _admit(call: Call) -> None:
    """Raises Refused 48002 when the app is not on the 获客助手 list."""
    if not call.corp.link_access:
        raise Refused(48002)


def _asked(call: Call) -> Link:
    _admit(call)
    link = call.corp.links.get(call.text("link_id", missing=40058))
    if link is None:
        raise Refused(40058, "invalid link_id")
    return link


def _own(call: Call) -> Link:
    """A link to change. Raises Refused 41098 for one that a provider's app made, when another asks."""
    link = _asked(call)
    maker = next((app for app in call.corp.apps if app.agentid == link.agentid), None)
    if maker is not None and maker.suite_id and maker is not call.app:
        raise Refused(41098)
    return link


def _range(call: Call) -> tuple[list[str], list[int]]:
    """(users, departments), at most 500 members. Raises Refused 40058, 40003, 84074, 60003."""
    given = call.record("range")
    users, departments = given.get("user_list") or [], given.get("department_list") or []
    if not _all(users, str) or not _all(departments, int) or not (users or departments):
        raise Refused(40058, "invalid range")
    for userid in users:
        member = call.corp.member(userid)
        if member is None:
            raise Refused(40003)
        if not call.sees(member):
            raise Refused(60011)
        if not member.service:
            raise Refused(84074)
    if any(department not in call.corp.departments for department in departments):
        raise Refused(60003)
    if not call.seen_departments().issuperset(departments):
        raise Refused(60011)
    if len(links.members_behind(call.corp, users, departments)) > MOST_MEMBERS:
        raise Refused(40058, "more than 500 members in range")
    return call.corp.all_spelt(users), list(departments)


def _priority(call: Call) -> tuple[int, list[str]]:
    option = call.record("priority_option")
    if not option:
        return 0, []
    kind, users = option.get("priority_type"), option.get("priority_userid_list") or []
    if kind not in (links.ALL_FOLLOWERS, links.LISTED) or not _all(users, str):
        raise Refused(40058, "invalid priority_option")
    if kind == links.LISTED and not users:
        raise Refused(40058, "priority_userid_list is empty")
    if any(call.corp.member(userid) is None for userid in users):
        raise Refused(40003)
    return int(kind), call.corp.all_spelt(users)


def _all(value: Any, kind: type) -> bool:
    return isinstance(value, list) and all(isinstance(each, kind) and not isinstance(each, bool) for each in value)


def _link(link: Link) -> Body:
    return {
        "link_id": link.link_id,
        "link_name": link.link_name,
        "url": link.url,
        "create_time": link.create_time,
    }
