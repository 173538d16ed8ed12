"""Inheritance (reference §14, §11.3): a customer or group goes to another member; 24 hours to refuse, then events."""

from __future__ import annotations

from wecom.simulator.agenda import act
from wecom.simulator.behaviour import day_of
from wecom.simulator.engine import Engine
from wecom.simulator.errors import Refused
from wecom.simulator.outbound import EventField
from wecom.simulator.records import (
    CUSTOMER_REFUSED,
    DONE,
    LIMIT_EXCEEDED,
    NO_RECORD,
    ON_JOB,
    WAITING,
    Transfer,
    Unassigned,
    pair_key,
)
from wecom.simulator.relations import CONTACT_EVENT, hand_group, leave_group
from wecom.simulator.world import Corp, Follow, Group, Member

DAY = 86_400
TRANSFERS_PER_90_DAYS = 2
GROUPS_PER_DAY = 300
ADD_WAY_ASSIGNED = 202


def leave_behind(engine: Engine, corp: Corp, userid: str) -> None:
    """The member has left: their customers wait for inheritance; half-added ones are nobody's."""
    now = engine.now()
    for follow in list(corp.visible_follows(userid)):
        key = pair_key(userid, follow.external_userid)
        corp.unassigned[key] = Unassigned(
            key,
            userid,
            follow.external_userid,
            now,
            remark=follow.remark,
            description=follow.description,
            tags=list(follow.tags),
            deleted_at=follow.deleted_at,
        )


def start(
    engine: Engine,
    corp: Corp,
    *,
    kind: str,
    handover_userid: str,
    takeover: Member,
    external_userid: str,
    message: str = "",
) -> Transfer:
    """Offer one customer to another member. Raises Refused with the item's code (reference §14)."""
    _check_offer(engine, corp, kind, handover_userid, takeover, external_userid)
    now = engine.clock.now()
    due = now + engine.switches.transfer_seconds
    transfer = Transfer(
        transfer_id=f"{corp.next_serial()}",
        kind=kind,
        handover_userid=handover_userid,
        takeover_userid=takeover.userid,
        external_userid=external_userid,
        started_at=int(now),
        due=due,
        message=message,
    )
    corp.add_transfer(transfer)
    rng = engine.draw("transfer", transfer.transfer_id, external_userid)
    if rng.random() < engine.switches.refuse_transfer_rate:
        refused_at = now + rng.random() * engine.switches.transfer_seconds
        engine.agenda.schedule(refused_at, corp.corpid, "refuse_transfer", transfer.transfer_id)
    engine.agenda.schedule(due, corp.corpid, "finish_transfer", transfer.transfer_id)
    return transfer


def _check_offer(
    engine: Engine, corp: Corp, kind: str, handover_userid: str, takeover: Member, external_userid: str
) -> None:
    """Raises Refused for what cannot be handed over."""
    if handover_userid == takeover.userid:
        raise Refused(40130)
    if not takeover.real_named:
        raise Refused(40098)
    if takeover.banned:
        raise Refused(40143)
    if external_userid not in corp.customers:
        raise Refused(40096)
    if kind == ON_JOB:
        held: Follow | Unassigned | None = corp.follow(handover_userid, external_userid)
    else:
        held = corp.unassigned.get(pair_key(handover_userid, external_userid))
    if held is None:
        raise Refused(40131)
    if held.deleted_at:
        raise Refused(84061)
    earlier = corp.transfers_of.get(external_userid, [])
    for other in earlier:
        if other.status == WAITING and other.handover_userid == handover_userid:
            raise Refused(40100 if other.takeover_userid == takeover.userid else 40129)
    now = engine.now()
    recent = [each for each in earlier if each.kind == ON_JOB and each.started_at > now - 90 * DAY]
    if kind == ON_JOB and len(recent) >= TRANSFERS_PER_90_DAYS:
        raise Refused(40128)
    if _is_full(engine, corp, takeover.userid):
        raise Refused(40099)


@act("refuse_transfer")
def refuse(engine: Engine, corp: Corp, transfer_id: str) -> None:
    """The customer does not want the new member. Too late it does nothing."""
    transfer = corp.transfers.get(transfer_id)
    if transfer is not None and transfer.status == WAITING:
        _fail(engine, corp, transfer, CUSTOMER_REFUSED, "customer_refused")


@act("finish_transfer")
def finish(engine: Engine, corp: Corp, transfer_id: str) -> None:
    """The 24 hours are over: the customer belongs to the new member, unless that one is full or somebody is gone."""
    transfer = corp.transfers.get(transfer_id)
    if transfer is None or transfer.status != WAITING:
        return
    key = pair_key(transfer.handover_userid, transfer.external_userid)
    old = corp.follow(transfer.handover_userid, transfer.external_userid)
    held = old or corp.unassigned.get(key)  # whoever was on the job may have left meanwhile
    takeover = corp.member(transfer.takeover_userid)
    if held is None or takeover is None or not takeover.service:
        transfer.status = NO_RECORD
        return
    if held.deleted_at:  # the customer deleted the member meanwhile: nothing is left to hand over
        _fail(engine, corp, transfer, CUSTOMER_REFUSED, "customer_refused")
        return
    if _is_full(engine, corp, takeover.userid):
        _fail(engine, corp, transfer, LIMIT_EXCEEDED, "customer_limit_exceed")
        return
    transfer.status, transfer.takeover_time = DONE, engine.now()
    corp.unassigned.pop(key, None)
    if old is not None:
        corp.drop_follow(old)
        body: list[EventField] = [("UserID", old.userid), ("ExternalUserID", old.external_userid)]
        engine.emit(corp, CONTACT_EVENT, "del_external_contact", [*body, ("Source", "DELETE_BY_TRANSFER")])
    _take_over(engine, corp, transfer, held, takeover)


