"""Mass sending and welcome messages (reference §12)."""

from __future__ import annotations

from typing import Any

from wecom.simulator import content, mass
from wecom.simulator.errors import Refused
from wecom.simulator.records import pair_key
from wecom.simulator.relations import WELCOME_SECONDS
from wecom.simulator.sends import MassTask
from wecom.simulator.wire import Body, Call, between, endpoint
from wecom.simulator.world import Corp, Member, WelcomeCode

DAY = 86_400


@endpoint("POST", "externalcontact/add_msg_template", empty={"fail_list": [], "msgid": ""})
def add_msg_template(call: Call) -> Body:
    """Create a mass-send task: nothing is delivered until members confirm. → fail_list, msgid. Official 92135."""
    chat_type = call.text("chat_type") or "single"
    if chat_type not in ("single", "group"):
        raise Refused(40058, "invalid chat_type")
    sender = _sender(call)
    text, attachments = content.message_content(call.corp, call.body, now=call.now)
    if chat_type == "group":
        receivers, failed = _group_receivers(call, sender)
    else:
        receivers, failed = _single_receivers(call, sender)
    if not receivers:
        raise Refused(41048, fail_list=failed)
    task = mass.create(
        call.engine,
        call.corp,
        agentid=call.app.agentid,
        chat_type=chat_type,
        receivers=receivers,
        text=text,
        attachments=attachments,
    )
    return {"fail_list": failed, "msgid": task.msgid}


@endpoint("POST", "externalcontact/remind_groupmsg_send")
def remind_groupmsg_send(call: Call) -> Body:
    """msgid: remind the members who have not confirmed, at most three times in 24 hours. Official 97610."""
    mass.remind(call.engine, call.corp, _dispatched(call))
    return {}


@endpoint("POST", "externalcontact/cancel_groupmsg_send")
def cancel_groupmsg_send(call: Call) -> Body:
    """msgid: members who have not sent yet no longer can; what was sent stays. Official 97611."""
    _living(call).cancelled_at = call.now
    return {}


@endpoint("POST", "externalcontact/get_groupmsg_list_v2", empty={"group_msg_list": []})
def get_groupmsg_list(call: Call) -> Body:
    """chat_type, start_time, end_time (at most a month apart), cursor, limit ≤ 100 → the tasks. Official 93338."""
    chat_type = call.text("chat_type", missing=40058)
    start, end = call.number("start_time"), call.number("end_time")
    if chat_type not in ("single", "group") or end < start or end - start > 31 * DAY:
        raise Refused(40058, "invalid chat_type or time range")
    filter_type = call.number("filter_type", default=2)
    if filter_type not in (0, 1, 2):
        raise Refused(40058, "invalid filter_type")
    tasks = between(call.corp.mass_tasks.values(), lambda task: task.create_time, start, end)
    found = [task for task in tasks if task.chat_type == chat_type]
    if filter_type == 1 or call.text("creator"):  # made by a person; tasks made by API have no creator
        found = []
    rows, cursor = call.page(found, most=100, default=50)
    return {"group_msg_list": [_task(task) for task in rows], "next_cursor": cursor}


@endpoint("POST", "externalcontact/get_groupmsg_task", empty={"task_list": []})
def get_groupmsg_task(call: Call) -> Body:
    """msgid, cursor, limit ≤ 1000 → members with status 0 not sent / 2 sent."""
    task = _dispatched(call)
    rows, cursor = call.page(list(task.members.values()), most=1000, default=500)
    shown = []
    for send in rows:
        row: dict[str, Any] = {"userid": send.userid, "status": 2 if send.sent else 0}
        shown.append(row | ({"send_time": send.send_time} if send.sent else {}))
    return {"task_list": shown, "next_cursor": cursor}


@endpoint("POST", "externalcontact/get_groupmsg_send_result", empty={"send_list": []})
def get_groupmsg_send_result(call: Call) -> Body:
    """msgid, userid, cursor, limit ≤ 1000 → receivers with status 0/1/2/3; of a group task only what was sent."""
    task = _dispatched(call)
    member = call.member(missing=41009)
    rows, cursor = call.page(_results(task, member.userid), most=1000, default=500)
    return {"send_list": list(rows), "next_cursor": cursor}


@endpoint("POST", "externalcontact/get_group_msg_result", empty={"check_status": 0, "detail_list": []})
def get_group_msg_result(call: Call) -> Body:
    """The older form: msgid, cursor, limit → all receivers of all members."""
    task = _dispatched(call)
    rows = [row for userid in task.members for row in _results(task, userid)]
    page, cursor = call.page(rows, most=10_000, default=10_000)
    return {"check_status": 1, "detail_list": list(page), "next_cursor": cursor}


