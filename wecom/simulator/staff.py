"""Changes of the directory made in the admin console, and their events (reference §21.5)."""

from __future__ import annotations

from wecom.simulator import links, transfers
from wecom.simulator.engine import Engine
from wecom.simulator.errors import Refused
from wecom.simulator.outbound import EventField
from wecom.simulator.records import MemberTag
from wecom.simulator.world import PROMPT, ROOT_DEPARTMENT, Corp, Department, Member

EVENT = "change_contact"


def hire(engine: Engine, corp: Corp, *, userid: str, name: str, department: list[int], service: bool) -> Member:
    """A new member. Raises Refused 40003 (no userid), 60102 (taken), 60003."""
    if not userid:
        raise Refused(40003)
    if corp.member(userid) is not None:
        raise Refused(60102, "userid exists")
    _check(corp, department)
    member = Member(userid.lower(), name or userid, department, "导购", "0", False, service, PROMPT)
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
) -> None:
    """Rename, move, or switch 客户联系 on or off. Raises Refused 60003."""
    if department is not None:
        _check(corp, department)
        member.department = list(department)
    if name is not None:
        member.name = name
    if service is not None:
        member.service = service
    engine.emit(corp, EVENT, "update_user", _event(member))
    links.check_all(engine, corp)


def change_department(
    engine: Engine, corp: Corp, *, action: str, department_id: int, name: str | None, parentid: int | None
) -> int:
    """Create, update or delete a department. Returns its id. Raises Refused 60003, 60005, 60006, 60008."""
    known = corp.departments.get(department_id)
    if action == "create":
        if known is not None:
            raise Refused(60008, "department exists")
        parent = parentid or ROOT_DEPARTMENT
        if parent not in corp.departments:
            raise Refused(60003)
        number = department_id or max(corp.departments) + 1
        made = Department(number, name or f"部门{number}", parent, 0)
        corp.departments[number] = made
        engine.emit(corp, EVENT, "create_party", _party(made))
        return number
    if known is None:
        raise Refused(60003)
    if action == "update":
        if parentid is not None and (parentid not in corp.departments or parentid in corp.below(department_id)):
            raise Refused(60003)
        known.name = name or known.name
        known.parentid = known.parentid if parentid is None else parentid
        engine.emit(corp, EVENT, "update_party", _party(known))
        return department_id
    if corp.members_of(department_id, recursive=False):
        raise Refused(60005, "department has members")
    if len(corp.below(department_id)) > 1:
        raise Refused(60006, "department has sub-departments")
    del corp.departments[department_id]
    engine.emit(corp, EVENT, "delete_party", [("Id", department_id)])
    return department_id


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
    engine.emit(corp, EVENT, "delete_user", [("UserID", member.userid)])
    for tag in corp.member_tags.values():
        if member.userid in tag.userids:
            tag.userids.remove(member.userid)
    links.check_all(engine, corp)


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
