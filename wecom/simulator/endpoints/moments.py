"""Customer moments (客户朋友圈, reference §13)."""

from __future__ import annotations

from typing import Any

from wecom.simulator import content, moments
from wecom.simulator.errors import Refused
from wecom.simulator.sends import Moment, MomentSend
from wecom.simulator.wire import Body, Call, between, endpoint

DAY, HOUR = 86_400, 3600
CREATED, RUNNING, FINISHED = 1, 2, 3


@endpoint("POST", "externalcontact/add_moment_task", empty={"jobid": ""})
def add_moment_task(call: Call) -> Body:
    """text, attachments, visible_range → jobid of an asynchronous job. Official 95094."""
    text, attachments = content.moment_content(call.corp, call.body, now=call.now)
    visible = call.record("visible_range")
    senders = visible.get("sender_list") or {}
    customers = visible.get("external_contact_list") or {}
    if not isinstance(senders, dict) or not isinstance(customers, dict):
        raise Refused(40058, "invalid visible_range")
    request = {
        "text": text,
        "attachments": attachments,
        "users": _listed(senders, "user_list", str, 100_000),
        "departments": _listed(senders, "department_list", int, 100_000),
        "tags": _listed(customers, "tag_list", str, 10_000),
    }
    job = moments.start_job(call.engine, call.corp, agentid=call.app.agentid, request=request)
    return {"jobid": job.jobid}


@endpoint("GET", "externalcontact/get_moment_task_result", empty={"status": 0, "result": {}})
def get_moment_task_result(call: Call) -> Body:
    """jobid → status 1 started, 2 creating, 3 finished with result {errcode, moment_id, invalid lists}."""
    jobid = call.query.get("jobid") or str(call.body.get("jobid") or "")
    if not jobid:
        raise Refused(40063, "jobid is empty")
    job = call.corp.moment_jobs.get(jobid)
    if job is None or call.now - job.create_time > moments.JOB_HOURS * HOUR:
        raise Refused(40058, "invalid jobid")
    if job.result is not None:
        return {"status": FINISHED, "type": "add_moment_task", "result": job.result}
    status = CREATED if call.engine.clock.now() < job.start_at else RUNNING
    return {"status": status, "type": "add_moment_task", "result": {}}


@endpoint("POST", "externalcontact/cancel_moment_task")
def cancel_moment_task(call: Call) -> Body:
    """moment_id: members who have not published no longer can. Official 97612."""
    moment = _asked(call)
    if not moment.cancelled_at:
        moment.cancelled_at = call.now
    return {}


@endpoint("POST", "externalcontact/get_moment_list", empty={"moment_list": []})
def get_moment_list(call: Call) -> Body:
    """start_time, end_time (at most 30 days apart), filter_type, cursor, limit ≤ 20 → the moments. Official 93333."""
    start, end = call.number("start_time"), call.number("end_time")
    if end < start or end - start > 30 * DAY:
        raise Refused(40058, "invalid time range")
    filter_type = call.number("filter_type", default=2)
    if filter_type not in (0, 1, 2):
        raise Refused(40058, "invalid filter_type")
    found = between(call.corp.moments.values(), lambda moment: moment.create_time, start + 1, end - 1)
    if filter_type == 1 or call.text("creator"):
        found = []
    rows, cursor = call.page(found, most=20, default=20)
    return {"moment_list": [_moment(each) for each in rows], "next_cursor": cursor}


@endpoint("POST", "externalcontact/get_moment_task", empty={"task_list": []})
def get_moment_task(call: Call) -> Body:
    """moment_id, cursor, limit ≤ 1000 → members with publish_status 0 or 1."""
    rows, cursor = call.page(list(_asked(call).members.values()), most=1000, default=500)
    shown = [{"userid": each.userid, "publish_status": int(each.publish_time > 0)} for each in rows]
    return {"task_list": shown, "next_cursor": cursor}


@endpoint("POST", "externalcontact/get_moment_customer_list", empty={"customer_list": []})
def get_moment_customer_list(call: Call) -> Body:
    """moment_id, userid, cursor, limit ≤ 1000 → who can see it."""
    send = _sent_by(call)
    rows, cursor = call.page(send.customers, most=1000, default=500)
    shown = [{"userid": send.userid, "external_userid": each} for each in rows]
    return {"customer_list": shown, "next_cursor": cursor}


@endpoint("POST", "externalcontact/get_moment_send_result", empty={"customer_list": []})
def get_moment_send_result(call: Call) -> Body:
    """moment_id, userid, cursor, limit ≤ 5000 → who it was shown to; 41062 before the member published."""
    send = _published_by(call)
    rows, cursor = call.page(send.shown, most=5000, default=3000)
    return {"customer_list": [{"external_userid": each} for each in rows], "next_cursor": cursor}


@endpoint("POST", "externalcontact/get_moment_comments", empty={"comment_list": [], "like_list": []})
def get_moment_comments(call: Call) -> Body:
    """moment_id, userid → comment_list, like_list of {external_userid, create_time}."""
    send = _published_by(call)
    return {
        "comment_list": [{"external_userid": who, "create_time": at} for who, at in send.comments],
        "like_list": [{"external_userid": who, "create_time": at} for who, at in send.likes],
    }


def _listed(holder: dict[str, Any], name: str, kind: type, most: int) -> list[Any]:
    value = holder.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, kind) for each in value) or len(value) > most:
        raise Refused(40058, f"invalid {name}")
    return list(dict.fromkeys(value))


def _asked(call: Call) -> Moment:
    moment = call.corp.moments.get(call.text("moment_id", missing=41059))
    if moment is None:
        raise Refused(41060)
    return moment


def _sent_by(call: Call) -> MomentSend:
    send = _asked(call).members.get(call.member(missing=41009).userid)
    if send is None:
        raise Refused(41061)
    return send


def _published_by(call: Call) -> MomentSend:
    send = _sent_by(call)
    if not send.publish_time:
        raise Refused(41062)
    return send


def _moment(moment: Moment) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "moment_id": moment.moment_id,
        "create_time": moment.create_time,
        "create_type": 0,
        "visible_type": moment.visible_type,
        "text": {"content": moment.text},
    }
    for attachment in moment.attachments:
        kind = attachment["msgtype"]
        part = attachment[kind]
        if kind == "image":
            shown.setdefault("image", []).append({"media_id": part["media_id"]})
        elif kind == "video":
            shown["video"] = {"media_id": part["media_id"], "thumb_media_id": part["media_id"]}
        else:
            shown["link"] = {"title": part.get("title", ""), "url": part["url"]}
    return shown