@endpoint("POST", "externalcontact/send_welcome_msg")
def send_welcome_msg(call: Call) -> Body:
    """welcome_code, text, attachments: once, within 20 seconds of the event. Official 92137."""
    engine, corp = call.engine, call.corp
    code = corp.welcome_codes.get(call.text("welcome_code", missing=41049))
    if code is None or engine.clock.now() - code.created_at > WELCOME_SECONDS:
        raise Refused(41050)
    if code.used or _have_chatted(corp, code):
        raise Refused(41051)
    text, attachments = content.message_content(corp, call.body, now=call.now)
    text = text.replace("%NICKNAME%", corp.customers[code.external_userid].name)
    code.used = True
    engine.journal.record(
        corpid=corp.corpid,
        kind="welcome",
        external_userid=code.external_userid,
        sender=code.userid,
        at=call.now,
        fingerprint=engine.journal.keep(text, attachments),
    )
    return {}


def _have_chatted(corp: Corp, code: WelcomeCode) -> bool:
    """Whether the two wrote to each other since they became friends."""
    chat = corp.chats.get(pair_key(code.userid, code.external_userid))
    return chat is not None and bool(chat.messages) and chat.messages[-1][0] >= int(code.created_at)


def _sender(call: Call) -> Member | None:
    if not call.text("sender"):
        return None
    member = call.member("sender")
    if not member.service or member.status != 1:
        raise Refused(84074)
    return member


def _single_receivers(call: Call, sender: Member | None) -> tuple[dict[str, list[str]], list[str]]:
    """External ids as given, else those a tag filter finds, else all customers of the sender."""
    corp = call.corp
    wanted = call.strings("external_userid", most=10_000)
    if wanted:
        return mass.route(corp, call.app, wanted, sender)
    tag_lists = _tag_lists(call)
    if tag_lists:
        members = [sender] if sender else call.seen_service_members()
        wanted = [
            follow.external_userid
            for member in members
            for follow in corp.visible_follows(member.userid)
            if all(not tags.isdisjoint(follow.tags) for tags in tag_lists)
        ]
        return mass.route(corp, call.app, list(dict.fromkeys(wanted)), sender)
    if sender is None:
        raise Refused(40058, "sender, external_userid and tag_filter are all empty")
    everybody = [follow.external_userid for follow in corp.visible_follows(sender.userid)]
    return mass.route(corp, call.app, everybody, sender)


def _tag_lists(call: Call) -> list[set[str]]:
    groups = call.record("tag_filter").get("group_list") or []
    if not isinstance(groups, list) or len(groups) > 100:
        raise Refused(40058, "invalid tag_filter")
    found = []
    for group in groups:
        tags = group.get("tag_list") if isinstance(group, dict) else None
        if not isinstance(tags, list) or len(tags) > 100:
            raise Refused(40058, "invalid tag_filter")
        if any(not isinstance(tag, str) or tag not in call.corp.tags or call.corp.tags[tag].deleted for tag in tags):
            raise Refused(40068)
        found.append(set(tags))
    return found


def _group_receivers(call: Call, sender: Member | None) -> tuple[dict[str, list[str]], list[str]]:
    """The named chats that the sender owns, or all of them."""
    if sender is None:
        raise Refused(40063, "sender is empty")
    owned = _owned_chats(call.corp, sender)
    wanted = call.strings("chat_id_list", most=2000)
    if wanted:
        failed = [chat_id for chat_id in wanted if chat_id not in owned]
        owned = [chat_id for chat_id in wanted if chat_id in owned]
        return ({sender.userid: owned} if owned else {}), failed
    return ({sender.userid: owned} if owned else {}), []


def _owned_chats(corp: Corp, sender: Member) -> list[str]:
    return [group.chat_id for group in corp.groups.values() if group.owner == sender.userid]


def _living(call: Call) -> MassTask:
    """The task msgid names. Raises Refused 41046, 41047, 41093."""
    task = call.corp.mass_tasks.get(call.text("msgid", missing=41046))
    if task is None:
        raise Refused(41047)
    if task.cancelled_at:
        raise Refused(41093)
    return task


def _dispatched(call: Call) -> MassTask:
    """As _living, and 41063 shortly after creation."""
    task = _living(call)
    if call.engine.clock.now() < task.ready_at:
        raise Refused(41063)
    return task


def _task(task: MassTask) -> dict[str, Any]:
    return {
        "msgid": task.msgid,
        "create_time": task.create_time,
        "create_type": 0,
        "text": {"content": task.text},
        "attachments": task.attachments,
    }


def _results(task: MassTask, userid: str) -> list[dict[str, Any]]:
    send = task.members.get(userid)
    if send is None:
        return []
    rows: list[dict[str, Any]] = []
    for target, status in zip(send.targets, send.statuses, strict=True):
        if task.chat_type == "group" and not send.sent:
            continue
        row: dict[str, Any] = {"userid": userid, "status": status}
        row["chat_id" if task.chat_type == "group" else "external_userid"] = target
        if status == mass.SENT:
            row["send_time"] = send.send_time
        rows.append(row)
    return rows
