"""Customer acquisition links (获客助手, reference §10): clicks, customers, quota, and the events of §21.4."""

from __future__ import annotations

import random

from wecom.simulator import relations
from wecom.simulator.agenda import act
from wecom.simulator.behaviour import day_of
from wecom.simulator.engine import Engine
from wecom.simulator.errors import Refused
from wecom.simulator.outbound import EventField
from wecom.simulator.records import Link, LinkCustomer, pair_key
from wecom.simulator.world import Corp, Customer, Member, WelcomeCode

EVENT = "customer_acquisition"
ADD_WAY_LINK = 16
STATE_BYTES = 64
LOW = 20
DAY = 86_400
REMIND_DAYS = (14, 7, 3, 2, 1)
ALL_FOLLOWERS, LISTED = 1, 2


def members_behind(corp: Corp, users: list[str], departments: list[int]) -> list[str]:
    """The userids with 客户联系 in a range, each once."""
    found = [member.userid for each in users if (member := corp.member(each)) is not None and member.service]
    for department in departments:
        found += [each.userid for each in corp.members_of(department, recursive=True) if each.service]
    return list(dict.fromkeys(found))


def cut_state(state: str) -> str:
    """A customer_channel as WeCom keeps it: at most 64 bytes of it."""
    return state.encode()[:STATE_BYTES].decode("utf-8", "ignore")


def balance(corp: Corp) -> int:
    """What is left of the quota."""
    return sum(left for _, _, left in corp.link_quota)


def top_up(engine: Engine, corp: Corp, *, amount: int, expire_date: int) -> None:
    """The corp buys quota. Events when there was none, and before it expires."""
    before = balance(corp)
    corp.link_quota.append([expire_date, amount, amount])
    corp.link_quota.sort(key=lambda pack: int(pack[0]))
    if before == 0 and amount > 0:
        engine.emit(corp, EVENT, "balance_increased", [])
    plan_reminders(engine, corp, expire_date)


def plan_reminders(engine: Engine, corp: Corp, expire_date: int) -> None:
    """Say so before a pack of quota expires, and let it expire."""
    for days in REMIND_DAYS:
        if expire_date - days * DAY > engine.clock.now():
            engine.agenda.schedule(expire_date - days * DAY, corp.corpid, "quota_expires_soon", str(expire_date))
    engine.agenda.schedule(expire_date, corp.corpid, "quota_expires", str(expire_date))


def plan_all(engine: Engine) -> None:
    """Of a new world: what was bought before it began expires, too."""
    for corp in engine.world.corps.values():
        for expire_date, _, _ in corp.link_quota:
            plan_reminders(engine, corp, int(expire_date))


@act("quota_expires_soon", recurring=True)
def expires_soon(engine: Engine, corp: Corp, expire_date: str) -> None:
    """Tell of a pack that expires within days."""
    left = sum(pack[2] for pack in corp.link_quota if pack[0] == int(expire_date))
    if left:
        body: list[EventField] = [("ExpireTime", int(expire_date)), ("ExpireQuotaNum", left)]
        engine.emit(corp, EVENT, "quota_expire_soon", body)


@act("quota_expires", recurring=True)
def expires(engine: Engine, corp: Corp, expire_date: str) -> None:
    """The pack is gone."""
    before = balance(corp)
    corp.link_quota = [pack for pack in corp.link_quota if pack[0] > int(expire_date)]
    _tell_balance(engine, corp, before)


def spend_to(engine: Engine, corp: Corp, left: int) -> None:
    """Use up quota until `left` remain (for tests of a low balance)."""
    before = balance(corp)
    _take(corp, max(0, before - left))
    _tell_balance(engine, corp, before)


def _take(corp: Corp, amount: int) -> None:
    for pack in corp.link_quota:
        used = min(pack[2], amount)
        pack[2] -= used
        amount -= used


def _tell_balance(engine: Engine, corp: Corp, before: int) -> None:
    now = balance(corp)
    if before > 0 and now == 0:
        engine.emit(corp, EVENT, "balance_exhausted", [])
    elif before >= LOW > now:
        engine.emit(corp, EVENT, "balance_low", [])


def choose(corp: Corp, link: Link, customer: Customer, rng: random.Random) -> Member:
    """Whom the link leads to: by priority somebody who follows the customer already, else anyone of the range.

    Raises Refused 84074 when nobody is behind it, 45009 when no quota is left."""
    behind = members_behind(corp, link.users, link.departments)
    if not behind:
        raise Refused(84074, "nobody is behind this link")
    if balance(corp) <= 0:
        raise Refused(45009, "no acquisition quota is left")
    followers = [each.userid for each in corp.followers_of[customer.external_userid].values() if not each.half]
    if link.priority_type == LISTED:
        followers = [userid for userid in followers if userid in link.priority_users]
    if link.priority_type and followers:
        return corp.members[followers[0]]
    return corp.members[rng.choice(behind)]


def click(engine: Engine, corp: Corp, link: Link, customer: Customer, state: str = "") -> None:
    """The customer opens the link."""
    link.clicks.append([day_of(engine.now()), customer.external_userid])
    if engine.switches.open_profile_events:
        engine.emit(corp, EVENT, "open_profile", _about(link, state))


def _about(link: Link, state: str) -> list[EventField]:
    body: list[EventField] = [("LinkId", link.link_id)]
    return [*body, ("State", state)] if state else body


def add(
    engine: Engine, corp: Corp, link: Link, *, member: Member, customer: Customer, state: str
) -> tuple[bool, WelcomeCode | None]:
    """The customer asks to be added. (done, welcome code): without skip_verify the member approves by habit."""
    engine.emit(corp, EVENT, "friend_request", _about(link, state))
    if link.skip_verify:
        return True, _approved(engine, corp, link, member, customer, state)
    delay = relations.approves_after(engine, member, link.link_id, customer.external_userid)
    if delay is not None:
        arguments = (link.link_id, member.userid, customer.external_userid, state)
        engine.later(corp, delay, "approve_request", *arguments)
    return False, None


@act("approve_request")
def approve(engine: Engine, corp: Corp, link_id: str, userid: str, external_userid: str, state: str) -> None:
    """The member approves somebody who came by a link."""
    link, member = corp.links.get(link_id), corp.member(userid)
    if link is not None and member is not None and external_userid in corp.customers:
        _approved(engine, corp, link, member, corp.customers[external_userid], state)


def _approved(
    engine: Engine, corp: Corp, link: Link, member: Member, customer: Customer, state: str
) -> WelcomeCode | None:
    before = corp.follow(member.userid, customer.external_userid)
    if before is not None and not before.deleted_at:
        return None
    code = relations.befriend(engine, corp, member=member, customer=customer, state=state, add_way=ADD_WAY_LINK)
    key = pair_key(member.userid, customer.external_userid)
    now = engine.now()
    corp.link_customers[key] = LinkCustomer(key, link.link_id, customer.external_userid, member.userid, state, now)
    link.adds.append([day_of(now), customer.external_userid])
    left = balance(corp)
    _take(corp, 1)
    _tell_balance(engine, corp, left)
    return code


def check_all(engine: Engine, corp: Corp) -> None:
    """Tell of links behind which nobody is any more."""
    for link in corp.links.values():
        unavailable = not members_behind(corp, link.users, link.departments)
        if unavailable and not link.unavailable:
            engine.emit(corp, EVENT, "link_unavailable", [("LinkId", link.link_id)])
        link.unavailable = unavailable
