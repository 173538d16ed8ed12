"""Departments, members and the app itself (reference §2.3, §6)."""

from dataclasses import dataclass

from wecom.types.base import OpenEnum


@dataclass(frozen=True, slots=True)
class Department:
    """部门. The root has id 1 and parent_id 0."""

    id: int
    name: str
    parent_id: int


class MemberStatus(OpenEnum):
    """Whether a member can work: reference §6.2."""

    ACTIVE = 1
    DISABLED = 2
    NOT_ACTIVATED = 4
    LEFT = 5


@dataclass(frozen=True, slots=True)
class Member:
    """成员. `status` is one of MemberStatus, or a number that WeCom adds later."""

    userid: str
    name: str
    departments: tuple[int, ...]
    main_department: int
    status: int = MemberStatus.ACTIVE


@dataclass(frozen=True, slots=True)
class Membership:
    """A member of a department, by their ids alone."""

    userid: str
    department_id: int


@dataclass(frozen=True, slots=True)
class Agent:
    """应用: its visible range. Empty lists with department 1 mean the whole corp."""

    agent_id: int
    name: str
    userids: tuple[str, ...]
    department_ids: tuple[int, ...]
    tag_ids: tuple[int, ...]
    closed: bool
