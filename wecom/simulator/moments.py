"""Customer moments (客户朋友圈, reference §13): a job, members who publish, customers who see and react."""

from __future__ import annotations

from typing import Any

from wecom.simulator import habits, names
from wecom.simulator.agenda import act
from wecom.simulator.engine import Engine
from wecom.simulator.mass import MINUTE, plan_confirmation
from wecom.simulator.sends import Moment, MomentJob, MomentSend
from wecom.simulator.world import App, Corp, Member

JOB_HOURS = 24
PARTIAL, PUBLIC = 0, 1


def start_job(engine: Engine, corp: Corp, *, agentid: int, request: dict[str, Any]) -> MomentJob:
    """Begin to create a moment from a validated request {text, attachments, users, departments, tags}."""
    now = engine.clock.now()
    duration = engine.clock.human(engine.switches.moment_job_seconds)
    job = MomentJob(
        jobid=corp.new_id("job", 32),
        agentid=agentid,
        create_time=int(now),
        start_at=now + duration / 4,
        finish_at=now + duration,
        request=request,
    )
    corp.moment_jobs[job.jobid] = job
    engine.agenda.schedule(job.finish_at, corp.corpid, "finish_moment_job", job.jobid)
    return job


@act("finish_moment_job")
def finish_job(engine: Engine, corp: Corp, jobid: str) -> None:
    """Work out who publishes and who can see it; from then on the members have a task. A second time does nothing."""
    job = corp.moment_jobs.get(jobid)
    if job is None or job.result is not None:
        return
    request = job.request
    members, bad_users, bad_departments = _senders(corp, app_of(corp, job), request["users"], request["departments"])
    tags = [tag for tag in request["tags"] if tag in corp.tags and not corp.tags[tag].deleted]
    result: dict[str, Any] = {
        "errcode": 0,
        "errmsg": "ok",
        "moment_id": "",
        "invalid_sender_list": {"user_list": bad_users, "department_list": bad_departments},
        "invalid_external_contact_list": {"tag_list": [tag for tag in request["tags"] if tag not in tags]},
    }
    job.result = result
    if request["tags"] and not tags:
        result.update(errcode=40068, errmsg="invalid tagid")
        return
    audience = {member.userid: visible_to(corp, member, tags) for member in members}
    if tags:
        audience = {userid: customers for userid, customers in audience.items() if customers}
    if not audience:
        result.update(errcode=41048, errmsg="no customer to send")
        return
    result["moment_id"] = _create(engine, corp, request, audience).moment_id


@act("publish_moment")
def publish(engine: Engine, corp: Corp, moment_id: str, userid: str) -> None:
    """The member publishes: it is shown to those who are still friends. A second time does nothing."""
    moment = corp.moments.get(moment_id)
    send = moment.members.get(userid) if moment else None
    if moment is None or send is None or send.publish_time or moment.cancelled_at or userid not in corp.members:
        return
    now = engine.now()
    send.publish_time = now
    fingerprint = engine.journal.keep(moment.text, moment.attachments)
    for external_userid in send.customers:
        follow = corp.follow(userid, external_userid)
        if follow is None or follow.deleted_at:
            continue
        send.shown.append(external_userid)
        engine.journal.record(
            corpid=corp.corpid,
            kind="moment",
            external_userid=external_userid,
            sender=userid,
            source_id=moment_id,
            at=now,
            fingerprint=fingerprint,
        )
        _plan_reaction(engine, corp, moment_id, userid, external_userid)


@act("react_to_moment")
def react(engine: Engine, corp: Corp, moment_id: str, userid: str, external_userid: str, reaction: str) -> None:
    """A customer likes or comments on what they were shown."""
    send = corp.moments[moment_id].members[userid] if moment_id in corp.moments else None
    if send is not None and send.publish_time:
        (send.likes if reaction == "like" else send.comments).append([external_userid, engine.now()])


def visible_to(corp: Corp, member: Member, tags: list[str]) -> list[str]:
    """The member's customers, or those of them the member marked with any of the tags."""
    wanted = set(tags)
    return [
        follow.external_userid
        for follow in corp.visible_follows(member.userid)
        if not wanted or wanted.intersection(follow.tags)
    ]


def comment_text(moment_id: str, external_userid: str) -> str:
    """What the customer wrote; WeCom's API does not tell it, the customer's phone does."""
    return names.COMMENTS[hash_of(moment_id + external_userid) % len(names.COMMENTS)]


def hash_of(text: str) -> int:
    """A small number that the text alone decides."""
    return sum(text.encode())


def app_of(corp: Corp, job: MomentJob) -> App | None:
    """The app that asked, None when it is gone."""
    return next((app for app in corp.apps if app.agentid == job.agentid), None)


def _senders(
    corp: Corp, app: App | None, users: list[str], departments: list[int]
) -> tuple[list[Member], list[str], list[int]]:
    """(members in range who can publish, other users, unknown departments); nobody named means everybody."""

    def able(member: Member | None) -> bool:
        return member is not None and member.service and member.status == 1 and (app is None or corp.sees(app, member))

    if not users and not departments:
        return [member for member in corp.service_members() if able(member)], [], []
    found: dict[str, Member] = {}
    bad_users: list[str] = []
    for userid in users:
        member = corp.member(userid)
        if member is None or not able(member):
            bad_users.append(userid)
        else:
            found[member.userid] = member
    for department in departments:
        for member in corp.members_of(department, recursive=True):
            if able(member):
                found[member.userid] = member
    return list(found.values()), bad_users, [each for each in departments if each not in corp.departments]


def _create(engine: Engine, corp: Corp, request: dict[str, Any], audience: dict[str, list[str]]) -> Moment:
    moment = Moment(
        moment_id=corp.new_id("mom", 32),
        create_time=engine.now(),
        visible_type=PARTIAL if request["tags"] else PUBLIC,
        text=request["text"],
        attachments=request["attachments"],
    )
    for userid, customers in audience.items():
        moment.members[userid] = MomentSend(moment.moment_id, userid, customers)
    corp.moments[moment.moment_id] = moment
    for userid in audience:
        plan_confirmation(engine, corp, corp.members[userid], "publish_moment", moment.moment_id)
    return moment


def _plan_reaction(engine: Engine, corp: Corp, moment_id: str, userid: str, external_userid: str) -> None:
    rng = engine.draw("react", moment_id, external_userid)
    draw = rng.random()
    likes, comments = engine.switches.like_rate, engine.switches.comment_rate
    reaction = "like" if draw < likes else "comment" if draw < likes + comments else None
    if reaction:
        delay = rng.uniform(5, 1200) * MINUTE
        engine.later(corp, delay, "react_to_moment", moment_id, userid, external_userid, reaction)
    moment = corp.moments[moment_id]
    habits.consider(
        engine,
        corp,
        rng,
        userid=userid,
        external_userid=external_userid,
        source_id=moment_id,
        content=(moment.text, moment.attachments),
    )
