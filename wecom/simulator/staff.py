"""Changes of the directory, made in the admin console or by the API, and their events (reference §6.1, §21.5)."""

from __future__ import annotations

import re
from typing import Any

from wecom.simulator import links, renaming, transfers
from wecom.simulator.engine import Engine
from wecom.simulator.errors import Refused
from wecom.simulator.outbound import EventField
from wecom.simulator.records import MemberTag
from wecom.simulator.world import PROMPT, ROOT_DEPARTMENT, Corp, Department, Member

EVENT = "change_contact"
USERID = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._-]{0,63}")
MOST_LEVELS, MOST_DEPARTMENTS = 15, 30_000


def hire(engine: Engine, corp: Corp, *, userid: str, name: str, department: list[int], service: bool) -> Member:
    """A new member. Raises Refused 40003 (no such userid is possible), 60102 (taken), 60003."""
    _check_userid(corp, userid)
    _check(corp, department)
    member = Member(userid, name or userid, department, "导购", "0", False, service, PROMPT)
    corp.add_member(member)
    engine.emit(corp, EVENT, "create_user", _event(member))
    return member


def change(
    engine: Engine,
    corp: Corp,
    member: Member,
    *,
    name: str | None,
    department: list[int] | None,
    service: bool | None,
    new_userid: str = "",
    standing: dict[str, Any] | None = None,
) -> None:
    """Rename, move, switch 客户联系 on or off, give another userid, or change `standing`: status, real_named, banned.

    Raises Refused 60003, 40003, 60102."""
    if new_userid and new_userid != member.userid:
        _check_userid(corp, new_userid, of=member)
    if department is not None:
        _check(corp, department)
        member.department = list(department)
    for field, value in (standing or {}).items():
        setattr(member, field, value)
    if name is not None:
        member.name = name
    if service is not None:
        member.service = service
    told = _event(member)
    if new_userid and new_userid != member.userid:
        renaming.rename(engine, corp, member, new_userid)
        told.insert(1, ("NewUserID", new_userid))
    engine.emit(corp, EVENT, "update_user", told)
    links.check_all(engine, corp)


def create_department(
    engine: Engine,
    corp: Corp,
    *,
    name: str,
    parentid: int,
    number: int = 0,
    name_en: str = "",
    order: int = 0,
    by_api: bool = False,
) -> Department:
    """A new department, `number` its id if not 0. Raises Refused 60004, 60008, 81001, 81002."""
    if number in corp.departments or _namesake(corp, name, parentid):
        raise Refused(60008)
    if parentid not in corp.departments:
        raise Refused(60004)
    if len(corp.departments) >= MOST_DEPARTMENTS:
        raise Refused(81001)
    if _level(corp, parentid) >= MOST_LEVELS:
        raise Refused(81002)
    number = number or max(corp.departments) + 1
    made = Department(number, name or f"部门{number}", parentid, order, name_en)
    corp.departments[number] = made
    engine.emit(corp, EVENT, "create_party", _party(made), by_api=by_api)
    return made


def update_department(
    engine: Engine,
    corp: Corp,
    number: int,
    *,
    name: str = "",
    parentid: int | None = None,
    name_en: str | None = None,
    order: int | None = None,
    by_api: bool = False,
) -> None:
    """Rename or move a department. Raises Refused 60003, 60004, 60008, 60010, 81002."""
    known = corp.departments.get(number)
    if known is None:
        raise Refused(60003)
    goal = known.parentid if parentid is None else parentid
    if goal != known.parentid:
        if goal not in corp.departments:
            raise Refused(60004)
        if number == ROOT_DEPARTMENT or goal in corp.below(number):
            raise Refused(60010)
        deepest = max(_level(corp, each) for each in corp.below(number)) - _level(corp, number)
        if _level(corp, goal) + 1 + deepest > MOST_LEVELS:
            raise Refused(81002)
    if _namesake(corp, name or known.name, goal) not in (None, known):
        raise Refused(60008)
    known.name, known.parentid = name or known.name, goal
    known.name_en = known.name_en if name_en is None else name_en
    known.order = known.order if order is None else order
    engine.emit(corp, EVENT, "update_party", _party(known), by_api=by_api)


def delete_department(engine: Engine, corp: Corp, number: int, *, by_api: bool = False) -> None:
    """Delete an empty department. Raises Refused 60003, 60005 (members or departments in it)."""
    if number not in corp.departments:
        raise Refused(60003)
    if number == ROOT_DEPARTMENT or len(corp.below(number)) > 1 or corp.members_of(number, recursive=False):
        raise Refused(60005)
    del corp.departments[number]
    engine.emit(corp, EVENT, "delete_party", [("Id", number)], by_api=by_api)


def change_tag(
    engine: Engine,
    corp: Corp,
    tag: MemberTag,
    *,
    add: tuple[list[str], list[int]] = ([], []),
    remove: tuple[list[str], list[int]] = ([], []),
) -> None:
    """Put a member tag on (users, departments) and take it off others."""
    users = [each for each in add[0] if each not in tag.userids]
    parties = [each for each in add[1] if each not in tag.partyids]
    gone = [each for each in remove[0] if each in tag.userids]
    gone_parties = [each for each in remove[1] if each in tag.partyids]
    tag.userids = [each for each in tag.userids if each not in gone] + users
    tag.partyids = [each for each in tag.partyids if each not in gone_parties] + parties
    body: list[EventField] = [("TagId", tag.tagid)]
    for name, items in (
        ("AddUserItems", users),
        ("DelUserItems", gone),
        ("AddPartyItems", parties),
        ("DelPartyItems", gone_parties),
    ):
        body.append((name, ",".join(str(each) for each in items)))
    engine.emit(corp, EVENT, "update_tag", body)


def dismiss(engine: Engine, corp: Corp, member: Member) -> None:
    """The member leaves: out of the directory and of the follow users; their customers wait for inheritance."""
    transfers.leave_behind(engine, corp, member.userid)
    del corp.members[member.userid]
    corp.left[member.userid] = engine.now()
    for external_userid in list(corp.follows_of.pop(member.userid)):
        corp.followers_of[external_userid].pop(member.userid, None)
    engine.emit(corp, EVENT, "delete_user", [("UserID", member.userid)], about=member)
    for tag in corp.member_tags.values():
        if member.userid in tag.userids:
            tag.userids.remove(member.userid)
    links.check_all(engine, corp)


def _level(corp: Corp, number: int) -> int:
    """How many departments there are from the root down to this one, both counted."""
    level = 0
    while number in corp.departments:
        level, number = level + 1, corp.departments[number].parentid
    return level


def _namesake(corp: Corp, name: str, parentid: int) -> Department | None:
    """The department of that name below the parent."""
    siblings = (each for each in corp.departments.values() if each.parentid == parentid)
    return next((each for each in siblings if each.name == name), None)


def _check_userid(corp: Corp, userid: str, *, of: Member | None = None) -> None:
    """Raises Refused 40003, 60102. Only the case of one's own userid may change."""
    if not USERID.fullmatch(userid):
        raise Refused(40003)
    if corp.member(userid) not in (None, of):
        raise Refused(60102, "userid exists")


def _check(corp: Corp, department: list[int]) -> None:
    if not department or any(each not in corp.departments for each in department):
        raise Refused(60003)


def _event(member: Member) -> list[EventField]:
    return [("UserID", member.userid), ("Department", ",".join(str(each) for each in member.department))]


def _party(department: Department) -> list[EventField]:
    return [
        ("Id", department.id),
        ("Name", department.name),
        ("ParentId", department.parentid),
        ("Order", department.order),
    ]