def _take_over(engine: Engine, corp: Corp, transfer: Transfer, held: Follow | Unassigned, takeover: Member) -> None:
    """The new friendship with what was known of the customer; whoever followed already keeps their own."""
    known = corp.follows_of[takeover.userid].get(transfer.external_userid)
    if known is None or known.half or known.deleted_at:
        now = engine.now()
        corp.add_follow(
            Follow(
                seq=corp.next_serial(),
                userid=takeover.userid,
                external_userid=transfer.external_userid,
                createtime=now,
                add_way=ADD_WAY_ASSIGNED,
                oper_userid=_administrator(corp) or takeover.userid,
                remark=held.remark,
                description=held.description,
                tags=list(held.tags),
                interacted_at=now,
            )
        )
        body: list[EventField] = [("UserID", takeover.userid), ("ExternalUserID", transfer.external_userid)]
        engine.emit(corp, CONTACT_EVENT, "add_external_contact", body)
    if transfer.kind == ON_JOB:
        text = transfer.message or "您好，您的服务已升级，后续将由我的同事接替我的工作，继续为您服务。"
        engine.journal.record(
            corpid=corp.corpid,
            kind="notice",
            external_userid=transfer.external_userid,
            sender=takeover.userid,
            at=engine.now(),
            fingerprint=engine.journal.keep(text, []),
        )


def _fail(engine: Engine, corp: Corp, transfer: Transfer, status: int, reason: str) -> None:
    transfer.status = status
    body: list[EventField] = [("UserID", transfer.takeover_userid), ("ExternalUserID", transfer.external_userid)]
    engine.emit(corp, CONTACT_EVENT, "transfer_fail", [*body, ("FailReason", reason)])


def _is_full(engine: Engine, corp: Corp, userid: str) -> bool:
    limit = engine.switches.member_contact_limit
    return limit > 0 and len(corp.follows_of.get(userid, {})) >= limit


def _administrator(corp: Corp) -> str:
    """Who assigns customers in the console: somebody of head office without customers."""
    return next((member.userid for member in corp.members.values() if not member.service), "")


# -- groups ------------------------------------------------------------------------------------------------------------


def group_status(corp: Corp, group: Group) -> int:
    """0 normal, 1 the owner has left, 2 being inherited, 3 inherited."""
    if group.heir:
        return 2
    owner = corp.member(group.owner)
    if owner is None or owner.status != 1:
        return 1
    return 3 if group.inherited else 0


def may_give_group(corp: Corp, owner: str, now: int) -> bool:
    """Whether the day's 300 groups of this owner are not used up."""
    return corp.given_groups.get(f"{owner}|{day_of(now)}", 0) < GROUPS_PER_DAY


def give_group(engine: Engine, corp: Corp, chat_id: str, heir: Member, *, on_job: bool) -> None:
    """Hand one group to another member: at once on the job, else after a day. Raises Refused with the item's code."""
    group = corp.groups.get(chat_id)
    if group is None:
        raise Refused(90501)
    status = group_status(corp, group)
    now = engine.now()
    if status == 2:
        raise Refused(90507)
    if on_job and status == 1:
        raise Refused(90502)
    if not on_job and status in (0, 3):
        raise Refused(90508 if status == 3 else 90500)
    if group.owner == heir.userid:
        raise Refused(90504)
    given = f"{group.owner}|{day_of(now)}"
    if on_job:
        group.transfers = [at for at in group.transfers if at > now - 90 * DAY]
        if len(group.transfers) >= TRANSFERS_PER_90_DAYS:
            raise Refused(40128)
        group.transfers.append(now)
        corp.given_groups[given] = corp.given_groups.get(given, 0) + 1
        hand_group(engine, corp, group, heir)
        return
    corp.given_groups[given] = corp.given_groups.get(given, 0) + 1
    group.heir = heir.userid
    due = engine.clock.now() + engine.switches.group_transfer_seconds
    engine.agenda.schedule(due, corp.corpid, "inherit_group", chat_id)


@act("inherit_group")
def inherit_group(engine: Engine, corp: Corp, chat_id: str) -> None:
    """The heir becomes the owner, unless they left meanwhile. The owner who resigned is no longer in the group."""
    group = corp.groups.get(chat_id)
    if group is None or not group.heir:
        return
    heir, group.heir = corp.member(group.heir), ""
    if heir is None:
        return
    former = group.owner
    hand_group(engine, corp, group, heir)
    group.inherited = True
    leave_group(engine, corp, group, former)
