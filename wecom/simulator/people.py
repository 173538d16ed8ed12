"""Records of who and what a corp has: apps, members, customers, friendships, tags, groups, codes, files.

Flat dataclasses of JSON values, so that a snapshot is a list of rows per table. Times are whole Unix seconds; ids look
like WeCom's (reference §1).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

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
