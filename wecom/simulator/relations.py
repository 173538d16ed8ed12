"""Friendships and groups: what changes them, and the events that tell the corp (reference §7, §11, §21)."""

from __future__ import annotations

from typing import Any

from wecom.simulator import behaviour
from wecom.simulator.agenda import act
from wecom.simulator.engine import Engine
from wecom.simulator.outbound import EventField
from wecom.simulator.records import PastGroup, PastMember, pair_key
from wecom.simulator.world import (
    NEVER,
    WECHAT_USER,
    Corp,
    Customer,
    Follow,
    Group,
    GroupMember,
    Member,
    WelcomeCode,
)

CONTACT_EVENT, CHAT_EVENT = "change_external_contact", "change_external_chat"
WELCOME_SECONDS = 20
NOTED = ("remark", "description", "remark_corp_name", "remark_mobiles", "tags", "personal_tags")


# -- friendships -------------------------------------------------------------------------------------------------------


def befriend(
    engine: Engine,
    corp: Corp,
    *,
    member: Member,
    customer: Customer,
    state: str = "",
    add_way: int = 1,
    half: bool = False,
    by_member: bool = False,
    channels: dict[str, Any] | None = None,
) -> WelcomeCode | None:
    """The customer adds the member (or the member asked, `by_member`). Event with State and, for those who were never
    friends, a WelcomeCode."""
    before = corp.follows_of[member.userid].get(customer.external_userid)
    if before is not None and not before.deleted_at:
        return None
    now = engine.now()
    follow = Follow(
        seq=corp.next_serial(),
        userid=member.userid,
        external_userid=customer.external_userid,
        createtime=now,
        add_way=add_way,
        oper_userid=member.userid if by_member else customer.external_userid,
        state=state,
        half=half,
        interacted_at=now,
        channels=channels or {},
    )
    if before is not None:  # the member still had them, with what was noted of them
        for name in NOTED:
            setattr(follow, name, getattr(before, name))
    corp.add_follow(follow)
    if by_member:
        behaviour.count(corp, member.userid, now, "new_apply_cnt")
    if not half:
        behaviour.count(corp, member.userid, now, "new_contact_cnt")
    code = None
    if before is None and not engine.switches.console_welcome and customer.kind == WECHAT_USER:
        code = _new_welcome_code(engine, corp, member, customer)
    body: list[EventField] = [("UserID", member.userid), ("ExternalUserID", customer.external_userid)]
    body += [("State", state)] if state else []
    body += [("WelcomeCode", code.code)] if code else []
    engine.emit(corp, CONTACT_EVENT, "add_half_external_contact" if half else "add_external_contact", body)
    return code


def approves_after(engine: Engine, member: Member, source_id: str, external_userid: str) -> float | None:
    """How long, in human seconds, a member by habit takes to approve somebody who asks to be added; None: for ever."""
    if member.habit == NEVER:
        return None
    return engine.draw("approve", source_id, external_userid).uniform(1, 60) * 60


def accept(engine: Engine, corp: Corp, follow: Follow) -> None:
    """The member adds a half-added customer back. The WelcomeCode comes again only if it was not used."""
    if not follow.half:
        return
    follow.half = False
    behaviour.count(corp, follow.userid, engine.now(), "new_contact_cnt")
    body: list[EventField] = [("UserID", follow.userid), ("ExternalUserID", follow.external_userid)]
    body += [("State", follow.state)] if follow.state else []
    engine.emit(corp, CONTACT_EVENT, "add_external_contact", body + _unused_code(engine, corp, follow))


@act("customer_leaves")
def customer_leaves(engine: Engine, corp: Corp, userid: str, external_userid: str) -> None:
    """The customer deletes the member, who still sees them in every list."""
    follow = corp.follow(userid, external_userid)
    if follow is None or follow.deleted_at:
        return
    follow.deleted_at = engine.now()
    behaviour.count(corp, follow.userid, follow.deleted_at, "negative_feedback_cnt")
    pair: list[EventField] = [("UserID", userid), ("ExternalUserID", external_userid)]
    engine.emit(corp, CONTACT_EVENT, "del_follow_user", pair)
    came = corp.link_customers.get(pair_key(follow.userid, external_userid))
    if came is not None:
        engine.emit(corp, "customer_acquisition", "del_follow_user", [*pair, ("LinkId", came.link_id)])


def member_deletes(engine: Engine, corp: Corp, follow: Follow) -> None:
    """The member deletes the customer: the friendship is gone."""
    corp.drop_follow(follow)
    pair: list[EventField] = [("UserID", follow.userid), ("ExternalUserID", follow.external_userid)]
    engine.emit(corp, CONTACT_EVENT, "del_external_contact", pair)


def agree_to_archive(engine: Engine, corp: Corp, follow: Follow) -> None:
    """The customer agrees that chats are archived: msg_audit_approved, with the WelcomeCode if it is still good."""
    body: list[EventField] = [("UserID", follow.userid), ("ExternalUserID", follow.external_userid)]
    engine.emit(corp, CONTACT_EVENT, "msg_audit_approved", body + _unused_code(engine, corp, follow))


def _unused_code(engine: Engine, corp: Corp, follow: Follow) -> list[EventField]:
    """The pair's WelcomeCode as a field of an event, unless it was used or is too old."""
    pair, now = (follow.userid, follow.external_userid), engine.clock.present()
    mine = [each for each in corp.welcome_codes.values() if (each.userid, each.external_userid) == pair]
    return [("WelcomeCode", each.code) for each in mine if not each.used and now - each.created_at <= WELCOME_SECONDS]


