"""Who carries WeCom's tags, kept the same on both sides.

WeCom tags a pair of guide and customer, we tag a customer. `CorpTagMark` holds what both last agreed on for a pair; a
side that differs from it has changed. Of two sides that can each only say yes or no at most one has changed or both
have changed to the same, so that there is nothing to decide between:

* a guide marks or unmarks a customer: the contact gets or loses our tag, and with it all their other guides' pairs;
* our tag is given or taken: every live pair of the contact is marked or unmarked. A segment's shadow tag is marked at
  the main guide only, so that a post aimed by it is seen once, and guides' changes of it are undone.

Who a moment ago got or lost a tag that stands in WeCom goes before the round: `tagging.corp.hurry`.

A list read before we marked may be written after it, and would look like a guide's change. Where it contradicts what
was agreed, the customer is read from WeCom again before it counts. mark_tag is idempotent: a call whose end is unknown
is made again. A round goes through the contacts in ranges of ids."""

import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet

from tagging.corp import comparing, corp_tags, hurry
from tagging.corp.comparing import CALLS, Pair
from tagging.models import CorpTag, TagLibrary
from tenants.scope import brand_scope
from wecom.client import WeComClient
from wecom.errors import Gone, Misconfigured, Rejected, WeComError

logger = logging.getLogger(__name__)

AT_ONCE = 4
"""calls under way at a time; WeCom refuses two for one pair (45035), which never happens, and too many (45033)"""
ROUND = timedelta(minutes=10)
TURN = timedelta(seconds=120)
"""a worker that takes a library up has it for so long after its last step; who is killed holds it up no longer"""
RETRY = timedelta(minutes=1)
FURTHEST = timedelta(hours=2)
SLICE_SECONDS = 15
"""then other work of the queue gets its turn"""
HURRIED_AT_ONCE = 200
"""contacts compared apart from the round in one transaction, of about a second"""


def due(*, at: datetime) -> list[int]:
    """Corps of the brand whose tags are to be compared. Scoped."""
    return list(_due(at).values_list("corp_id", flat=True))


def take_up(*, brand_id: int, corp_id: int, at: datetime) -> bool:
    """Claim a corp that is due; False if somebody else has it. Opens its own scope."""
    with brand_scope(brand_id):
        ours = _due(at).filter(corp_id=corp_id).order_by("pk").select_for_update(of=("self",), skip_locked=True)
        library = ours.first()
        return library is not None and bool(TagLibrary.objects.filter(pk=library.pk).update(taken_until=at + TURN))


def work(*, brand_id: int, corp_id: int, wecom: WeComClient, at: datetime) -> bool:
    """What is due of a corp that was taken up: the hurried ones, then the round; True when nothing is left for now.

    Opens its own scopes."""
    if not _hurry(brand_id=brand_id, corp_id=corp_id, wecom=wecom, at=at):
        return False
    with brand_scope(brand_id):
        rows = TagLibrary.objects.filter(corp_id=corp_id)
        if not rows.filter(due_at__lte=at).exists():
            rows.update(taken_until=None)
            return True
    return go_on(brand_id=brand_id, corp_id=corp_id, wecom=wecom, at=at)


def go_on(*, brand_id: int, corp_id: int, wecom: WeComClient, at: datetime, turns: int = 20) -> bool:
    """Do some steps of a round that was taken up; True when the round is over. Opens its own scopes.

    WeCom's trouble is noted with the library, and the round goes on later."""
    began, is_over = time.monotonic(), False
    try:
        with brand_scope(brand_id):
            library = TagLibrary.objects.get(corp_id=corp_id)
        if library.read_at is None or library.next_contact == 0:
            corp_tags.sync_library(brand_id=brand_id, corp_id=corp_id, wecom=wecom, at=at)
        for _turn in range(turns):
            is_over = step(brand_id=brand_id, corp_id=corp_id, wecom=wecom, at=at)
            if is_over or time.monotonic() - began > SLICE_SECONDS:
                break
            with brand_scope(brand_id):
                now = at + timedelta(seconds=time.monotonic() - began)
                TagLibrary.objects.filter(corp_id=corp_id).update(taken_until=now + TURN)
    except WeComError as error:
        put_off(brand_id=brand_id, corp_id=corp_id, error=error, at=at)
        return False
    with brand_scope(brand_id):
        changes: dict[str, Any] = {"due_at": at + ROUND if is_over else at, "problem": "", "taken_until": None}
        if is_over:
            changes |= {"next_contact": 0, "round_ended_at": at}
        TagLibrary.objects.filter(corp_id=corp_id).update(**changes)
    return is_over


