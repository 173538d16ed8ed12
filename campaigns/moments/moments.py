"""Moments: one task per variant, published by many guides, and aimed by a corp tag.

WeCom filters a Moment's audience by corp tags only, and a tag belongs to a pair of guide and customer. So each batch
gets a tag of its own, marked on the chosen guide's pair alone: marked on every guide who follows them, a customer
would see the post twice. The steps are tag, mark, create, find the moment's id, then poll; each continues where the
last one stopped, since marking is idempotent and creating is claimed first, as a mass send is. When nobody is left to
see the post, the tag goes."""

import logging
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection
from django.db.models import F, Q

from campaigns.dispatch import dispatch, lost_answers, results
from campaigns.dispatch.listing import whole
from campaigns.models import Batch, Delivery, DeliveryStatus, Push
from campaigns.reasons import Reason
from events import log
from events.log import NewEvent
from scrm.lib.ids import made_id
from tenants.scope import brand_scope
from wecom.client import WeComClient
from wecom.errors import Gone, Rejected, StillDispatching, WeComError
from wecom.types import JobStatus, MomentJob, Reaction, Reactions, TaskStatus

logger = logging.getLogger(__name__)
Status = Batch.Status

TAG_GROUP = "Orchard 朋友圈"
PAIRS_A_TURN = 500
MARKS_AT_ONCE = 4
"""WeCom bears about five concurrent mark_tag calls of a corp (45033)"""
TURN_TAKES = timedelta(seconds=60)
JOB_POLL = timedelta(seconds=5)
REACTIONS_FOR = timedelta(days=3)
"""how long likes and comments are asked for after everybody has been shown the post"""
REFUSED_AGAIN = ("wecom.name_taken", "wecom.tag_gone")
"""refusals in the steps before creation after which the next try goes another way"""


def advance(*, brand_id: int, batch_id: UUID, wecom: WeComClient, at: datetime) -> bool:
    """Do the next step of a Moments batch; True if there is another to do at once. Opens its own scopes.

    A batch of a push that was cancelled goes no further than finding the moment that WeCom is making already."""
    with brand_scope(brand_id):
        batch = Batch.objects.select_related("push", "variant__content").filter(pk=batch_id).first()
    if batch is None:
        return False
    try:
        if batch.status == Status.CLAIMED and batch.jobid:
            return _find_moment(batch, wecom, at)
        if batch.status != Status.PENDING or batch.push.status != Push.Status.SENDING:
            return False
        if not batch.tag_id:
            return _make_tag(batch, wecom)
        if batch.tagged_at is None:
            return _mark_some(batch, wecom, at)
        return _create(batch, wecom, at)
    except WeComError as error:
        with brand_scope(brand_id):
            _try_again(batch, error, at)
    return False


def poll(*, brand_id: int, batch_id: UUID, wecom: WeComClient, at: datetime) -> None:
    """Ask who has published and whom it was shown to, likes and comments included. Opens its own scopes."""
    with brand_scope(brand_id):
        batch = Batch.objects.select_related("push").filter(pk=batch_id).first()
    if batch is None or batch.status not in (Status.CREATED, Status.FINAL):
        return
    published = []
    try:
        tasks = whole(wecom.moment_tasks, moment_id=batch.msgid)
        published = [task.userid for task in tasks if task.status == TaskStatus.SENT]
    except (StillDispatching, Gone) as error:
        logger.info("campaigns.poll.nothing", extra={"batch": str(batch_id), "code": error.problem_code})
    for userid in published:
        _poll_guide(batch, userid, wecom, at)
    _mark_polled(batch, is_published=bool(published), wecom=wecom, at=at)


def reconcile(*, brand_id: int, batch_id: UUID, wecom: WeComClient, at: datetime) -> str:
    """Ask WeCom whether an unknown Moments task exists; returns the status after it, as lost_answers.reconcile does.

    It is ours if it has our text and each guide in it can show it to none but our pairs. Opens its own scopes."""
    with brand_scope(brand_id):
        batch = lost_answers.unknown(batch_id)
        pairs = _pairs(batch) if batch else {}
    if batch is None:
        return ""
    finding = _find_created(batch, pairs, wecom, at)
    with brand_scope(brand_id):
        return lost_answers.conclude(batch=batch, finding=finding, at=at)