def edited(engine: Engine, corp: Corp, follow: Follow, *, by_api: bool) -> None:
    """Tell that remark, description, company or tags of the pair changed."""
    pair: list[EventField] = [("UserID", follow.userid), ("ExternalUserID", follow.external_userid)]
    engine.emit(corp, CONTACT_EVENT, "edit_external_contact", pair, by_api=by_api)


def _new_welcome_code(engine: Engine, corp: Corp, member: Member, customer: Customer) -> WelcomeCode:
    now = engine.clock.present()  # whoever is told of it has their twenty seconds, also after a leap of the clock
    for old in list(corp.welcome_codes.values()):  # oldest first; one that expired is as good as unknown
        if now - old.created_at <= WELCOME_SECONDS:
            break
        del corp.welcome_codes[old.code]
    code = WelcomeCode(corp.new_id("", 43), member.userid, customer.external_userid, now)
    corp.welcome_codes[code.code] = code
    return code


# -- customer groups ---------------------------------------------------------------------------------------------------


def join_group(
    engine: Engine,
    corp: Corp,
    group: Group,
    external_userid: str,
    *,
    scene: int = 3,
    state: str = "",
    invitor: str = "",
) -> None:
    """A customer (or a stranger) joins the group."""
    if external_userid in group.members:
        return
    kind = 1 if external_userid in corp.members else 2
    group.members[external_userid] = GroupMember(
        external_userid, kind, engine.now(), scene, invitor=invitor, state=state
    )
    _member_change(engine, corp, group, "add_member", ("JoinScene", 3 if scene == 3 else 0), external_userid)
    if kind == 2:
        _greet(engine, corp, group, external_userid)


def leave_group(engine: Engine, corp: Corp, group: Group, external_userid: str, *, removed: bool = False) -> None:
    """Somebody leaves the group, or is removed by its owner."""
    person = group.members.pop(external_userid, None)
    if person is not None:
        corp.past_members.append(
            PastMember(group.chat_id, group.owner, external_userid, person.join_time, engine.now())
        )
        _member_change(engine, corp, group, "del_member", ("QuitScene", int(removed)), external_userid)


def create_group(engine: Engine, corp: Corp, *, owner: Member, name: str, customers: list[str]) -> Group:
    """The owner opens a group with some customers in it."""
    now = engine.now()
    group = Group(corp.new_id("wr"), name, owner.userid, now)
    group.members[owner.userid] = GroupMember(owner.userid, 1, now, 1)
    for external_userid in customers:
        group.members[external_userid] = GroupMember(external_userid, 2, now, 1, invitor=owner.userid)
    corp.groups[group.chat_id] = group
    _tell_of_group(engine, corp, group, "create", [])
    return group


def change_group(
    engine: Engine, corp: Corp, group: Group, *, name: str | None, notice: str | None, owner: Member | None
) -> None:
    """Rename a group, set its notice, or hand it to another owner who is or becomes a member."""
    if name is not None:
        group.name = name
        _group_event(engine, corp, group, "change_name")
    if notice is not None:
        group.notice = notice
        _group_event(engine, corp, group, "change_notice")
    if owner is not None:
        hand_group(engine, corp, group, owner)


def dismiss_group(engine: Engine, corp: Corp, group: Group) -> None:
    """The group is dissolved."""
    del corp.groups[group.chat_id]
    now = engine.now()
    corp.past_groups.append(PastGroup(group.chat_id, group.owner, group.create_time, now, group.talk))
    corp.past_members += [
        PastMember(group.chat_id, group.owner, each.userid, each.join_time, now) for each in group.members.values()
    ]
    _tell_of_group(engine, corp, group, "dismiss", [])


def _greet(engine: Engine, corp: Corp, group: Group, external_userid: str) -> None:
    """The group's welcome, if its owner picked one that still exists."""
    template = corp.group_welcomes.get(group.welcome_template)
    if template is None:
        return
    attachments = [{"msgtype": kind, kind: part} for kind, part in template.content.items() if kind != "text" and part]
    text = str((template.content.get("text") or {}).get("content", ""))
    engine.journal.record(
        corpid=corp.corpid,
        kind="welcome",
        external_userid=external_userid,
        chat_id=group.chat_id,
        sender=group.owner,
        at=engine.now(),
        fingerprint=engine.journal.keep(text, attachments),
    )


def hand_group(engine: Engine, corp: Corp, group: Group, owner: Member) -> None:
    """The group gets another owner, who is or becomes a member."""
    join_group(engine, corp, group, owner.userid, scene=1)
    group.owner = owner.userid
    _group_event(engine, corp, group, "change_owner")


def _group_event(engine: Engine, corp: Corp, group: Group, detail: str) -> None:
    _tell_of_group(engine, corp, group, "update", [("UpdateDetail", detail)])


def _tell_of_group(engine: Engine, corp: Corp, group: Group, change: str, body: list[EventField]) -> None:
    """To those in whose visible range the owner is."""
    engine.emit(corp, CHAT_EVENT, change, [("ChatId", group.chat_id), *body], about=corp.member(group.owner))


def _member_change(engine: Engine, corp: Corp, group: Group, detail: str, scene: EventField, person: str) -> None:
    last = group.member_version
    group.version += 1
    body: list[EventField] = [
        ("UpdateDetail", detail),
        scene,
        ("MemChangeCnt", 1),
        ("MemChangeList", [person]),
        ("LastMemVer", last),
        ("CurMemVer", group.member_version),
    ]
    _tell_of_group(engine, corp, group, "update", body)
