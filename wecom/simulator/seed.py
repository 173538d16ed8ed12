"""Makes a world from a number: the same seed and sizes give the same people, ids and habits."""

from __future__ import annotations

import random
from dataclasses import dataclass

from wecom.simulator import behaviour, names
from wecom.simulator.records import MemberTag
from wecom.simulator.world import (
    CONTACT_APP,
    DIRECTORY_APP,
    LATE,
    NEVER,
    PLAIN_APP,
    PROMPT,
    ROOT_DEPARTMENT,
    App,
    Corp,
    Customer,
    Department,
    Follow,
    Group,
    GroupMember,
    Member,
    Tag,
    TagGroup,
    World,
    opaque_id,
)

DAY = 86_400
HISTORY_DAYS = 400
TWO_GUIDES = 0.12
ONE_WAY = 0.04
ANSWERED = 0.85
TALKATIVE = 0.1
LINK_QUOTA = 1000
WITH_UNIONID = 0.92
LATE_SHARE = 0.2
CUSTOMERS_PER_GROUP = 250
ADD_WAYS = [1, 1, 1, 1, 3, 4, 2, 6, 16, 10, 0]


@dataclass(frozen=True)
class Sizes:
    """How large a corp is, and which share of its guides confirm at all."""

    guides: int
    contacts: int
    confirm_rate: float = 0.88


