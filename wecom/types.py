"""What WeCom's calls return, as the rest of the house sees it. Times are aware, in UTC; ids as WeCom spells them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page; iterating gives its items. An empty `next_cursor` is the end, a short or empty page is not.

    Cursors are short-lived: never store one for later; on a bad one start from the beginning."""

    items: list[T]
    next_cursor: str = ""

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


# -- directory --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Department:
    """部门. The root has id 1 and parent_id 0."""

    id: int
    name: str
    parent_id: int


class MemberStatus(IntEnum):
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


# -- customers --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Person:
    """外部联系人. kind: 1 WeChat user, 2 WeCom user; gender: 0 unknown, 1 male, 2 female; unionid may be empty."""

    external_userid: str
    name: str
    avatar: str = ""
    kind: int = 1
    gender: int = 0
    unionid: str = ""


@dataclass(frozen=True, slots=True)
class FollowInfo:
    """What belongs to one member and one customer together. add_way: reference §7.4, unknown numbers are kept."""

    userid: str
    remark: str
    description: str
    added_at: datetime | None
    tag_ids: tuple[str, ...]
    remark_mobiles: tuple[str, ...]
    add_way: int
    state: str
    oper_userid: str


@dataclass(frozen=True, slots=True)
class FollowedContact:
    """One pair of customer and member."""

    person: Person
    follow: FollowInfo


@dataclass(frozen=True, slots=True)
class ContactPage(Page[FollowedContact]):
    """A page of pairs. `unlicensed`: userids left out for want of an interface licence."""

    unlicensed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ContactDetail:
    """One customer and all members who follow; one who was deleted by the customer is still among them."""

    person: Person
    follows: list[FollowInfo]


# -- tags -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CorpTag:
    """企业标签. Larger `order` first. `deleted` is meaningful only for tags asked for by id."""

    id: str
    name: str
    group_id: str
    group_name: str
    order: int = 0
    created_at: datetime | None = None
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class TagGroup:
    """标签组 with its tags."""

    id: str
    name: str
    order: int
    deleted: bool
    tags: list[CorpTag]


# -- groups -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GroupRef:
    """A customer group in a list. status: 0 normal, 1 owner resigned, 2 being inherited, 3 inherited."""

    chat_id: str
    status: int


GroupPage = Page[GroupRef]


@dataclass(frozen=True, slots=True)
class GroupMember:
    """kind: 1 member of the corp, 2 external. `userid` is a userid or an external_userid accordingly."""

    userid: str
    kind: int
    joined_at: datetime | None
    join_scene: int
    unionid: str = ""
    name: str = ""
    invitor: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class GroupDetail:
    """客户群. `version` changes whenever members come or go."""

    chat_id: str
    name: str
    owner: str
    created_at: datetime | None
    notice: str
    version: str
    members: list[GroupMember]
    admins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ContactWay:
    """联系我: without its config_id a code can never be changed again."""

    config_id: str
    qr_code: str


# -- mass sends and moments -------------------------------------------------------------------------------------------


class TaskStatus(IntEnum):
    """Whether a member has confirmed a mass send or published a moment."""

    NOT_SENT = 0
    SENT = 2


class SendStatus(IntEnum):
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


class JobStatus(IntEnum):
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


# -- media and app messages -------------------------------------------------------------------------------------------


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


@dataclass(frozen=True, slots=True)
class Agent:
    """应用: its visible range. Empty lists with department 1 mean the whole corp."""

    agent_id: int
    name: str
    userids: tuple[str, ...]
    department_ids: tuple[int, ...]
    tag_ids: tuple[int, ...]
    closed: bool
