"""Departments and members (reference §6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wecom.simulator import staff
from wecom.simulator.errors import Refused
from wecom.simulator.logins import email_of, mobile_of, openid_of
from wecom.simulator.wire import DIRECTORY, DIRECTORY_SYNC, Body, Call, endpoint
from wecom.simulator.world import ROOT_DEPARTMENT, Corp, Department, Member

NAME_CHARS = 64
MEMBER_EMPTY: Body = {"department": [], "order": [], "is_leader_in_dept": [], "direct_leader": []}


@endpoint("GET", "department/list", kinds=DIRECTORY, empty={"department": []})
def list_departments(call: Call) -> Body:
    """id (optional) → it and all below, in full."""
    return {"department": [_department(call.corp, each) for each in _asked(call)]}


@endpoint("GET", "department/simplelist", kinds=DIRECTORY, empty={"department_id": []})
def list_department_ids(call: Call) -> Body:
    """id (optional) → it and all below, ids only."""
    return {"department_id": [{"id": each.id, "parentid": each.parentid, "order": each.order} for each in _asked(call)]}


@endpoint("GET", "department/get", kinds=DIRECTORY, empty={"department": {}})
def get_department(call: Call) -> Body:
    """id → one department."""
    department = call.corp.departments.get(call.number("id"))
    if department is None:
        raise Refused(60003)
    if department.id not in call.seen_departments():
        raise Refused(60011)
    return {"department": _department(call.corp, department)}


@endpoint("POST", "department/create", kinds=DIRECTORY_SYNC)
def create_department(call: Call) -> Body:
    """name ≤ 64, name_en, parentid, order, id > 1 → id. For the contact-sync secret."""
    number = call.number("id", default=0)
    if call.given("id") is not None and number <= ROOT_DEPARTMENT:
        raise Refused(40058, "invalid id")
    made = staff.create_department(
        call.engine,
        call.corp,
        name=call.text("name", missing=40063, chars=NAME_CHARS),
        parentid=call.number("parentid", missing=40063),
        number=number,
        name_en=call.text("name_en", chars=NAME_CHARS),
        order=_order(call) or 0,
        by_api=True,
    )
    return {"errmsg": "created", "id": made.id}


@endpoint("POST", "department/update", kinds=DIRECTORY_SYNC)
def update_department(call: Call) -> Body:
    """id and what changes: name, name_en, parentid, order."""
    given = call.given("parentid")
    staff.update_department(
        call.engine,
        call.corp,
        call.number("id", missing=40063),
        name=call.text("name", chars=NAME_CHARS),
        parentid=None if given is None else call.number("parentid"),
        name_en=call.text("name_en", chars=NAME_CHARS) if call.given("name_en") is not None else None,
        order=_order(call),
        by_api=True,
    )
    return {"errmsg": "updated"}


@endpoint("GET", "department/delete", kinds=DIRECTORY_SYNC)
def delete_department(call: Call) -> Body:
    """id of a department without members and departments below."""
    staff.delete_department(call.engine, call.corp, call.number("id", missing=40063), by_api=True)
    call.engine.dirty = True
    return {"errmsg": "deleted"}


@endpoint("GET", "user/get", kinds=DIRECTORY, empty=MEMBER_EMPTY)
def get_user(call: Call) -> Body:
    """userid → the member, without what apps since 2022-06-20 are not told (mobile, avatar, …)."""
    return _member(call.member(missing=41009, unknown=60111))


@endpoint("GET", "user/simplelist", kinds=DIRECTORY, empty={"userlist": []})
def list_users_simply(call: Call) -> Body:
    """department_id → userid, name, department of its members."""
    return {
        "userlist": [
            {"userid": each.userid, "name": each.name, "department": each.department, "open_userid": ""}
            for each in _members(call)
        ]
    }


@endpoint("GET", "user/list", kinds=DIRECTORY, empty={"userlist": []})
def list_users(call: Call) -> Body:
    """department_id → its members in full."""
    return {"userlist": [_member(each) for each in _members(call)]}


@endpoint("POST", "user/list_id", kinds=DIRECTORY_SYNC, empty={"dept_user": []})
def list_user_ids(call: Call) -> Body:
    """cursor, limit ≤ 10000 → (userid, department) pairs; for the contact-sync secret only."""
    pairs = [
        {"userid": member.userid, "department": department}
        for member in call.corp.members.values()
        if call.sees(member)
        for department in member.department
    ]
    rows, cursor = call.page(pairs, most=10_000, default=10_000)
    return {"dept_user": list(rows), "next_cursor": cursor}


@endpoint("POST", "user/getuserid", kinds=DIRECTORY, empty={"userid": ""})
def get_userid(call: Call) -> Body:
    """mobile → userid; 46004 when nobody in range has it."""
    wanted = call.text("mobile", missing=40063)
    return {"userid": _found(call, lambda userid: mobile_of(userid) == wanted)}


@endpoint("POST", "user/get_userid_by_email", kinds=DIRECTORY, empty={"userid": ""})
def get_userid_by_email(call: Call) -> Body:
    """email, email_type 1 corp mail, 2 personal → userid; 46004 when nobody in range has it."""
    wanted = call.text("email", missing=40063)
    if call.number("email_type", default=1) not in (1, 2):
        raise Refused(40058, "invalid email_type")
    return {"userid": _found(call, lambda userid: email_of(userid) == wanted)}


@endpoint("POST", "user/convert_to_openid", kinds=DIRECTORY, empty={"openid": ""})
def convert_to_openid(call: Call) -> Body:
    """userid → openid."""
    return {"openid": openid_of(call.corp, call.member(missing=41009, unknown=60111).userid)}


@endpoint("POST", "user/convert_to_userid", kinds=DIRECTORY, empty={"userid": ""})
def convert_to_userid(call: Call) -> Body:
    """openid → userid; 46004 when nobody in range has it."""
    wanted = call.text("openid", missing=40063)
    return {"userid": _found(call, lambda userid: openid_of(call.corp, userid) == wanted)}


@endpoint("GET", "tag/list", kinds=DIRECTORY, empty={"taglist": []})
def list_member_tags(call: Call) -> Body:
    """→ the tags of members and departments."""
    return {"taglist": [{"tagid": tag.tagid, "tagname": tag.tagname} for tag in call.corp.member_tags.values()]}


@endpoint("GET", "tag/get", kinds=DIRECTORY, empty={"userlist": [], "partylist": []})
def get_member_tag(call: Call) -> Body:
    """tagid → the members and departments that carry it."""
    tag = call.corp.member_tags.get(call.number("tagid"))
    if tag is None:
        raise Refused(40068)
    carriers = [member for userid in tag.userids if (member := call.corp.member(userid)) is not None]
    users = [{"userid": each.userid, "name": each.name} for each in carriers if call.sees(each)]
    return {"tagname": tag.tagname, "userlist": users, "partylist": tag.partyids}


def _order(call: Call) -> int | None:
    """`order`, 0 to 2^32 - 1, None when absent."""
    if call.given("order") is None:
        return None
    order = call.number("order")
    if not 0 <= order < 1 << 32:
        raise Refused(40058, "invalid order")
    return order


def _found(call: Call, fits: Callable[[str], bool]) -> str:
    for member in call.corp.members.values():
        if call.sees(member) and fits(member.userid):
            return member.userid
    raise Refused(46004)


def _asked(call: Call) -> list[Department]:
    departments = call.corp.departments
    top = call.number("id", default=ROOT_DEPARTMENT)
    if top not in departments:
        raise Refused(60003)
    seen = call.seen_departments()
    found = [departments[each] for each in call.corp.below(top) if each in seen]
    if not found and call.given("id") is not None:
        raise Refused(60011)
    return found


def _members(call: Call) -> list[Member]:
    department = call.number("department_id")
    if department not in call.corp.departments:
        raise Refused(60003)
    found = call.corp.members_of(department, recursive=call.number("fetch_child", default=0) == 1)
    seen = [each for each in found if call.sees(each)]
    if department not in call.seen_departments() and not seen:
        raise Refused(60011)
    return seen


def _department(corp: Corp, department: Department) -> dict[str, Any]:
    leaders = [each.userid for each in corp.members.values() if each.leader and department.id in each.department]
    return {
        "id": department.id,
        "name": department.name,
        "name_en": department.name_en,
        "department_leader": leaders,
        "parentid": department.parentid,
        "order": department.order,
    }


def _member(member: Member) -> dict[str, Any]:
    return {
        "userid": member.userid,
        "name": member.name,
        "department": member.department,
        "order": [0] * len(member.department),
        "position": member.position,
        "is_leader_in_dept": [int(member.leader)] * len(member.department),
        "direct_leader": [],
        "telephone": "",
        "alias": "",
        "open_userid": "",
        "main_department": member.department[0],
        "extattr": {"attrs": []},
        "status": member.status,
        "external_position": "",
        "external_profile": {"external_corp_name": "", "external_attr": []},
    }
