"""What a corp sets up beside its people: inheritance, acquisition links, join ways, templates, rule groups, chats.

Flat records as in `world`; a `Corp` holds the tables.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

ON_JOB, RESIGNED = "on_job", "resigned"
DONE, WAITING, CUSTOMER_REFUSED, LIMIT_EXCEEDED, NO_RECORD = 1, 2, 3, 4, 5  # status of a transfer

CUSTOMER_STRATEGY, MOMENT_STRATEGY = "customer", "moment"


@dataclass(slots=True)
class Transfer:
    """One customer on the way from one member to another. `due` is when it takes effect; a refusal comes before."""

    transfer_id: str
    kind: str
    handover_userid: str
    takeover_userid: str
    external_userid: str
    started_at: int
    due: float
    message: str = ""
    status: int = WAITING
    takeover_time: int = 0


@dataclass(slots=True)
class Unassigned:
    """A customer whom a member left behind, with what the member knew of them."""

    key: str
    handover_userid: str
    external_userid: str
    dimission_time: int
    remark: str = ""
    description: str = ""
    tags: list[str] = field(default_factory=list)
    deleted_at: int = 0


@dataclass(slots=True)
class Link:
    """A customer acquisition link (获客链接). `clicks` and `adds` are [day, external_userid]."""

    link_id: str
    agentid: int
    link_name: str
    url: str
    create_time: int
    skip_verify: bool
    mark_source: bool
    users: list[str]
    departments: list[int]
    priority_type: int = 0
    priority_users: list[str] = field(default_factory=list)
    unavailable: bool = False
    clicks: list[list[Any]] = field(default_factory=list)
    adds: list[list[Any]] = field(default_factory=list)


@dataclass(slots=True)
class LinkCustomer:
    """A customer who came by a link. `received` counts their messages to the member."""

    key: str
    link_id: str
    external_userid: str
    userid: str
    state: str
    added_at: int
    received: int = 0


@dataclass(slots=True)
class ChatKey:
    """What a message_from_customer event hands out: good for half an hour."""

    chat_key: str
    pair: str
    created_at: int


@dataclass(slots=True)
class JoinWay:
    """A 加入群聊 code. `next_room` is the number of the next group it opens by itself."""

    config_id: str
    agentid: int
    create_time: int
    settings: dict[str, Any]
    next_room: int


@dataclass(slots=True)
class GroupWelcome:
    """A welcome for customer groups; the owner picks it in the client."""

    template_id: str
    agentid: int
    content: dict[str, Any]
    notify: bool = True


@dataclass(slots=True)
class Strategy:
    """A rule group (规则组) over customers or moments. `nodes` are {type 1, userid} or {type 2, partyid}."""

    strategy_id: int
    kind: str
    parent_id: int
    strategy_name: str
    create_time: int
    admin_list: list[str]
    privilege: dict[str, bool]
    nodes: list[dict[str, Any]]


@dataclass(slots=True)
class Chat:
    """The private chat of a member and a customer: [at, by, text] with `by` customer or guide, latest last.

    `first_day`: the last brand day on which anybody wrote, `guide_day` the member; `waiting_since`: the customer opened
    the chat of that day and has no answer."""

    key: str
    userid: str
    external_userid: str
    messages: list[list[Any]] = field(default_factory=list)
    first_day: int = 0
    guide_day: int = 0
    waiting_since: int = 0


@dataclass(slots=True)
class TempChat:
    """A temporary session opened by a temporary contact way, and its closing words."""

    key: str
    userid: str
    external_userid: str
    until: int
    conclusions: dict[str, Any]


@dataclass(slots=True)
class MemberTag:
    """A tag on members and departments (通讯录标签)."""

    tagid: int
    tagname: str
    userids: list[str]
    partyids: list[int]


@dataclass(slots=True)
class Product:
    """A product of the album (商品图册). `price` in fen."""

    product_id: str
    agentid: int
    description: str
    price: int
    product_sn: str
    attachments: list[dict[str, Any]]
    create_time: int
    deleted: bool = False


@dataclass(slots=True)
class InterceptRule:
    """Words that members of a range are warned of, or may not send."""

    rule_id: str
    rule_name: str
    words: list[str]
    semantics: list[int]
    intercept_type: int
    users: list[str]
    departments: list[int]
    create_time: int
    deleted: bool = False


@dataclass(slots=True)
class PastMember:
    """Somebody who was in a customer group once; statistics of earlier days still count them. `owner` as they left."""

    chat_id: str
    owner: str
    userid: str
    join_time: int
    left_at: int


@dataclass(slots=True)
class PastGroup:
    """A group that was dissolved, and what was said in it."""

    chat_id: str
    owner: str
    create_time: int
    dismissed_at: int
    talk: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Deed:
    """Something a customer did that WeCom's API does not tell: reply, click, order, refusal, …"""

    seq: int
    corpid: str
    kind: str
    external_userid: str
    userid: str
    source_id: str
    at: int
    detail: dict[str, Any] = field(default_factory=dict)


def pair_key(userid: str, external_userid: str) -> str:
    """The name of a pair in tables that are kept per member and customer."""
    return f"{userid}|{external_userid}"
