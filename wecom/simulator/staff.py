"""Changes of the directory made in the admin console, and their events (reference §21.5)."""

from __future__ import annotations

from wecom.simulator.engine import Engine
from wecom.simulator.errors import Refused
from wecom.simulator.outbound import EventField
from wecom.simulator.world import PROMPT, Corp, Member

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


def dismiss(engine: Engine, corp: Corp, member: Member) -> None:
    """The member leaves: out of the directory and of the follow users; their customers wait for inheritance."""
    del corp.members[member.userid]
    corp.left[member.userid] = engine.now()
    for external_userid in list(corp.follows_of.pop(member.userid)):
        corp.followers_of[external_userid].pop(member.userid, None)
    engine.emit(corp, EVENT, "delete_user", [("UserID", member.userid)])


def _check(corp: Corp, department: list[int]) -> None:
    if not department or any(each not in corp.departments for each in department):
        raise Refused(60003)


def _event(member: Member) -> list[EventField]:
    return [("UserID", member.userid), ("Department", ",".join(str(each) for each in member.department))]
