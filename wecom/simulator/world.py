"""Who and what exists in the simulated world. Times are whole Unix seconds; ids look like WeCom's (reference §1).

Every record is a flat dataclass of JSON values, so that a snapshot is a list of rows per table; a `Corp` holds the
tables and the indexes over them.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from wecom.simulator import records
from wecom.simulator.sends import MassTask, Moment, MomentJob

ROOT_DEPARTMENT = 1

CONTACT_APP = "customer_contact"  # self-built and listed in 客户联系 → 可调用接口的应用
PLAIN_APP = "plain"  # self-built without the right to customer data: 48002 there
DIRECTORY_APP = "directory_sync"  # the 通讯录同步 secret
CUSTOMIZED_APP = "customized"  # a 代开发 app, installed from a provider's template
THIRD_PARTY_APP = "third_party"  # a provider's own app

WECHAT_USER, WECOM_USER = 1, 2  # kinds of customers

PROMPT, LATE, NEVER = "prompt", "late", "never"  # a guide's habit of confirming


@dataclass(slots=True)
class App:
    """An application of the corp; its secret buys tokens. `visible` {users, parties}, None: the whole corp; `forbidden`
    are paths it has no right to; `suite_id` names the provider's suite it came from."""

    agentid: int
    name: str
    secret: str
    kind: str
    suite_id: str = ""
    visible: dict[str, list[Any]] | None = None
    forbidden: list[str] = field(default_factory=list)
    unlicensed: list[str] = field(default_factory=list)  # members without an interface licence
    redirect_domain: str = ""  # the trusted domain of web log-in; "": any


@dataclass(slots=True)
class Department:
    """A node of the directory; the root has id 1 and parentid 0."""

    id: int
    name: str
    parentid: int
    order: int
    name_en: str = ""


@dataclass(slots=True)
class Member:
    """An employee. `service` = 客户联系 switched on; `status` 1 active, 2 disabled, 4 not activated, 5 left; `banned`:
    may not take over customers."""

    userid: str
    name: str
    department: list[int]
    position: str
    gender: str
    leader: bool
    service: bool
    habit: str
    status: int = 1
    real_named: bool = True
    banned: bool = False


@dataclass(slots=True)
class Customer:
    """Somebody outside who is known to the corp: `kind` 1 a WeChat user, 2 a WeCom user of `corp_name`. `interests` is
    hidden from WeCom's API; `mass_received` are send times."""

    external_userid: str
    name: str
    gender: int
    avatar: str
    unionid: str | None
    interests: list[str]
    mass_received: list[int] = field(default_factory=list)
    kind: int = WECHAT_USER
    corp_name: str = ""
    position: str = ""


@dataclass(slots=True)
class Follow:
    """The friendship of one member and one customer. `deleted_at` > 0: the customer deleted the member, who still
    sees them; `half`: the customer added a skip-verify member who has not added back; `personal_tags` are names that
    only the member uses; `channels` tells of the 视频号 it came from."""

    seq: int
    userid: str
    external_userid: str
    createtime: int
    add_way: int
    oper_userid: str
    state: str = ""
    remark: str = ""
    description: str = ""
    remark_corp_name: str = ""
    remark_mobiles: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    deleted_at: int = 0
    half: bool = False
    interacted_at: int = 0
    personal_tags: list[str] = field(default_factory=list)
    channels: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class TagGroup:
    """A group of corp tags, or of a rule group's (`strategy_id` > 0); gone when its last tag goes."""

    group_id: str
    name: str
    create_time: int
    order: int
    deleted: bool = False
    strategy_id: int = 0


@dataclass(slots=True)
class Tag:
    """A corp tag. `agentid` is the app that made it, 0 for the console."""

    tag_id: str
    group_id: str
    name: str
    create_time: int
    order: int
    agentid: int = 0
    deleted: bool = False


@dataclass(slots=True)
class GroupMember:
    """A person in a customer group: type 1 member of the corp, 2 external."""

    userid: str
    type: int
    join_time: int
    join_scene: int
    invitor: str = ""
    group_nickname: str = ""
    state: str = ""


