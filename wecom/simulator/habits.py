"""What customers do by themselves: answer a message, follow a link, order, chat, join and leave groups, go.

Drawn from seed and ids. What WeCom's API does not tell is kept as deeds (`/_sim/deeds`), for whoever plays the shop.
"""

from __future__ import annotations

import random
from itertools import islice
from typing import Any

from wecom.simulator import behaviour, names, relations
from wecom.simulator.agenda import act
from wecom.simulator.engine import Engine
from wecom.simulator.records import Deed, pair_key
from wecom.simulator.seed import make_customer
from wecom.simulator.world import LATE, NEVER, Corp, Follow, Group, Member, opaque_id

MINUTE, HOUR, DAY = 60, 3600, 86_400
OF_INTEREST = 3.0  # how much likelier somebody opens what they care about
MOST_AT_ONCE = 5000

Attachments = list[dict[str, Any]]


def note(
    engine: Engine, corp: Corp, kind: str, external_userid: str, userid: str, source_id: str, **detail: Any
) -> None:
    """Write down what a customer did."""
    seq = len(corp.deeds) + 1
    corp.deeds.append(Deed(seq, corp.corpid, kind, external_userid, userid, source_id, engine.now(), detail))


def receive(
    engine: Engine,
    corp: Corp,
    rng: random.Random,
    *,
    userid: str,
    external_userid: str,
    source_id: str,
    content: tuple[str, Attachments],
) -> None:
    """A customer got a message from a guide: perhaps they will write back, or open what is in it."""
    if rng.random() < engine.switches.reply_rate:
        engine.later(corp, rng.uniform(1, 300) * MINUTE, "customer_writes", userid, external_userid)
    consider(engine, corp, rng, userid=userid, external_userid=external_userid, source_id=source_id, content=content)


def consider(
    engine: Engine,
    corp: Corp,
    rng: random.Random,
    *,
    userid: str,
    external_userid: str,
    source_id: str,
    content: tuple[str, Attachments],
) -> None:
    """A customer saw a message or a Moment: perhaps they open its link or mini-program."""
    text, attachments = content
    place = next((at for at, each in enumerate(attachments) if each.get("msgtype") in ("link", "miniprogram")), None)
    if place is None:
        return
    title = str((attachments[place].get(attachments[place]["msgtype"]) or {}).get("title", ""))
    interests = corp.customers[external_userid].interests
    liked = any(interest in text or interest in title for interest in interests)
    if rng.random() < engine.switches.click_rate * (OF_INTEREST if liked else 1.0):
        engine.later(corp, rng.uniform(1, 240) * MINUTE, "customer_clicks", userid, external_userid, source_id)


@act("customer_clicks")
def customer_clicks(engine: Engine, corp: Corp, userid: str, external_userid: str, source_id: str) -> None:
    """The customer opens what was sent; some order."""
    note(engine, corp, "click", external_userid, userid, source_id)
    rng = engine.draw("order", source_id, external_userid)
    if rng.random() < engine.switches.order_rate:
        engine.later(corp, rng.uniform(2, 120) * MINUTE, "customer_orders", userid, external_userid, source_id)


@act("customer_orders")
def customer_orders(engine: Engine, corp: Corp, userid: str, external_userid: str, source_id: str) -> None:
    """The customer buys something."""
    fen = engine.draw("amount", source_id, external_userid).randrange(29, 700) * 100
    note(engine, corp, "order", external_userid, userid, source_id, amount_fen=fen)


@act("customer_writes")
def customer_writes(engine: Engine, corp: Corp, userid: str, external_userid: str) -> None:
    """The customer writes to the guide, who answers by habit."""
    follow = corp.follow(userid, external_userid)
    member = corp.member(userid)
    if follow is None or follow.deleted_at or member is None:
        return
    rng = engine.draw("words", userid, external_userid, str(engine.now()))
    behaviour.say(engine, corp, follow, by=behaviour.CUSTOMER, text=rng.choice(list(names.QUESTIONS)))
    note(engine, corp, "reply", external_userid, userid, "")
    delay = _answers_after(member, rng)
    if delay is not None:
        engine.later(corp, delay, "guide_answers", userid, external_userid)


@act("guide_answers")
def guide_answers(engine: Engine, corp: Corp, userid: str, external_userid: str) -> None:
    """The guide answers."""
    follow = corp.follow(userid, external_userid)
    if follow is None or follow.deleted_at or corp.member(userid) is None:
        return
    asked = corp.chats[pair_key(follow.userid, external_userid)].messages[-1][2]
    behaviour.say(engine, corp, follow, by=behaviour.GUIDE, text=names.QUESTIONS.get(asked, "好的"))


