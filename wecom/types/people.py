"""Customers, tags and 联系我 (reference §7–9), identities across platforms (§7.6)."""

from dataclasses import dataclass
from datetime import datetime

from wecom.types.base import Page


@dataclass(frozen=True, slots=True)
class Person:
    """外部联系人. kind: 1 WeChat user, 2 WeCom user, who has company and position; gender: 0 unknown, 1 male, 2 female;
    unionid may be empty, and is for kind 2."""

    external_userid: str
    name: str
    avatar: str = ""
    kind: int = 1
    gender: int = 0
    unionid: str = ""
    company: str = ""
    position: str = ""


@dataclass(frozen=True, slots=True)
class FollowInfo:
    """What belongs to one member and one customer together. add_way: reference §7.4, unknown numbers are kept.
    `company` is the member's note of it; `channel` the name of the 视频号 of add_way 10."""

    userid: str
    remark: str
    description: str
    added_at: datetime | None
    tag_ids: tuple[str, ...]
    remark_mobiles: tuple[str, ...]
    add_way: int
    state: str
    oper_userid: str
    company: str = ""
    channel: str = ""


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


@dataclass(frozen=True, slots=True)
class ContactWay:
    """联系我: without its config_id a code can never be changed again."""

    config_id: str
    qr_code: str


@dataclass(frozen=True, slots=True)
class ContactWayDetail:
    """联系我 as WeCom has it. kind: 1 for one member, 2 for several; scene: 1 button, 2 QR code."""

    config_id: str
    kind: int
    scene: int
    remark: str
    skip_verify: bool
    state: str
    qr_code: str
    userids: tuple[str, ...]
    department_ids: tuple[int, ...]
    is_temporary: bool = False
    expires_in: int = 0
    chat_expires_in: int = 0
    unionid: str = ""
    is_exclusive: bool = False


@dataclass(frozen=True, slots=True)
class CrossIdentity:
    """Who a WeChat user is in the corp: a customer, or nobody yet but known by a `pending_id` for 90 days."""

    external_userid: str = ""
    pending_id: str = ""


@dataclass(frozen=True, slots=True)
class ConvertedIds:
    """Ids of one world as ids of another; `unknown` have none."""

    found: dict[str, str]
    unknown: tuple[str, ...] = ()
