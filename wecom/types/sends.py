"""Mass sends and moments, media and app messages (reference §12, §13, §17, §18)."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from wecom.types.base import OpenEnum


class TaskStatus(OpenEnum):
    """Whether a member has confirmed a mass send or published a moment."""

    NOT_SENT = 0
    SENT = 2


class SendStatus(OpenEnum):
    """What became of one customer or group of a mass send (reference §12.3)."""

    NOT_SENT = 0
    SENT = 1
    NOT_FRIEND = 2
    OVER_CAP = 3


@dataclass(frozen=True, slots=True)
class MassSend:
    """A created task. `failed`: ids that WeCom left out at once (unknown, or nobody can write to them)."""

    msgid: str
    failed: list[str]


@dataclass(frozen=True, slots=True)
class MassMessage:
    """A task in the list. `creator` is empty for tasks made by API."""

    msgid: str
    created_at: datetime | None
    creator: str
    text: str
    attachments: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class MemberTask:
    """One member's part of a mass send or a moment. `sent_at` is never told for moments."""

    userid: str
    status: TaskStatus
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SendResult:
    """One receiver's result: external_userid for 1v1 tasks, chat_id for group tasks; the other is empty."""

    external_userid: str
    chat_id: str
    userid: str
    status: SendStatus
    sent_at: datetime | None = None


class JobStatus(OpenEnum):
    """How far the creation of a moment is."""

    STARTED = 1
    CREATING = 2
    FINISHED = 3


@dataclass(frozen=True, slots=True)
class MomentJob:
    """The job that creates a moment. Finished with errcode ≠ 0: refused, and `code` is our word for why."""

    status: JobStatus
    errcode: int = 0
    code: str = ""
    moment_id: str = ""
    invalid_userids: tuple[str, ...] = ()
    invalid_tag_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment in the list. WeCom tells media ids and links here, not the attachments as they were sent."""

    moment_id: str
    created_at: datetime | None
    creator: str
    public: bool
    text: str
    media_ids: tuple[str, ...] = ()
    link_url: str = ""


@dataclass(frozen=True, slots=True)
class Reaction:
    """A like or a comment; one of the two ids is filled. WeCom does not tell what a comment says."""

    external_userid: str
    userid: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Reactions:
    """Who liked and who commented one member's publication of a moment."""

    likes: list[Reaction]
    comments: list[Reaction]


@dataclass(frozen=True, slots=True)
class Media:
    """A temporary media id: good for three days in all apps of the corp."""

    media_id: str
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class AppMessage:
    """A message to members. `invalid_userids` (lower-cased by WeCom) got nothing."""

    msgid: str
    invalid_userids: tuple[str, ...] = ()
    response_code: str = ""
    """lets an interactive card be changed, once, within 72 h; empty for other messages"""


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A temporary file as it is kept by WeCom."""

    filename: str
    content_type: str
    data: bytes
