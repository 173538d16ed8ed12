"""The simulated world: each `Corp` holds the tables of its records (`people`, `records`, `sends`) and the indexes over
them. What is in the tables can be had from here, too."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

from wecom.simulator import records
from wecom.simulator.people import (
    CONTACT_APP,
    CUSTOMIZED_APP,
    DIRECTORY_APP,
    LATE,
    NEVER,
    PLAIN_APP,
    PROMPT,
    ROOT_DEPARTMENT,
    THIRD_PARTY_APP,
    WECHAT_USER,
    WECOM_USER,
    App,
    Callback,
    ContactWay,
    Customer,
    Department,
    Follow,
    Group,
    GroupMember,
    Media,
    Member,
    Tag,
    TagGroup,
    WelcomeCode,
)
from wecom.simulator.sends import MassTask, Moment, MomentJob

__all__ = [
    "CONTACT_APP",
    "CUSTOMIZED_APP",
    "DIRECTORY_APP",
    "LATE",
    "NEVER",
    "PLAIN_APP",
    "PROMPT",
    "ROOT_DEPARTMENT",
    "THIRD_PARTY_APP",
    "WECHAT_USER",
    "WECOM_USER",
    "App",
    "Callback",
    "ContactWay",
    "Corp",
    "Customer",
    "Department",
    "Follow",
    "Group",
    "GroupMember",
    "Media",
    "Member",
    "Tag",
    "TagGroup",
    "WelcomeCode",
    "World",
    "opaque_id",
]


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
        self.renamed: dict[str, str] = {}  # a userid somebody had once → theirs of today
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
        self.tmp_ids: dict[str, str] = {}  # temporary id → external_userid, as far as anybody asked

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

    def all_spelt(self, userids: list[str]) -> list[str]:
        """The userids as they were given to their members, each once."""
        return list(dict.fromkeys(self.spelt(each) for each in userids))

    def now_called(self, userid: str) -> str:
        """The userid of today of whoever had this one when the journal was written."""
        return self.renamed.get(userid, userid)

    def add_member(self, member: Member) -> None:
        """Put a member into the directory."""
        self.members[member.userid] = member
        self.renamed.pop(member.userid, None)
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
