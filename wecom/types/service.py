"""Handing customers over, acquisition links, statistics, rule groups (reference §7.7, §10, §14, §15)."""

from dataclasses import dataclass
from datetime import datetime

from wecom.types.base import OpenEnum

ALREADY_UNDER_WAY = frozenset({40100, 40129})


class TransferStatus(OpenEnum):
    """How far the hand-over of a customer is (reference §14)."""

    DONE = 1
    WAITING = 2
    REFUSED = 3
    AT_LIMIT = 4
    NO_RECORD = 5


@dataclass(frozen=True, slots=True)
class TransferStart:
    """What WeCom said to the hand-over of one customer. `code` is our word for a refusal, empty when it began."""

    external_userid: str
    errcode: int = 0
    code: str = ""

    @property
    def is_under_way(self) -> bool:
        """Whether it began now, or had begun before."""
        return self.errcode == 0 or self.errcode in ALREADY_UNDER_WAY


@dataclass(frozen=True, slots=True)
class Transfer:
    """One customer's hand-over. It takes effect 24 hours after it began unless the customer refuses."""

    external_userid: str
    status: TransferStatus
    taken_over_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Unassigned:
    """待分配: a customer of a member who left."""

    handover_userid: str
    external_userid: str
    left_at: datetime | None


class ChatStatus(OpenEnum):
    """Whether a customer of an acquisition link has written."""

    SILENT = 0
    HAS_WRITTEN = 1
    UNKNOWN = 2


@dataclass(frozen=True, slots=True)
class AcquisitionLink:
    """获客链接. priority: 0 none, 1 whoever the customer knows in the corp, 2 those of `priority_userids`."""

    link_id: str
    name: str
    url: str
    created_at: datetime | None = None
    skip_verify: bool = True
    userids: tuple[str, ...] = ()
    department_ids: tuple[int, ...] = ()
    priority: int = 0
    priority_userids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkCustomer:
    """A customer who came through an acquisition link, with the channel's state."""

    external_userid: str
    userid: str
    chat_status: ChatStatus
    state: str


@dataclass(frozen=True, slots=True)
class QuotaPart:
    """A part of the acquisition quota that ends together."""

    expires_at: datetime | None
    balance: int


@dataclass(frozen=True, slots=True)
class AcquisitionQuota:
    """获客助手 quota: bought in all, left, and how it runs out."""

    total: int
    balance: int
    parts: tuple[QuotaPart, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkStatistic:
    """Customers who clicked an acquisition link, and who came through it, in a span of days."""

    clicked: int
    new_customers: int


@dataclass(frozen=True, slots=True)
class LinkChat:
    """A message of a link's customer: who wrote to whom, and how many messages came so far."""

    userid: str
    external_userid: str
    messages: int
    link_id: str
    state: str


@dataclass(frozen=True, slots=True)
class BehaviourDay:
    """联系客户统计 of the members asked for, added up, on one day that begins `at`.

    `reply_percentage` and `reply_minutes` are None where WeCom has none: nobody began a chat."""

    at: datetime | None
    chats: int
    messages: int
    reply_percentage: float | None
    reply_minutes: int | None
    negative: int
    applications: int
    new_contacts: int


@dataclass(frozen=True, slots=True)
class GroupNumbers:
    """群聊数据统计."""

    new_chats: int
    chats: int
    active_chats: int
    new_members: int
    members: int
    active_members: int
    messages: int


@dataclass(frozen=True, slots=True)
class OwnerNumbers:
    """The groups of one owner over the days asked for."""

    owner: str
    numbers: GroupNumbers


@dataclass(frozen=True, slots=True)
class OwnerNumbersPage:
    """A page by offset: `next_offset` for the next one, 0 at the end."""

    items: list[OwnerNumbers]
    total: int
    next_offset: int


@dataclass(frozen=True, slots=True)
class DayNumbers:
    """The groups of the owners asked for on one day that begins `at`."""

    at: datetime | None
    numbers: GroupNumbers


@dataclass(frozen=True, slots=True)
class Strategy:
    """规则组. `privileges`: names of what its members may do."""

    id: int
    parent_id: int
    name: str
    created_at: datetime | None
    admins: tuple[str, ...]
    privileges: frozenset[str]


@dataclass(frozen=True, slots=True)
class StrategyRange:
    """A member (userid) or a department (department_id) that a rule group covers; the other is empty or 0."""

    userid: str = ""
    department_id: int = 0