def _answers_after(member: Member, rng: random.Random) -> float | None:
    if member.habit == NEVER:
        return None
    return rng.uniform(1, 8) * HOUR if member.habit == LATE else rng.uniform(1, 25) * MINUTE


# -- of their own accord -----------------------------------------------------------------------------------------------


def begin_days(engine: Engine) -> None:
    """Let the customers of every corp live, an hour at a time. Does nothing while `daily_rate` is 0 or if they do."""
    if engine.switches.daily_rate <= 0:
        return
    living = {corpid for _, _, corpid, kind, _ in engine.agenda.heap if kind == "hour_passes"}
    for corp in engine.world.corps.values():
        if corp.corpid not in living:
            _plan_hour(engine, corp, 1)


@act("hour_passes", recurring=True)
def hour_passes(engine: Engine, corp: Corp, number: str, *_: str) -> None:
    """Some customers do something; the next hour follows. Ends when `daily_rate` is 0."""
    rate = engine.switches.daily_rate
    if rate <= 0:
        return
    rng = engine.draw("hour", corp.corpid, number)
    expected = len(corp.customers) * rate / 24
    count = int(expected) + (rng.random() < expected % 1)
    followed = [mine for mine in corp.follows_of.values() if mine]
    weights = [len(mine) for mine in followed]
    for mine in rng.choices(followed, weights, k=min(count, MOST_AT_ONCE)) if followed else []:
        follow = next(islice(mine.values(), rng.randrange(len(mine)), None)) if mine else None
        if follow is not None and not follow.half and not follow.deleted_at:
            _live(engine, corp, rng, follow)
    _plan_hour(engine, corp, int(number) + 1)


def _plan_hour(engine: Engine, corp: Corp, number: int) -> None:
    """At the pace of people, but an hour is an hour for those that the clock leapt over. No hour is in arrears."""
    now, present = engine.clock.now(), engine.clock.present()
    due = now + HOUR if present - now >= HOUR else max(present, now + engine.clock.human(HOUR))
    engine.agenda.schedule(due, corp.corpid, "hour_passes", str(number))


def _live(engine: Engine, corp: Corp, rng: random.Random, follow: Follow) -> None:
    """One deed of one customer: mostly they write; some join or leave a group, bring a friend, go, or are deleted."""
    draw = rng.random()
    userid, external_userid = follow.userid, follow.external_userid
    if draw < 0.6:
        customer_writes(engine, corp, userid, external_userid)
    elif draw < 0.74:
        _join_some_group(engine, corp, rng, follow)
    elif draw < 0.8:
        _leave_some_group(engine, corp, external_userid)
    elif draw < 0.84:
        note(engine, corp, "leave", external_userid, userid, "")
        relations.customer_leaves(engine, corp, userid, external_userid)
    elif draw < 0.86:
        note(engine, corp, "deleted", external_userid, userid, "")
        relations.member_deletes(engine, corp, follow)
    elif draw < 0.92:
        _bring_a_friend(engine, corp, rng, corp.members[userid])
    else:
        fen = rng.randrange(29, 700) * 100
        note(engine, corp, "order", external_userid, userid, "", amount_fen=fen)


def _groups_of(corp: Corp, userid: str) -> list[Group]:
    return [group for group in corp.groups.values() if group.owner == userid]


def _join_some_group(engine: Engine, corp: Corp, rng: random.Random, follow: Follow) -> None:
    full = engine.switches.group_full_at
    open_ones = [group for group in _groups_of(corp, follow.userid) if len(group.members) < full]
    if open_ones:
        group = rng.choice(open_ones)
        note(engine, corp, "join_group", follow.external_userid, follow.userid, group.chat_id)
        relations.join_group(engine, corp, group, follow.external_userid)


def _leave_some_group(engine: Engine, corp: Corp, external_userid: str) -> None:
    group = next((each for each in corp.groups.values() if external_userid in each.members), None)
    if group is not None:
        note(engine, corp, "leave_group", external_userid, group.owner, group.chat_id)
        relations.leave_group(engine, corp, group, external_userid)


def _bring_a_friend(engine: Engine, corp: Corp, rng: random.Random, member: Member) -> None:
    number = 10_000_000 + corp.next_serial()
    unionid = opaque_id("o", f"{corp.seed}:visitor:{number}", 28)
    customer = make_customer(corp, rng, number=number, unionid=unionid)
    corp.add_customer(customer)
    note(engine, corp, "add", customer.external_userid, member.userid, "")
    relations.befriend(engine, corp, member=member, customer=customer, add_way=1)