def drop_tag(*, batch: Batch, wecom: WeComClient) -> None:
    """Delete the batch's tag, which has aimed its post: guides would see it on their customers for ever.

    Opens its own scope. A repeat does nothing."""
    if not batch.tag_id:
        return
    wecom.delete_corp_tags(tag_ids=[batch.tag_id])
    with brand_scope(batch.brand_id):
        Batch.objects.filter(pk=batch.pk).update(tag_id="")


def _make_tag(batch: Batch, wecom: WeComClient) -> bool:
    # The plan's moment is in the name: a tag left by another installation's push #7 would aim at strangers.
    planned = f"{batch.push.planned_at:%y%m%d%H%M%S}" if batch.push.planned_at else ""
    name = f"P{batch.push_id}-{batch.variant_id}-{planned}"
    # Creating may end without an answer, so what a lost answer left behind is looked for first.
    known = [tag for group in wecom.corp_tags() if group.name == TAG_GROUP for tag in group.tags if tag.name == name]
    tag = known[0] if known else wecom.add_corp_tag(group=TAG_GROUP, names=[name])[0]
    with brand_scope(batch.brand_id):
        Batch.objects.filter(pk=batch.pk, tag_id="").update(tag_id=tag.id)
    return True


def _mark_some(batch: Batch, wecom: WeComClient, at: datetime) -> bool:
    """Mark the next pairs of guide and contact; a pair that is no more fails, the others go on."""
    with brand_scope(batch.brand_id):
        pairs = list(
            Delivery.objects.filter(batch=batch, status=DeliveryStatus.PLANNED, contact_id__gt=batch.tagged_to)
            .order_by("contact_id")
            .values_list("contact_id", "staff__userid", "external_userid")[:PAIRS_A_TURN]
        )
    marked, gone, trouble = _mark_all(wecom, batch.tag_id, pairs)
    with brand_scope(batch.brand_id):
        row = Batch.objects.filter(pk=batch.pk, status=Status.PENDING)
        if trouble is None and len(pairs) < PAIRS_A_TURN:
            row.update(tagged_at=at, due_at=at)
        else:
            row.update(tagged_to=marked[-1] if marked else batch.tagged_to, due_at=at + TURN_TAKES)
        if gone:
            _fail(batch, at, contact_id__in=gone)
    if trouble is not None:
        raise trouble
    return True


def _mark_all(
    wecom: WeComClient, tag_id: str, pairs: Sequence[tuple[int, str, str]]
) -> tuple[list[int], list[int], WeComError | None]:
    """(contacts dealt with, in order; those of them who are no friends of the guide; what stopped it, if anything)."""
    marked: list[int] = []
    gone: list[int] = []
    with ThreadPoolExecutor(MARKS_AT_ONCE) as pool:
        outcomes = pool.map(lambda pair: _mark(wecom, tag_id, pair[1], pair[2]), pairs)
        for (contact_id, _userid, _external), error in zip(pairs, outcomes, strict=True):
            if isinstance(error, Rejected) and error.problem_code not in REFUSED_AGAIN:
                gone.append(contact_id)
            elif error is not None:
                pool.shutdown(cancel_futures=True)
                return marked, gone, error
            marked.append(contact_id)
    return marked, gone, None


def _mark(wecom: WeComClient, tag_id: str, userid: str, external_userid: str) -> WeComError | None:
    try:
        wecom.mark_tag(userid=userid, external_userid=external_userid, add=[tag_id])
    except WeComError as error:
        return error
    finally:
        connection.close()  # this thread's: noting the corp's trouble may have opened one
    return None


def _create(batch: Batch, wecom: WeComClient, at: datetime) -> bool:
    attachments = dispatch.prepared(brand_id=batch.brand_id, batch_id=batch.pk, wecom=wecom, at=at)
    if attachments is None:
        return False
    with brand_scope(batch.brand_id):
        claimed = dispatch.claim(batch_id=batch.pk, at=at)
        senders = _senders(batch) if claimed else []
        if claimed and not senders:
            Batch.objects.filter(pk=batch.pk).update(status=Status.FINAL)
            results.settle(batch=batch, at=at)
    if claimed is None or not senders:
        return False
    try:
        jobid = wecom.add_moment(
            text=claimed.variant.content.text, attachments=attachments, userids=senders, tag_ids=[claimed.tag_id]
        )
    except WeComError as error:
        with brand_scope(batch.brand_id):
            dispatch.record_error(batch=claimed, error=error, at=at)
        return False
    with brand_scope(batch.brand_id):
        # Still claimed, now with a job: `tick` asks for the moment's id until it is there.
        Batch.objects.filter(pk=batch.pk, claimed_at=at).update(jobid=jobid, due_at=at + JOB_POLL)
    return False