def put_off(*, brand_id: int, corp_id: int, error: WeComError, at: datetime) -> None:
    """WeCom's trouble, for operators to read; the next try is later, and when it is theirs to mend, a round later.

    Opens its own scope."""
    pause = ROUND if isinstance(error, Misconfigured) else RETRY
    pause = max(pause, timedelta(seconds=getattr(error, "retry_after", 0) or 0))
    with brand_scope(brand_id):
        rows = TagLibrary.objects.filter(corp_id=corp_id)
        rows.update(problem=str(error.detail)[:300], due_at=at + pause, taken_until=None)
        # What hurried waits as long.
        rows.exclude(hurry_at=None).update(hurry_at=at + pause)
    logger.warning("tagging.marking.put_off", extra={"corp": corp_id, "code": error.problem_code})


def _due(at: datetime) -> QuerySet[TagLibrary]:
    rows = TagLibrary.objects.filter(is_on=True, corp__connected_at__isnull=False)
    # What lies further ahead than it is ever put was written by a clock that was wrong.
    rows = rows.filter(Q(taken_until=None) | Q(taken_until__lte=at) | Q(taken_until__gt=at + FURTHEST))
    return rows.filter(Q(due_at__lte=at) | Q(hurry_at__lte=at) | Q(due_at__gt=at + FURTHEST))


def _hurry(*, brand_id: int, corp_id: int, wecom: WeComClient, at: datetime) -> bool:
    """Compare and mark those on the short list; False if WeCom's trouble ended it. Opens its own scopes."""
    began = time.monotonic()
    while time.monotonic() - began < SLICE_SECONDS:
        with brand_scope(brand_id):
            contact_ids = hurry.take(corp_id=corp_id, limit=HURRIED_AT_ONCE, at=at)
        if not contact_ids:
            return True
        try:
            _mark_these(contact_ids, wecom, corp_id=corp_id, brand_id=brand_id, at=at)
        except WeComError as error:
            with brand_scope(brand_id):
                hurry.add(corp_id=corp_id, contact_ids=contact_ids, at=at)
            put_off(brand_id=brand_id, corp_id=corp_id, error=error, at=at)
            return False
    return True


def _mark_these(contact_ids: Sequence[int], wecom: WeComClient, *, corp_id: int, brand_id: int, at: datetime) -> None:
    """A step for contacts that are not neighbours. Opens its own scopes. Raises WeComError."""
    said = [{"brand": brand_id, "corp": corp_id, "first": each, "last": each, "at": at} for each in contact_ids]
    doubtful: list[str] = []
    for each in said:
        # One transaction each: what is written of one contact must not wait for what somebody holds of the next.
        with brand_scope(brand_id):
            comparing.tidy(each)
            comparing.pull(each, at=at)
            doubtful += comparing.doubtful(each)
    if doubtful:
        _ask(doubtful, wecom, corp_id=corp_id, at=at, brand_id=brand_id)
    with brand_scope(brand_id):
        pairs = [pair for each in said for pair in comparing.to_mark(each, at=at)]
        names = dict(CorpTag.objects.filter(corp_id=corp_id).values_list("id", "wecom_id"))
    for place in range(0, len(pairs), CALLS):
        trouble = _mark_all(pairs[place : place + CALLS], names, wecom, brand_id=brand_id, at=at)
        if trouble is not None:
            raise trouble


def run_round(*, brand_id: int, corp_id: int, wecom: WeComClient, at: datetime) -> None:
    """A whole round from the beginning, libraries included. Raises WeComError. Opens its own scopes."""
    with brand_scope(brand_id):
        TagLibrary.objects.filter(corp_id=corp_id).update(next_contact=0)
    corp_tags.sync_library(brand_id=brand_id, corp_id=corp_id, wecom=wecom, at=at)
    while not step(brand_id=brand_id, corp_id=corp_id, wecom=wecom, at=at):
        pass
    with brand_scope(brand_id):
        TagLibrary.objects.filter(corp_id=corp_id).update(next_contact=0, round_ended_at=at)