@dataclass(slots=True)
class Group:
    """A customer group (客户群). `heir`: who inherits it at present; `transfers`: when it changed hands on the job;
    `talk`: messages per "day|userid"."""

    chat_id: str
    name: str
    owner: str
    create_time: int
    notice: str = ""
    admins: list[str] = field(default_factory=list)
    version: int = 1
    mass_received: list[int] = field(default_factory=list)
    heir: str = ""
    inherited: bool = False
    transfers: list[int] = field(default_factory=list)
    welcome_template: str = ""
    talk: dict[str, int] = field(default_factory=dict)
    members: dict[str, GroupMember] = field(default_factory=dict)

    @property
    def member_version(self) -> str:
        """WeCom's opaque version of the member list: changes with each change of members."""
        return hashlib.md5(f"{self.chat_id}:{self.version}".encode()).hexdigest()


@dataclass(slots=True)
class ContactWay:
    """A 联系我 code. `settings` holds the documented fields as given."""

    config_id: str
    agentid: int
    create_time: int
    settings: dict[str, Any]


@dataclass(slots=True)
class Media:
    """An uploaded file. `permanent` for uploadimg; `attachment_type` 1 moments, 2 album, 0 ordinary."""

    media_id: str
    type: str
    filename: str
    created_at: int
    size: int
    attachment_type: int = 0
    permanent: bool = False
    content: bytes = b""


@dataclass(slots=True)
class WelcomeCode:
    """The right to greet a new friend once, for 20 seconds."""

    code: str
    userid: str
    external_userid: str
    created_at: float
    used: bool = False


@dataclass(slots=True)
class Callback:
    """Where the corp wants its events, and the keys to sign and encrypt them."""

    url: str
    token: str
    aes_key: str


