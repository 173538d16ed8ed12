"""Mass sends (企业群发, reference §12): a task, members who confirm it, and what each receiver then gets."""

from __future__ import annotations

import random
from typing import Any

from wecom.simulator import behaviour, habits, quota
from wecom.simulator.agenda import act
from wecom.simulator.engine import Engine
from wecom.simulator.errors import Refused
from wecom.simulator.sends import MassTask, MemberSend
from wecom.simulator.world import LATE, NEVER, App, Corp, Follow, Member

REMINDS_PER_DAY = 3
NOT_SENT, SENT, NOT_FRIEND, OVER_CAP = 0, 1, 2, 3

MINUTE, HOUR = 60, 3600


def create(
    engine: Engine,
    corp: Corp,
    *,
    agentid: int,
    chat_type: str,
    receivers: dict[str, list[str]],
    text: str,
    attachments: list[dict[str, Any]],
) -> MassTask:
    """Enter a task with its receivers per member, and let each member decide when to confirm."""
    now = engine.clock.now()
    task = MassTask(
        msgid=corp.new_id("msg", 32),
        agentid=agentid,
        chat_type=chat_type,
        create_time=int(now),
        ready_at=now + engine.clock.human(engine.switches.dispatch_seconds),
        text=text,
        attachments=attachments,
    )
    for userid, targets in receivers.items():
        task.members[userid] = MemberSend(task.msgid, userid, targets, [NOT_SENT] * len(targets))
    corp.mass_tasks[task.msgid] = task
    for userid in task.members:
        plan_confirmation(engine, corp, corp.members[userid], "confirm_mass", task.msgid)
    return task


def route(
    corp: Corp, app: App, external_userids: list[str], sender: Member | None
) -> tuple[dict[str, list[str]], list[str]]:
    """({userid: its receivers}, those nobody can write to). Without a sender each goes to the follower in the app's
    range who last interacted with them; WeCom does not say who deleted the member until it is sent (status 2)."""
    receivers: dict[str, list[str]] = {}
    failed: list[str] = []
    for external_userid in external_userids:
        follow = _sender_of(corp, app, external_userid, sender)
        if follow is None:
            failed.append(external_userid)
        else:
            receivers.setdefault(follow.userid, []).append(external_userid)
    return receivers, failed


def plan_confirmation(engine: Engine, corp: Corp, member: Member, kind: str, source_id: str) -> None:
    """Schedule the member's confirmation by habit: within the hour, hours later, or never."""
    delay = _delay(member, engine.draw(kind, source_id, member.userid))
    if delay is not None:
        engine.later(corp, delay, kind, source_id, member.userid)


@act("confirm_mass")
def confirm(engine: Engine, corp: Corp, msgid: str, userid: str) -> None:
    """The member confirms: receivers get the message, unless they left or reached the cap. Repeats do nothing."""
    task = corp.mass_tasks.get(msgid)
    send = task.members.get(userid) if task else None
    if task is None or send is None or send.sent or task.cancelled_at or userid not in corp.members:
        return
    now = engine.now()
    send.send_time = now
    fingerprint = engine.journal.keep(task.text, task.attachments)
    deliver = _deliver_group if task.chat_type == "group" else _deliver_single
    for place, target in enumerate(send.targets):
        send.statuses[place] = deliver(engine, corp, task, send, target, fingerprint, now)


def remind(engine: Engine, corp: Corp, task: MassTask) -> None:
    """Nudge the members who have not confirmed: the late ones do so within minutes. Raises Refused 41094 after three
    in 24 hours."""
    now = engine.now()
    task.reminded = [at for at in task.reminded if at > now - 24 * HOUR]
    if len(task.reminded) >= REMINDS_PER_DAY:
        raise Refused(41094)
    task.reminded.append(now)
    for userid, send in task.members.items():
        member = corp.member(userid)
        if member is not None and not send.sent and member.habit != NEVER:
            delay = engine.draw("remind", task.msgid, userid, str(now)).uniform(1, 20) * MINUTE
            engine.later(corp, delay, "confirm_mass", task.msgid, userid)


def make_ready(engine: Engine, corp: Corp) -> None:
    """End the dispatching phase of the corp's tasks."""
    for task in corp.mass_tasks.values():
        task.ready_at = min(task.ready_at, engine.clock.now())


def _delay(member: Member, rng: random.Random) -> float | None:
    if member.habit == NEVER:
        return None
    if member.habit == LATE:
        return rng.uniform(3 * HOUR, 30 * HOUR)
    return rng.uniform(1, 40) * MINUTE


def _sender_of(corp: Corp, app: App, external_userid: str, sender: Member | None) -> Follow | None:
    if sender is not None:
        return corp.follow(sender.userid, external_userid)
    followers = [
        follow
        for follow in corp.followers_of.get(external_userid, {}).values()
        if not follow.half and (member := corp.members[follow.userid]).service and corp.sees(app, member)
    ]
    return max(followers, key=lambda follow: (follow.interacted_at, follow.seq), default=None)


def _deliver_single(
    engine: Engine, corp: Corp, task: MassTask, send: MemberSend, target: str, fingerprint: str, now: int
) -> int:
    follow = corp.follow(send.userid, target)
    if follow is None or follow.deleted_at:
        return NOT_FRIEND
    if not quota.take(corp.customers[target].mass_received, mode=corp.quota_mode, now=now):
        return OVER_CAP
    engine.journal.record(
        corpid=corp.corpid,
        kind="single",
        external_userid=target,
        sender=send.userid,
        source_id=task.msgid,
        at=now,
        fingerprint=fingerprint,
    )
    rng = engine.draw("after", task.msgid, target)
    if rng.random() < engine.switches.delete_after_send_rate:
        engine.later(corp, rng.uniform(1, 600) * MINUTE, "customer_leaves", send.userid, target)
    habits.receive(
        engine,
        corp,
        rng,
        userid=send.userid,
        external_userid=target,
        source_id=task.msgid,
        content=(task.text, task.attachments),
    )
    return SENT


def _deliver_group(
    engine: Engine, corp: Corp, task: MassTask, send: MemberSend, target: str, fingerprint: str, now: int
) -> int:
    group = corp.groups.get(target)
    if group is None:
        return NOT_FRIEND
    if not quota.take(group.mass_received, mode=corp.quota_mode, now=now):
        return OVER_CAP
    engine.journal.record(
        corpid=corp.corpid,
        kind="group",
        chat_id=target,
        sender=send.userid,
        source_id=task.msgid,
        at=now,
        fingerprint=fingerprint,
        member_count=len(group.members),
    )
    behaviour.say_in_group(group, send.userid, at=now)
    return SENT