def _find_moment(batch: Batch, wecom: WeComClient, at: datetime) -> bool:
    job = wecom.moment_job(jobid=batch.jobid)
    with brand_scope(batch.brand_id):
        if job.status != JobStatus.FINISHED:
            Batch.objects.filter(pk=batch.pk).update(due_at=at + JOB_POLL)
        elif job.errcode or not job.moment_id:
            reason = Reason.CONTACT_GONE if job.code in dispatch.NOBODY_THERE else Reason.REFUSED
            dispatch.refuse(batch=batch, reason=reason, at=at, error_code=job.code or "wecom.rejected")
        else:
            _fail_invalid(batch, job, at)
            dispatch.record_created(batch=batch, msgid=job.moment_id, failed=[], at=at)
    return False


def _fail_invalid(batch: Batch, job: MomentJob, at: datetime) -> None:
    """Guides whom WeCom left out will show it to nobody."""
    if job.invalid_userids:
        _fail(batch, at, reason=Reason.REFUSED, staff__userid__in=job.invalid_userids)


def _fail(batch: Batch, at: datetime, *, reason: Reason = Reason.CONTACT_GONE, **which: Collection[object]) -> None:
    planned = Delivery.objects.filter(batch=batch, status=DeliveryStatus.PLANNED, **which)
    planned.update(status=DeliveryStatus.FAILED, reason=reason, updated_at=at)
    results.settle(batch=batch, at=at)


def _try_again(batch: Batch, error: WeComError, at: datetime) -> None:
    """After an error in a step that may be repeated: later, another way, or never. Scoped."""
    told = {"error_code": error.problem_code, "error": str(error.detail)[:500]}
    row = Batch.objects.filter(pk=batch.pk, status=batch.status)
    later = {"due_at": at + dispatch.pause_after(error, batch.attempts), "attempts": F("attempts") + 1, **told}
    if isinstance(error, Rejected) and batch.jobid:
        # The job is forgotten after a day: what it made is looked for among the moments.
        row.update(status=Status.UNKNOWN, jobid="", due_at=at, attempts=0, **told)
    elif error.problem_code == "wecom.tag_gone":
        row.update(tag_id="", tagged_to=0, tagged_at=None, **later)
    elif isinstance(error, Rejected) and error.problem_code not in REFUSED_AGAIN:
        dispatch.refuse(batch=batch, reason=Reason.REFUSED, at=at, **told)
    else:
        row.update(**later)
    logger.warning("campaigns.moment.put_off", extra={"batch": str(batch.pk), "code": error.problem_code})


def _find_created(
    batch: Batch, pairs: dict[str, lost_answers.SentTo], wecom: WeComClient, at: datetime
) -> lost_answers.Finding:
    assert batch.claimed_at is not None  # noqa: S101 - `unknown` sees to it
    until = min(at, batch.claimed_at + lost_answers.NOT_CREATED_AFTER) + lost_answers.CLOCK_SKEW
    listed = whole(wecom.moments, start=batch.claimed_at - lost_answers.CLOCK_SKEW, end=until)
    same = [moment.moment_id for moment in listed if lost_answers.same(moment.text, batch.variant.content.text)]
    with brand_scope(batch.brand_id):
        owned = set(Batch.objects.filter(msgid__in=same).values_list("msgid", flat=True))
    is_sure = True
    for moment_id in same:
        if moment_id in owned:
            continue
        try:
            if _is_ours(wecom, moment_id, pairs):
                return lost_answers.Finding(moment_id)
        except (StillDispatching, Gone):
            is_sure = False
    return lost_answers.Finding(is_sure=is_sure)


def _is_ours(wecom: WeComClient, moment_id: str, pairs: dict[str, lost_answers.SentTo]) -> bool:
    members = [task.userid for task in whole(wecom.moment_tasks, moment_id=moment_id)]
    if not members or not set(members) <= pairs.keys():
        return False
    return pairs[members[0]].covers(whole(wecom.moment_visible, moment_id=moment_id, userid=members[0]))