class Corp:
    """One corp: tables by id, and the two indexes over follows."""

    def __init__(self, *, corpid: str, name: str, seed: str, quota_mode: str = "month_days") -> None:
        self.corpid = corpid
        self.name = name
        self.seed = seed
        self.quota_mode = quota_mode
        self.serial = 0
        self.callback: Callback | None = None
        self.trusted_ips: list[str] | None = None  # None: any address may call
        self.apps: list[App] = []
        self.departments: dict[int, Department] = {}
        self.members: dict[str, Member] = {}
        self.left: dict[str, int] = {}  # userid → when that member left the corp
        self.spelling: dict[str, str] = {}  # a userid in lower case → as it is spelt
        self.customers: dict[str, Customer] = {}
        self.by_unionid: dict[str, Customer] = {}
        self.follows_of: dict[str, dict[str, Follow]] = {}  # userid → external_userid → follow, oldest first
        self.followers_of: dict[str, dict[str, Follow]] = {}  # external_userid → userid → follow
        self.tag_groups: dict[str, TagGroup] = {}
        self.tags: dict[str, Tag] = {}
        self.groups: dict[str, Group] = {}
        self.contact_ways: dict[str, ContactWay] = {}
        self.mass_tasks: dict[str, MassTask] = {}
        self.moment_jobs: dict[str, MomentJob] = {}
        self.moments: dict[str, Moment] = {}
        self.media: dict[str, Media] = {}
        self.welcome_codes: dict[str, WelcomeCode] = {}
        self.transfers: dict[str, records.Transfer] = {}
        self.transfers_of: dict[str, list[records.Transfer]] = {}  # external_userid → its transfers, oldest first
        self.given_groups: dict[str, int] = {}  # "owner|day" → groups handed to another
        self.unassigned: dict[str, records.Unassigned] = {}
        self.links: dict[str, records.Link] = {}
        self.link_customers: dict[str, records.LinkCustomer] = {}  # by pair
        self.link_quota: list[list[Any]] = []  # [expire_date, bought, left], earliest to expire first
        self.link_access = True
        self.chat_keys: dict[str, records.ChatKey] = {}
        self.join_ways: dict[str, records.JoinWay] = {}
        self.group_welcomes: dict[str, records.GroupWelcome] = {}
        self.strategies: dict[int, records.Strategy] = {}
        self.products: dict[str, records.Product] = {}
        self.intercept_rules: dict[str, records.InterceptRule] = {}
        self.chats: dict[str, records.Chat] = {}
        self.temp_chats: dict[str, records.TempChat] = {}
        self.member_tags: dict[int, records.MemberTag] = {}
        self.past_members: list[records.PastMember] = []
        self.past_groups: list[records.PastGroup] = []
        self.behaviour: dict[str, dict[str, float]] = {}  # "userid|day" → what the member's day counted
        self.pending_ids: dict[str, int] = {}  # unionid → when its pending_id was handed out
        self.deeds: list[records.Deed] = []

    # -- ids ---------------------------------------------------------------------------------------------------------

    def next_serial(self) -> int:
        """A number not used before in this corp."""
        self.serial += 1
        return self.serial

    def new_id(self, prefix: str, length: int = 32) -> str:
        """A new id of WeCom's look: `prefix` and letters, `length` characters in all; the seed and order decide it."""
        return opaque_id(prefix, f"{self.seed}:{prefix}:{self.next_serial()}", length)

    # -- people ------------------------------------------------------------------------------------------------------

    def member(self, userid: str) -> Member | None:
        """The member of that userid; case does not matter (reference §1)."""
        return self.members.get(userid) or self.members.get(self.spelt(userid))

    def spelt(self, userid: str) -> str:
        """A present or former member's userid as it was given, whatever the case of the letters here."""
        return self.spelling.get(userid.lower(), userid)

    def add_member(self, member: Member) -> None:
        """Put a member into the directory."""
        self.members[member.userid] = member
        self.spelling[member.userid.lower()] = member.userid
        self.follows_of.setdefault(member.userid, {})

    def add_customer(self, customer: Customer) -> None:
        """Make a customer known to the corp."""
        self.customers[customer.external_userid] = customer
        self.followers_of.setdefault(customer.external_userid, {})
        if customer.unionid:
            self.by_unionid[customer.unionid] = customer

    def add_follow(self, follow: Follow) -> None:
        """Enter a friendship in both indexes, which stay in order of `seq`: a re-added one moves to their ends."""
        mine, theirs = self.follows_of[follow.userid], self.followers_of[follow.external_userid]
        mine.pop(follow.external_userid, None)
        mine[follow.external_userid] = follow
        theirs.pop(follow.userid, None)
        theirs[follow.userid] = follow

    def add_transfer(self, transfer: records.Transfer) -> None:
        """Enter a transfer under its id and under its customer."""
        self.transfers[transfer.transfer_id] = transfer
        self.transfers_of.setdefault(transfer.external_userid, []).append(transfer)

    def drop_follow(self, follow: Follow) -> None:
        """Remove a friendship altogether (the member deleted the customer)."""
        self.follows_of[follow.userid].pop(follow.external_userid, None)
        self.followers_of[follow.external_userid].pop(follow.userid, None)

    def follow(self, userid: str, external_userid: str) -> Follow | None:
        """The friendship of the pair as WeCom's API sees it: a half-added one is not there yet."""
        member = self.member(userid)
        found = self.follows_of.get(member.userid, {}).get(external_userid) if member else None
        return found if found and not found.half else None

    def visible_follows(self, userid: str) -> Iterator[Follow]:
        """A member's customers, oldest first, with those who deleted the member, without half-added ones."""
        return (follow for follow in self.follows_of.get(userid, {}).values() if not follow.half)

    def service_members(self) -> Iterator[Member]:
        """Members with 客户联系."""
        return (member for member in self.members.values() if member.service and member.status == 1)

    def below(self, department_id: int) -> list[int]:
        """The department and all below it."""
        found = [department_id]
        for node in found:
            found.extend(each.id for each in self.departments.values() if each.parentid == node)
        return found

    def sees(self, app: App, member: Member) -> bool:
        """Whether a member is inside the app's visible range (可见范围)."""
        if app.visible is None:
            return True
        if member.userid in app.visible["users"]:
            return True
        return any(set(self.below(party)).intersection(member.department) for party in app.visible["parties"])

    def members_of(self, department_id: int, *, recursive: bool) -> list[Member]:
        """Members of a department, with or without those below it."""
        wanted = set(self.below(department_id) if recursive else [department_id])
        return [member for member in self.members.values() if wanted.intersection(member.department)]


class World:
    """All corps of one simulator."""

    def __init__(self, *, seed: int, born_at: int) -> None:
        self.seed = seed
        self.born_at = born_at
        self.corps: dict[str, Corp] = {}

    def corp(self, corpid: str) -> Corp | None:
        """The corp of that id; a plain corpid is case-insensitive."""
        return self.corps.get(corpid) or self.corps.get(corpid.lower())


def opaque_id(prefix: str, text: str, length: int = 32) -> str:
    """`prefix` followed by characters that `text` alone decides, `length` in all (at most 84 after the prefix)."""
    digest = hashlib.blake2b(text.encode(), digest_size=min(64, (length - len(prefix)) * 3 // 4 + 1)).digest()
    return prefix + base64.urlsafe_b64encode(digest).decode().rstrip("=")[: length - len(prefix)]
