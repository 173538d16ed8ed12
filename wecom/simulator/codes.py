"""Contact ways in use (「联系我」, reference §9): whom a code leads to, who must approve, temporary sessions."""

from __future__ import annotations

from typing import Any

from wecom.simulator import relations
from wecom.simulator.agenda import act
from wecom.simulator.engine import Engine
from wecom.simulator.errors import Refused
from wecom.simulator.records import TempChat, pair_key
from wecom.simulator.world import ContactWay, Corp, Customer, Member


def has_expired(way: ContactWay, now: int) -> bool:
    """Whether a temporary code's time is over."""
    return bool(way.settings["is_temp"]) and now > way.create_time + int(way.settings["expires_in"])


def members_behind(corp: Corp, settings: dict[str, Any]) -> list[str]:
    """The userids a scan of a code with these settings can lead to."""
    found = [member.userid for each in settings["user"] if (member := corp.member(each)) is not None]
    for department in settings["party"]:
        below = corp.members_of(department, recursive=True)
        found += [each.userid for each in below if each.service and each.status == 1]
    return list(dict.fromkeys(found))


def usable(corp: Corp, config_id: str, customer: Customer, *, now: int) -> ContactWay:
    """The code, if this customer may use it. Raises Refused 41044."""
    way = corp.contact_ways.get(config_id)
    if way is None or has_expired(way, now):
        raise Refused(41044, "config_id: this code is invalid")
    if way.settings["is_temp"] and way.settings["unionid"] not in ("", customer.unionid):
        raise Refused(41044, "config_id: this code is for somebody else")
    return way


def choose(engine: Engine, corp: Corp, way: ContactWay, customer: Customer) -> Member:
    """Whom a code leads to: at random one who is not full; an exclusive one to whom the customer knows already.

    Raises Refused 84074 when nobody is behind it."""
    userids = members_behind(corp, way.settings)
    if not userids:
        raise Refused(84074, "config_id: nobody is behind this code")
    most = engine.switches.member_contact_limit
    userids = [each for each in userids if not most or len(corp.follows_of[each]) < most] or userids
    if way.settings["is_exclusive"]:
        for userid in userids:
            if corp.follow(userid, customer.external_userid):
                return corp.members[userid]
    return corp.members[engine.rng.choice(userids)]


def ask(engine: Engine, corp: Corp, way: ContactWay, member: Member, customer: Customer, state: str, how: int) -> None:
    """The customer asks a member who wants to be asked (`skip_verify` false) to be added; `how`: the add_way."""
    delay = relations.approves_after(engine, member, way.config_id, customer.external_userid)
    if delay is not None:
        arguments = (way.config_id, member.userid, customer.external_userid, state, str(how))
        engine.later(corp, delay, "approve_scan", *arguments)


@act("approve_scan")
def approve(
    engine: Engine, corp: Corp, config_id: str, userid: str, external_userid: str, state: str, how: str
) -> None:
    """The member approves somebody who came by a code."""
    member = corp.member(userid)
    if member is not None:
        customer = corp.customers[external_userid]
        relations.befriend(engine, corp, member=member, customer=customer, state=state, add_way=int(how))
        used(engine, corp, config_id, member, customer)


def used(engine: Engine, corp: Corp, config_id: str, member: Member, customer: Customer) -> None:
    """Somebody was added by the code: a temporary one is good for one person, and their session ends by itself."""
    way = corp.contact_ways.get(config_id)
    if way is None or not way.settings["is_temp"]:
        return
    del corp.contact_ways[config_id]
    key = pair_key(member.userid, customer.external_userid)
    until = engine.now() + int(way.settings["chat_expires_in"])
    corp.temp_chats[key] = TempChat(key, member.userid, customer.external_userid, until, way.settings["conclusions"])
    engine.agenda.schedule(until, corp.corpid, "end_temp_chat", member.userid, customer.external_userid)


@act("end_temp_chat", recurring=True)
def let_temp_chat_end(engine: Engine, corp: Corp, userid: str, external_userid: str) -> None:
    """The time of a session is over."""
    session = corp.temp_chats.get(pair_key(userid, external_userid))
    if session is not None and session.until <= engine.clock.now() + 1:
        end_temp_chat(engine, corp, userid, external_userid)


def end_temp_chat(engine: Engine, corp: Corp, userid: str, external_userid: str) -> bool:
    """The session ends with its closing words; the two are no friends from now on. False when there is none."""
    session = corp.temp_chats.pop(pair_key(userid, external_userid), None)
    if session is None:
        return False
    text = str((session.conclusions.get("text") or {}).get("content", ""))
    parts = [kind for kind in ("image", "link", "miniprogram") if session.conclusions.get(kind)][:1]
    if text or parts:
        attachments = [{"msgtype": kind, kind: session.conclusions[kind]} for kind in parts]
        engine.journal.record(
            corpid=corp.corpid,
            kind="notice",
            external_userid=external_userid,
            sender=userid,
            at=engine.now(),
            fingerprint=engine.journal.keep(text, attachments),
        )
    follow = corp.follow(userid, external_userid)
    if follow is not None:
        corp.drop_follow(follow)
    return True