def make_world(*, seed: int, guides: int, contacts: int, corps: int, confirm_rate: float, now: int) -> World:
    """A world of `corps` corps; each further corp has a quarter of the guides and a tenth of the contacts.

    `now` (Unix seconds) is the end of the 400 days over which friendships are spread."""
    world = World(seed=seed, born_at=now)
    for index in range(corps):
        small = index > 0
        sizes = Sizes(
            guides=max(1, guides // 4) if small else guides,
            contacts=max(1, contacts // 10) if small else contacts,
            confirm_rate=confirm_rate,
        )
        corp = _make_corp(seed=seed, index=index, sizes=sizes, now=now)
        world.corps[corp.corpid] = corp
    return world


def _make_corp(*, seed: int, index: int, sizes: Sizes, now: int) -> Corp:
    key = f"orchard-simulator:{seed}:{index}"
    rng = random.Random(key)
    name = names.CORPS[index % len(names.CORPS)]
    corp = Corp(corpid="ww" + rng.randbytes(8).hex(), name=name, seed=key)
    for agentid, title, kind in (
        (1000002, "果园客户联系", CONTACT_APP),
        (1000003, "果园小助手", PLAIN_APP),
        (0, "通讯录同步", DIRECTORY_APP),
    ):
        corp.apps.append(App(agentid, title, opaque_id("", f"{key}:secret:{kind}", 43), kind))
    _make_directory(corp, rng, sizes)
    _make_tags(corp, now)
    _make_customers(corp, rng, sizes, now)
    _make_groups(corp, rng, now)
    _make_past(corp, key, now)
    return corp


def _make_past(corp: Corp, key: str, now: int) -> None:
    """What the statistics tell of the days before: who was added and left, some chats, some talk in groups; member
    tags; a bought quota of acquisitions. Draws of its own, so that people stay the same whatever is added here."""
    rng = random.Random(f"{key}:past")
    for mine in corp.follows_of.values():
        for follow in mine.values():
            behaviour.count(corp, follow.userid, follow.createtime, "new_contact_cnt")
            if follow.oper_userid == follow.userid:
                behaviour.count(corp, follow.userid, follow.createtime, "new_apply_cnt")
            if follow.deleted_at:
                behaviour.count(corp, follow.userid, follow.deleted_at, "negative_feedback_cnt")
            counts = corp.behaviour.setdefault(f"{follow.userid}|{behaviour.day_of(follow.interacted_at)}", {})
            chat = {"chat_cnt": 1, "message_cnt": 1 + rng.randrange(6), "opened": 1}
            if rng.random() < ANSWERED:
                chat |= {"answered": 1, "answer_seconds": 60 * rng.randrange(1, 240)}
            for what, amount in chat.items():
                counts[what] = counts.get(what, 0) + amount
    for group in corp.groups.values():
        for person in group.members.values():
            if rng.random() < TALKATIVE:
                behaviour.say_in_group(group, person.userid, at=rng.randrange(person.join_time, now))
    leaders = [member.userid for member in corp.members.values() if member.leader]
    corp.member_tags[1] = MemberTag(1, "店长", leaders, [])
    corp.link_quota = [[now + 200 * DAY, LINK_QUOTA, LINK_QUOTA]]


def _make_directory(corp: Corp, rng: random.Random, sizes: Sizes) -> None:
    """Root, six stores, guides spread evenly over them (the first leads), one member of head office."""
    corp.departments[ROOT_DEPARTMENT] = Department(ROOT_DEPARTMENT, corp.name, 0, 100)
    for offset, store in enumerate(names.STORES):
        corp.departments[2 + offset] = Department(2 + offset, store, ROOT_DEPARTMENT, 90 - offset)
    never = set(rng.sample(range(sizes.guides), round(sizes.guides * (1 - sizes.confirm_rate))))
    for number in range(sizes.guides):
        (surname, spelled), (given, given_spelled) = rng.choice(names.SURNAMES), rng.choice(names.GIVEN)
        habit = NEVER if number in never else LATE if rng.random() < LATE_SHARE else PROMPT
        leader = number < len(names.STORES)
        corp.add_member(
            Member(
                userid=f"{spelled}{given_spelled}{number + 1:03d}",
                name=surname + given,
                department=[2 + number % len(names.STORES)],
                position="店长" if leader else "导购",
                gender=rng.choice("122"),
                leader=leader,
                service=True,
                habit=habit,
            )
        )
    corp.add_member(Member("yunying", "运营小助手", [ROOT_DEPARTMENT], "运营", "0", False, False, NEVER))


def _make_tags(corp: Corp, now: int) -> None:
    created = now - HISTORY_DAYS * DAY
    for order, (title, tags) in enumerate(names.TAG_GROUPS):
        group = TagGroup(corp.new_id("et"), title, created, len(names.TAG_GROUPS) - order)
        corp.tag_groups[group.group_id] = group
        for place, tag_name in enumerate(tags):
            tag = Tag(corp.new_id("et"), group.group_id, tag_name, created, len(tags) - place)
            corp.tags[tag.tag_id] = tag


def _make_customers(corp: Corp, rng: random.Random, sizes: Sizes, now: int) -> None:
    guides = list(corp.service_members())
    weights = [rng.uniform(0.5, 1.5) for _ in guides]
    first = rng.choices(range(len(guides)), weights, k=sizes.contacts)
    joined = sorted(now - 60 - int(rng.random() * HISTORY_DAYS * DAY) for _ in range(sizes.contacts))
    tag_ids = list(corp.tags)
    follows: list[Follow] = []
    for number, (place, createtime) in enumerate(zip(first, joined, strict=True)):
        guide = guides[place]
        customer = make_customer(corp, rng, number=number)
        corp.add_customer(customer)
        follows.append(_make_follow(rng, guide, customer, createtime, now, tag_ids))
        if len(guides) > 1 and rng.random() < TWO_GUIDES:
            other = guides[(place + 1 + rng.randrange(len(guides) - 1)) % len(guides)]
            later = rng.randrange(createtime, now - 30)
            follows.append(_make_follow(rng, other, customer, later, now, tag_ids))
    for follow in sorted(follows, key=lambda each: each.createtime):
        follow.seq = corp.next_serial()
        corp.add_follow(follow)


def make_customer(
    corp: Corp, rng: random.Random, *, number: int, name: str | None = None, unionid: str | None = None
) -> Customer:
    """A WeChat user with a nickname, perhaps a unionid (92 %), and hidden interests. Not yet entered in the corp."""
    key = f"{corp.seed}:customer:{number}"
    if unionid is None and rng.random() < WITH_UNIONID:
        unionid = opaque_id("o", f"{key}:unionid", 28)
    interested = rng.random() < 0.6
    return Customer(
        external_userid=opaque_id("wm", key, 32),
        name=name or _nickname(rng),
        gender=rng.choice((0, 1, 2, 2, 2, 2)),
        avatar=f"http://wx.qlogo.cn/mmhead/{number:08d}/0",
        unionid=unionid,
        interests=rng.sample(names.INTERESTS, rng.choice((1, 1, 1, 2))) if interested else [],
    )


def _make_follow(
    rng: random.Random,
    guide: Member,
    customer: Customer,
    createtime: int,
    now: int,
    tag_ids: list[str],
) -> Follow:
    follow = Follow(
        seq=0,
        userid=guide.userid,
        external_userid=customer.external_userid,
        createtime=createtime,
        add_way=rng.choice(ADD_WAYS),
        oper_userid=customer.external_userid if rng.random() < 0.8 else guide.userid,
        interacted_at=rng.randrange(createtime, now),
    )
    if rng.random() < 0.15:
        follow.state = f"store_{guide.department[0]}"
    if rng.random() < 0.35:
        follow.remark = f"{customer.name[:12]}-{names.STORES[guide.department[0] - 2][:3]}"
    if rng.random() < 0.06:
        follow.remark_mobiles = [f"13{rng.randrange(10**9):09d}"]
    if rng.random() < 0.3:
        follow.tags = rng.sample(tag_ids, rng.choice((1, 1, 2)))
    if rng.random() < ONE_WAY:
        follow.deleted_at = rng.randrange(createtime, now)
    return follow


def _make_groups(corp: Corp, rng: random.Random, now: int) -> None:
    """About one group per 250 customers, each of customers of its owner."""
    guides = [guide for guide in corp.service_members() if corp.follows_of[guide.userid]]
    for number in range(max(1, round(len(corp.customers) / CUSTOMERS_PER_GROUP))):
        if not guides:
            return
        owner = guides[number % len(guides)]
        created = now - rng.randrange(5 * DAY, 300 * DAY)
        title = f"{names.GROUP_NAMES[number % len(names.GROUP_NAMES)]}{number + 1}"
        group = Group(corp.new_id("wr"), title, owner.userid, created)
        group.members[owner.userid] = GroupMember(owner.userid, 1, created, 1)
        mine = list(corp.follows_of[owner.userid])
        for external_userid in rng.sample(mine, min(len(mine), rng.randrange(40, 120))):
            scene = rng.choice((1, 2, 3, 3))
            joined = rng.randrange(created, now)
            group.members[external_userid] = GroupMember(
                external_userid, 2, joined, scene, invitor=owner.userid if scene == 1 else ""
            )
        corp.groups[group.chat_id] = group


def _nickname(rng: random.Random) -> str:
    draw = rng.random()
    if draw < 0.12:
        return rng.choice(names.NICK_PLAIN)
    if draw < 0.3:
        return rng.choice(names.SURNAMES)[0] + rng.choice(names.GIVEN)[0]
    return rng.choice(names.NICK_HEADS) + rng.choice(names.NICK_TAILS)
