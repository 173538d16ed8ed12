"""Records of what guides are asked to send: mass sends and Moments, with each member's part (reference §12, §13)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class MassTask:
    """A mass send: nothing is delivered until the members confirm. `ready_at` ends the 41063 phase."""

    msgid: str
    agentid: int
    chat_type: str
    create_time: int
    ready_at: float
    text: str
    attachments: list[dict[str, Any]]
    cancelled_at: int = 0
    reminded: list[int] = field(default_factory=list)
    members: dict[str, MemberSend] = field(default_factory=dict)


@dataclass(slots=True)
class MemberSend:
    """One member's part of a mass send: receivers and, in the same order, their result status (0 not sent, 1 sent,
    2 no longer a friend, 3 over the cap)."""

    msgid: str
    userid: str
    targets: list[str]
    statuses: list[int]
    send_time: int = 0

    @property
    def sent(self) -> bool:
        """Whether the member has confirmed."""
        return self.send_time > 0


@dataclass(slots=True)
class MomentJob:
    """add_moment_task's asynchronous job. `request` is the validated body; `result` is set when it is finished."""

    jobid: str
    agentid: int
    create_time: int
    start_at: float
    finish_at: float
    request: dict[str, Any]
    result: dict[str, Any] | None = None


@dataclass(slots=True)
class Moment:
    """A customer moment (客户朋友圈) with the members who are asked to publish it."""

    moment_id: str
    create_time: int
    visible_type: int
    text: str
    attachments: list[dict[str, Any]]
    cancelled_at: int = 0
    members: dict[str, MomentSend] = field(default_factory=dict)


@dataclass(slots=True)
class MomentSend:
    """One member's part of a moment: who may see it, who was shown it, likes and comments as [who, time]."""

    moment_id: str
    userid: str
    customers: list[str]
    publish_time: int = 0
    shown: list[str] = field(default_factory=list)
    likes: list[list[Any]] = field(default_factory=list)
    comments: list[list[Any]] = field(default_factory=list)