def _pairs(batch: Batch) -> dict[str, lost_answers.SentTo]:
    """Guide → the customers who are to see the post through them."""
    told: dict[str, list[str]] = {}
    meant = Delivery.objects.filter(Q(status=DeliveryStatus.PLANNED) | Q(external_userid=""), batch=batch)
    for userid, external_userid in meant.values_list("staff__userid", "external_userid").iterator():
        told.setdefault(userid, []).append(external_userid)
    return {userid: lost_answers.SentTo(frozenset(ids) - {""}, ids.count("")) for userid, ids in told.items()}


def _senders(batch: Batch) -> list[str]:
    planned = Delivery.objects.filter(batch=batch, status=DeliveryStatus.PLANNED)
    return list(planned.order_by("staff__userid").values_list("staff__userid", flat=True).distinct())


def _poll_guide(batch: Batch, userid: str, wecom: WeComClient, at: datetime) -> None:
    with brand_scope(batch.brand_id):
        waiting = Delivery.objects.filter(batch=batch, staff__userid=userid, status=DeliveryStatus.CREATED).exists()
    try:
        shown = whole(wecom.moment_shown, moment_id=batch.msgid, userid=userid) if waiting else []
        reactions = wecom.moment_reactions(moment_id=batch.msgid, userid=userid)
    except Gone as error:  # of this guide only: left, or not published after all
        logger.info("campaigns.poll.nothing", extra={"batch": str(batch.pk), "code": error.problem_code})
        return
    with brand_scope(batch.brand_id):
        if shown:
            _record_shown(batch, userid, shown, at)
        _record_reactions(batch, reactions, at)
        results.settle(batch=batch, at=at)


def _record_shown(batch: Batch, userid: str, shown: Sequence[str], at: datetime) -> None:
    """Who was shown the post got it. WeCom tells no time, so it is the time we learned of it."""
    Delivery.objects.filter(
        batch=batch,
        staff__userid=userid,
        external_userid__in=shown,
        status__in=[DeliveryStatus.CREATED, DeliveryStatus.UNCONFIRMED],
    ).update(status=DeliveryStatus.DELIVERED, reason="", delivered_at=at, updated_at=at)


def _record_reactions(batch: Batch, reactions: Reactions, at: datetime) -> None:
    kinds: dict[str, list[Reaction]] = {"moment_liked": reactions.likes, "moment_commented": reactions.comments}
    people = {reaction.external_userid for each in kinds.values() for reaction in each if reaction.external_userid}
    if not people:
        return
    contacts = dict(
        Delivery.objects.filter(batch=batch, external_userid__in=people).values_list("external_userid", "contact_id")
    )
    news = [
        NewEvent(
            type=kind,
            occurred_at=reaction.at,
            id=made_id(batch.brand_id, kind, batch.push_id, reaction.external_userid, reaction.at.isoformat()),
            contact_id=contacts[reaction.external_userid],
            props={"push_id": batch.push_id},
            source="wecom",
        )
        for kind, each in kinds.items()
        for reaction in each
        if reaction.external_userid in contacts and reaction.at
    ]
    log.write(news, at=at)


def _mark_polled(batch: Batch, *, is_published: bool, wecom: WeComClient, at: datetime) -> None:
    """When the batch is looked at again: while somebody has not seen it, and for some days for likes and comments."""
    with brand_scope(batch.brand_id):
        is_waiting = Delivery.objects.filter(batch=batch, status=DeliveryStatus.CREATED).exists()
    if not is_waiting:
        drop_tag(batch=batch, wecom=wecom)
    again: datetime | None = at + results.poll_delay(batch.polls + 1)
    if not is_waiting and batch.created_at and at > batch.created_at + REACTIONS_FOR:
        again = None
    with brand_scope(batch.brand_id):
        Batch.objects.filter(pk=batch.pk, status=batch.status).update(
            status=Status.CREATED if is_waiting else Status.FINAL,
            confirmed_at=batch.confirmed_at or (at if is_published else None),
            polled_at=at,
            polls=F("polls") + 1,
            poll_due_at=again,
        )
        results.settle(batch=batch, at=at)