def step(*, brand_id: int, corp_id: int, wecom: WeComClient, at: datetime) -> bool:
    """Compare the next range and make at most CALLS calls; True when nobody is left. Opens its own scopes."""
    with brand_scope(brand_id):
        first = TagLibrary.objects.values_list("next_contact", flat=True).get(corp_id=corp_id)
        last = comparing.range_end(first)
        if last is None:
            return True
        said = {"brand": brand_id, "corp": corp_id, "first": first, "last": last, "at": at}
        comparing.tidy(said)
        comparing.pull(said, at=at)
        doubtful = comparing.doubtful(said)
    if doubtful:
        _ask(doubtful, wecom, corp_id=corp_id, at=at, brand_id=brand_id)
    with brand_scope(brand_id):
        pairs = comparing.to_mark(said, at=at)
        names = dict(CorpTag.objects.filter(corp_id=corp_id).values_list("id", "wecom_id"))
    trouble = _mark_all(pairs, names, wecom, brand_id=brand_id, at=at) if pairs else None
    if trouble is not None:
        raise trouble
    if len(pairs) < CALLS and len(doubtful) < CALLS:
        with brand_scope(brand_id):
            TagLibrary.objects.filter(corp_id=corp_id).update(next_contact=last + 1)
    return False


def _ask(external_userids: Sequence[str], wecom: WeComClient, *, corp_id: int, at: datetime, brand_id: int) -> None:
    """Read these customers again; what still differs from what was agreed is a guide's doing."""
    told: list[tuple[str, str, list[str]]] = []
    for external_userid in external_userids:
        try:
            detail = wecom.external_contact(external_userid=external_userid)
        except (Gone, Rejected):
            continue  # nobody's customer any more: the sync will see
        told += [(follow.userid, external_userid, list(follow.tag_ids)) for follow in detail.follows]
    with brand_scope(brand_id):
        comparing.hold(external_userids)
        for userid, external_userid, tag_ids in told:
            with connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE contacts_follow f SET corp_tag_ids = %s FROM contacts_staff s WHERE f.brand_id = %s"
                    " AND s.brand_id = f.brand_id AND s.id = f.staff_id AND s.corp_id = %s AND lower(s.userid) = %s"
                    " AND f.external_userid = %s AND f.corp_tag_ids IS DISTINCT FROM %s::varchar[]",
                    [tag_ids, brand_id, corp_id, userid.lower(), external_userid, tag_ids],
                )
        said = {
            "brand": brand_id,
            "corp": corp_id,
            "who": list(external_userids),
            "userids": [userid.lower() for userid, _external, _tags in told],
            "externals": [external for _userid, external, _tags in told],
            "at": at,
        }
        comparing.believe(said, at=at)


def _mark_all(
    pairs: Sequence[Pair], names: dict[int, str], wecom: WeComClient, *, brand_id: int, at: datetime
) -> WeComError | None:
    """Mark them; what stopped it, if anything. What was done is written down even then. Opens its own scope."""
    done: list[Pair] = []
    trouble: WeComError | None = None
    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = pool.map(lambda pair: _mark(pair, names, wecom), pairs)
        for pair, error in zip(pairs, outcomes, strict=True):
            if error is None:
                done.append(pair)
            elif isinstance(error, Rejected):
                logger.info("tagging.marking.refused", extra={"staff": pair.staff_id, "code": error.problem_code})
                if error.problem_code == "wecom.tag_gone":
                    trouble = error
                else:
                    done.append(pair)  # no friends any more, says WeCom: the sync will end the friendship
            else:
                trouble = trouble or error
    with brand_scope(brand_id):
        comparing.remember(done, names, brand_id=brand_id, at=at)
        if trouble is not None and trouble.problem_code == "wecom.tag_gone":
            TagLibrary.objects.update(read_at=None)
    return trouble


def _mark(pair: Pair, names: dict[int, str], wecom: WeComClient) -> WeComError | None:
    try:
        wecom.mark_tag(
            userid=pair.userid,
            external_userid=pair.external_userid,
            add=[names[each] for each in pair.add],
            remove=[names[each] for each in pair.remove],
        )
    except WeComError as error:
        return error
    finally:
        connection.close()  # this thread's: noting the corp's trouble may have opened one
    return None
