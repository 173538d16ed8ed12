"""Moments: one task per variant, published by many guides, and aimed by a corp tag.

WeCom filters a Moment's audience by corp tags only, and a tag belongs to a pair of guide and customer. So each batch
gets a tag of its own, marked on the chosen guide's pair alone: marked on every guide who follows them, a customer
would see the post twice. The steps are tag, mark, create, find the moment's id, then poll; each continues where the
last one stopped, since marking is idempotent and creating is claimed first, as a mass send is."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection
from django.db.models import F

from campaigns import dispatch, results
from campaigns.models import Batch, Delivery, DeliveryStatus, Push
from campaigns.reasons import Reason
from events import log
from events.log import NewEvent
from scrm.lib.ids import made_id
from tenants.scope import brand_scope
from wecom.client import WeComClient
from wecom.errors import Gone, Misconfigured, OutcomeUnknown, Rejected, StillDispatching, Throttled, Unreachable
from wecom.types import JobStatus, MemberTask, Moment, Reaction, TaskStatus

logger = logging.getLogger(__name__)

TAG_GROUP = "Orchard 朋友圈"
PAIRS_A_TURN = 500
MARKS_AT_ONCE = 4
"""WeCom bears about five concurrent mark_tag calls of a corp (45033)"""
JOB_POLL = timedelta(seconds=5)


def advance(*, brand_id: int, batch_id: UUID, wecom: WeComClient, at: datetime) -> bool:
    """Do the next step of a Moments batch; True if there is another to do at once. Opens its own scopes."""
    with brand_scope(brand_id):
        batch = Batch.objects.select_related("push", "variant__content").filter(pk=batch_id).first()
    if batch is None or batch.push.status != Push.Status.SENDING:
        return False
    try:
        if batch.status == Batch.Status.PENDING and not batch.tag_id:
            return _make_tag(batch, wecom)
        if batch.status == Batch.Status.PENDING and batch.tagged_at is None:
            return _mark_some(batch, wecom, at)
        if batch.status == Batch.Status.PENDING:
            return _create(batch, wecom, at)
        if batch.status == Batch.Status.CLAIMED and batch.jobid:
            _find_moment(batch, wecom, at)
    except (Unreachable, Throttled, Misconfigured, OutcomeUnknown) as error:
        _try_again(batch, error, at)
    return False


def poll(*, brand_id: int, batch_id: UUID, wecom: WeComClient, at: datetime) -> None:
    """Ask who has published and whom it was shown to, likes and comments included. Opens its own scopes."""
    with brand_scope(brand_id):
        batch = Batch.objects.select_related("push").filter(pk=batch_id).first()
    if batch is None or batch.status != Batch.Status.CREATED:
        return
    try:
        published = _published(wecom, batch.msgid)
        for userid in published:
            shown = _all_shown(wecom, batch.msgid, userid)
            reactions = wecom.moment_reactions(moment_id=batch.msgid, userid=userid)
            with brand_scope(brand_id):
                _record_shown(batch, userid, shown, at)
                _record_reactions(batch, reactions.likes, reactions.comments, at)
    except (StillDispatching, Gone):
        published = []
    with brand_scope(brand_id):
        _mark_polled(batch, published, at)
        results.settle(push_id=batch.push_id, at=at)


def reconcile(*, brand_id: int, batch_id: UUID, wecom: WeComClient, at: datetime) -> str:
    """Ask WeCom whether an unknown Moments task exists: same text, made since the claim, not another batch's.

    Returns `created`, `pending` (offered again, as for mass sends) or `unknown`. Opens its own scopes."""
    with brand_scope(brand_id):
        batch = Batch.objects.select_related("variant__content").filter(pk=batch_id).first()
        if batch is None or batch.status != Batch.Status.UNKNOWN or batch.claimed_at is None:
            return "unknown"
        ours = set(Batch.objects.exclude(msgid="").values_list("msgid", flat=True))
        staff = set(_senders(batch))
    for moment in _listed(wecom, batch.claimed_at - dispatch.CLOCK_SKEW, at + dispatch.CLOCK_SKEW):
        same = moment.text == batch.variant.content.text and moment.moment_id not in ours
        if same and set(_members(wecom, moment.moment_id)) <= staff:
            with brand_scope(brand_id):
                _created(batch, moment.moment_id, at)
            return "created"
    with brand_scope(brand_id):
        unknown = Batch.objects.filter(pk=batch_id, status=Batch.Status.UNKNOWN)
        old = at - batch.claimed_at >= dispatch.NOT_CREATED_AFTER
        if old and batch.attempts + 1 >= dispatch.LISTINGS_NEEDED:
            unknown.update(status=Batch.Status.PENDING, due_at=at, claimed_at=None, attempts=0, error_code="")
            return "pending"
        unknown.update(attempts=F("attempts") + 1, due_at=at + timedelta(minutes=1))
    return "unknown"


def _make_tag(batch: Batch, wecom: WeComClient) -> bool:
    # Creating a tag twice is harmless but untidy, so one left by a lost answer is looked for first.
    name = f"P{batch.push_id}-{batch.variant_id}-{batch.seq}"
    known = [tag for group in wecom.corp_tags() if group.name == TAG_GROUP for tag in group.tags if tag.name == name]
    tag = known[0] if known else wecom.add_corp_tag(group=TAG_GROUP, names=[name])[0]
    with brand_scope(batch.brand_id):
        Batch.objects.filter(pk=batch.pk).update(tag_id=tag.id)
    return True


def _mark_some(batch: Batch, wecom: WeComClient, at: datetime) -> bool:
    """Mark the next pairs of guide and contact; a pair that is no more fails, the others go on."""
    with brand_scope(batch.brand_id):
        pairs = list(
            Delivery.objects.filter(batch=batch, status=DeliveryStatus.PLANNED, contact_id__gt=batch.tagged_to)
            .order_by("contact_id")
            .values_list("contact_id", "staff__userid", "external_userid")[:PAIRS_A_TURN]
        )
    with ThreadPoolExecutor(MARKS_AT_ONCE) as pool:
        marked = list(pool.map(lambda pair: _mark(wecom, batch.tag_id, pair), pairs))
    gone = [contact for contact, ok in marked if not ok]
    with brand_scope(batch.brand_id):
        Delivery.objects.filter(batch=batch, contact_id__in=gone).update(
            status=DeliveryStatus.FAILED, reason=Reason.CONTACT_GONE, updated_at=at
        )
        row = Batch.objects.filter(pk=batch.pk)
        if len(pairs) < PAIRS_A_TURN:
            row.update(tagged_at=at)
        else:
            row.update(tagged_to=pairs[-1][0])
    return True


def _mark(wecom: WeComClient, tag_id: str, pair: tuple[int, str, str]) -> tuple[int, bool]:
    contact_id, userid, external_userid = pair
    try:
        wecom.mark_tag(userid=userid, external_userid=external_userid, add=[tag_id])
    except Rejected:
        return contact_id, False
    return contact_id, True


def _create(batch: Batch, wecom: WeComClient, at: datetime) -> bool:
    with brand_scope(batch.brand_id):
        if dispatch.claim(batch_id=batch.pk, at=at) is None:
            return False
        senders = _senders(batch)
        if not senders:
            Batch.objects.filter(pk=batch.pk).update(status=Batch.Status.FINAL)
            results.settle(push_id=batch.push_id, at=at)
            return False
    content = batch.variant.content
    try:
        jobid = wecom.add_moment(
            text=content.text, attachments=content.attachments, userids=senders, tag_ids=[batch.tag_id]
        )
    except (Unreachable, Throttled, Misconfigured, OutcomeUnknown, Rejected) as error:
        with brand_scope(batch.brand_id):
            dispatch.record_error(batch_id=batch.pk, error=error, at=at)
        return False
    with brand_scope(batch.brand_id):
        # Still claimed, now with a job: `tick` asks for the moment's id until it is there.
        Batch.objects.filter(pk=batch.pk).update(jobid=jobid, due_at=at)
    return True


def _find_moment(batch: Batch, wecom: WeComClient, at: datetime) -> None:
    job = wecom.moment_job(jobid=batch.jobid)
    with brand_scope(batch.brand_id):
        if job.status != JobStatus.FINISHED:
            Batch.objects.filter(pk=batch.pk).update(due_at=at + JOB_POLL)
        elif job.errcode or not job.moment_id:
            Batch.objects.filter(pk=batch.pk).update(
                status=Batch.Status.REFUSED, error_code=job.code or "wecom.rejected"
            )
            Delivery.objects.filter(batch=batch, status=DeliveryStatus.PLANNED).update(
                status=DeliveryStatus.FAILED, reason=Reason.REFUSED, updated_at=at
            )
            results.settle(push_id=batch.push_id, at=at)
        else:
            _created(batch, job.moment_id, at)


def _created(batch: Batch, moment_id: str, at: datetime) -> None:
    dispatch.record_created(batch_id=batch.pk, msgid=moment_id, failed=[], at=at)


def _try_again(batch: Batch, error: Exception, at: datetime) -> None:
    pause = timedelta(seconds=error.retry_after) if isinstance(error, Throttled) else timedelta(seconds=30)
    code = str(getattr(error, "problem_code", "wecom.error"))
    with brand_scope(batch.brand_id):
        Batch.objects.filter(pk=batch.pk).update(due_at=at + pause, error_code=code, attempts=F("attempts") + 1)


def _senders(batch: Batch) -> list[str]:
    planned = Delivery.objects.filter(batch=batch, status=DeliveryStatus.PLANNED)
    return list(planned.order_by("staff__userid").values_list("staff__userid", flat=True).distinct())


def _members(wecom: WeComClient, moment_id: str) -> list[str]:
    return [task.userid for task in _tasks(wecom, moment_id)]


def _published(wecom: WeComClient, moment_id: str) -> list[str]:
    return [task.userid for task in _tasks(wecom, moment_id) if task.status != TaskStatus.NOT_SENT]


def _tasks(wecom: WeComClient, moment_id: str) -> list[MemberTask]:
    found: list[MemberTask] = []
    cursor = ""
    while True:
        page = wecom.moment_tasks(moment_id=moment_id, cursor=cursor)
        found += page.items
        cursor = page.next_cursor
        if not cursor:
            return found


def _all_shown(wecom: WeComClient, moment_id: str, userid: str) -> list[str]:
    found: list[str] = []
    cursor = ""
    while True:
        page = wecom.moment_shown(moment_id=moment_id, userid=userid, cursor=cursor)
        found += page.items
        cursor = page.next_cursor
        if not cursor:
            return found


def _listed(wecom: WeComClient, start: datetime, end: datetime) -> list[Moment]:
    found: list[Moment] = []
    cursor = ""
    while True:
        page = wecom.moments(start=start, end=end, cursor=cursor)
        found += page.items
        cursor = page.next_cursor
        if not cursor:
            return found


def _record_shown(batch: Batch, userid: str, shown: Sequence[str], at: datetime) -> None:
    """Who was shown the post got it. WeCom tells no time, so it is the time we learned of it."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE campaigns_delivery d SET status = 'delivered', delivered_at = %s, updated_at = %s
            FROM contacts_staff s
            WHERE d.brand_id = %s AND d.batch_id = %s AND d.status IN ('created', 'unconfirmed')
              AND s.brand_id = d.brand_id AND s.id = d.staff_id AND s.userid = %s AND d.external_userid = ANY (%s)
            RETURNING d.contact_id, d.staff_id
            """,
            [at, at, batch.brand_id, batch.pk, userid, list(shown)],
        )
        reached = cursor.fetchall()
    news = [
        NewEvent(
            type="message_delivered",
            occurred_at=at,
            id=made_id(batch.brand_id, "delivery", batch.push_id, contact_id, DeliveryStatus.DELIVERED),
            contact_id=contact_id,
            props={"push_id": batch.push_id, "channel": batch.push.channel, "staff_id": staff_id},
        )
        for contact_id, staff_id in reached
    ]
    if news:
        log.write(news, at=at)


def _record_reactions(batch: Batch, likes: Sequence[Reaction], comments: Sequence[Reaction], at: datetime) -> None:
    contacts = dict(
        Delivery.objects.filter(batch=batch, external_userid__in=[r.external_userid for r in (*likes, *comments)])
        .exclude(external_userid="")
        .values_list("external_userid", "contact_id")
    )
    news = [
        NewEvent(
            type=kind,
            occurred_at=reaction.at,
            id=made_id(batch.brand_id, kind, batch.push_id, reaction.external_userid, reaction.at.isoformat()),
            contact_id=contacts[reaction.external_userid],
            props={"push_id": batch.push_id},
        )
        for kind, reactions in (("moment_liked", likes), ("moment_commented", comments))
        for reaction in reactions
        if reaction.external_userid in contacts and reaction.at
    ]
    if news:
        log.write(news, at=at)


def _mark_polled(batch: Batch, published: Sequence[str], at: datetime) -> None:
    waiting = Delivery.objects.filter(batch=batch, status=DeliveryStatus.CREATED).exists()
    Batch.objects.filter(pk=batch.pk, status=Batch.Status.CREATED).update(
        status=Batch.Status.CREATED if waiting else Batch.Status.FINAL,
        confirmed_at=at if published else None,
        polled_at=at,
        polls=F("polls") + 1,
        poll_due_at=at + results.poll_delay(batch.polls + 1) if waiting else None,
    )
    logger.info("campaigns.moment.polled", extra={"batch": str(batch.pk), "published": len(published)})
