"""Planning a push: from its audience to deliveries, reservations and batches, in key ranges of about a second each.

A plan runs through stages, and where it is stands in `Push.counts` (`stage`, `cursor`), moved in the transaction that
did the work. So a plan that was killed goes on where it was, and a task delivered twice does nothing twice: each step
holds the push's row, and, while it reads and writes the budget, the brand's budget lock (see campaigns.budget.ledger).

    decide   each range of contacts or groups gets its rows: planned, control group, or suppressed with the reason
    choose   only with a maximum of recipients: draws them from those left, at random but repeatably
    batch    planned rows get their batch
    done     figures are summed, the batches become due, the push is sending"""

# What is put into the text is ours; values travel beside it as parameters.
# ruff: noqa: S608

import logging
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from campaigns.budget import ledger
from campaigns.models import Channel, Push
from campaigns.planning import batches, choose, decide, groups, tally
from campaigns.planning.audience import Question, question
from campaigns.planning.decide import Range, Statement
from campaigns.planning.forecast import dry_run
from scrm.lib.errors import DomainError, found
from tagging.segments import memberships, segments
from tenants.scope import brand_scope

__all__ = ["dry_run", "plan"]
logger = logging.getLogger(__name__)

FIRST_RANGE, SMALLEST_RANGE, LARGEST_RANGE = 10_000, 500, 400_000
RANGE_SECONDS = 1.0
MOST_AGAIN = 10
"""how often a plan looks for planned deliveries that its batches do not have yet"""
Status = Push.Status


@dataclass(frozen=True, slots=True)
class Step:
    """What one transaction of a plan did."""

    stage: str
    """the next stage: decide, choose, batch, done; stopped: the push is not being planned (any more)"""
    seconds: float = 0.0


def plan(*, brand_id: int, push_id: int, at: datetime) -> str:
    """Plan a scheduled push to its end; returns the push's status after it. Opens its own scopes, one per range.

    Safe to run twice, and to run again after a crash; of two runs at the same time one goes on and the other returns
    early. A push that is not scheduled or being planned is left alone. An audience of whom nobody can be sent to ends
    the push as failed, with the reasons in `error`."""
    try:
        with brand_scope(brand_id):
            stage = _begin(push_id=push_id, at=at)
        size = FIRST_RANGE
        while stage not in ("done", "stopped"):
            with brand_scope(brand_id):
                step = _step(push_id=push_id, at=at, size=size)
            stage, size = step.stage, _next_size(size, step.seconds)
    except DomainError as refusal:
        with brand_scope(brand_id):
            # What earlier ranges have reserved, campaigns.confirming releases, as after a cancel.
            unplanned = Push.objects.filter(pk=push_id, status__in=[Status.SCHEDULED, Status.PLANNING])
            unplanned.update(status=Status.FAILED, error=str(refusal))
        logger.info("campaigns.plan.refused", extra={"brand": brand_id, "push": push_id, "code": refusal.problem_code})
    with brand_scope(brand_id):
        return found(Push.objects.filter(pk=push_id)).status


def _begin(*, push_id: int, at: datetime) -> str:
    """Take a scheduled push into planning, with its segment's tree as it is now."""
    push = found(Push.objects.filter(pk=push_id).select_for_update(of=("self",), no_key=True))
    if push.status == Status.SCHEDULED:
        push.status, push.error = Status.PLANNING, ""
        if push.segment:
            push.segment_tree = segments.frozen(memberships.tree_of(push.segment))
        push.counts = {"stage": "decide", "cursor": 0, "began_at": at.isoformat()}
        push.save(update_fields=["status", "error", "segment_tree", "counts"])
    return str(push.counts["stage"]) if push.status == Status.PLANNING else "stopped"


def _step(*, push_id: int, at: datetime, size: int) -> Step:
    """One range of the stage that the push is in. Scoped."""
    mine = Push.objects.filter(pk=push_id, status=Status.PLANNING)
    push = mine.select_for_update(of=("self",), no_key=True, skip_locked=True).first()
    if push is None:
        return Step("stopped")  # cancelled, finished, or another worker is at it
    asked = question(push_id=push_id, at=at)
    state = dict(push.counts)
    started = time.monotonic()
    STAGES[state["stage"]](asked, state, size)
    seconds = time.monotonic() - started
    if state["stage"] != "done":
        Push.objects.filter(pk=push_id).update(counts=state)
    return Step(state["stage"], seconds)


def _decide(asked: Question, state: dict[str, Any], size: int) -> None:
    ledger.lock(asked.brand_id)
    last = _end_of_range(asked, state["cursor"], size)
    if last is None:
        state.update(stage="batch" if asked.push.max_recipients is None else "choose", cursor=0)
        return
    span = Range(state["cursor"], last)
    _write(asked, span)
    if asked.push.channel != Channel.GROUP and asked.push.max_recipients is None:
        ledger.reserve(
            push_id=asked.push.pk,
            priority=asked.push.priority,
            rules=asked.rules,
            after=span.after,
            last=last,
            at=asked.at,
        )
    state["cursor"] = last


def _write(asked: Question, span: Range) -> None:
    """The rows of a range. With a maximum, who could be written to waits as "over the maximum" until it is drawn."""
    target = asked.target
    contact = asked.push.channel != Channel.GROUP
    waits = asked.push.max_recipients is not None
    made = (groups if asked.push.channel == Channel.GROUP else decide).decided(asked, span)
    insert = Statement().add(
        f"INSERT INTO {target.table} (brand_id, push_id, {target.key}, variant_id, staff_id, status, reason, updated_at"
        f"{', external_userid' if contact else ''})"
    )
    insert.add(made.text, *made.params)
    status, reason = "d.status", "d.reason"
    if waits:
        status = "CASE d.status WHEN 'planned' THEN 'suppressed' ELSE d.status END"
        reason = "CASE d.status WHEN 'planned' THEN 'over_max' ELSE d.reason END"
    insert.add(
        f"SELECT %s, %s, d.key, d.variant_id, d.staff_id, {status}, {reason}, %s"
        f"{', d.external_userid' if contact else ''} FROM decided d ORDER BY d.key ON CONFLICT DO NOTHING",
        asked.brand_id,
        asked.push.pk,
        asked.at,
    )
    with connection.cursor() as cursor:
        cursor.execute(insert.text, insert.params)


def _choose(asked: Question, state: dict[str, Any], _size: int) -> None:
    ledger.lock(asked.brand_id)
    if not choose.some(question=asked, state=state):
        state.update(stage="batch", cursor=0)


def _batch(asked: Question, state: dict[str, Any], size: int) -> None:
    ledger.lock(asked.brand_id)  # no merge of contacts writes to the same rows meanwhile
    if not state["cursor"]:
        batches.open_empty(question=asked, at=asked.at)
    last = _end_of_deliveries(asked, state["cursor"], size)
    if last is None and state.get("again", 0) < MOST_AGAIN and batches.is_anybody_left(question=asked):
        # A merge has moved somebody to a contact that the cursor had passed.
        state.update(cursor=0, again=state.get("again", 0) + 1)
        return
    if last is None:
        tally.finish(question=asked, state=state)
        return
    batches.fill(question=asked, span=Range(state["cursor"], last))
    state["cursor"] = last


STAGES = {"decide": _decide, "choose": _choose, "batch": _batch}


def _end_of_range(asked: Question, after: int, size: int) -> int | None:
    """The last key of the next `size` contacts (or groups) of the brand; None: there are no more.

    A step of an SOP looks only from one contact of its crowd to the next: the crowd is small, the brand is not."""
    if asked.push.sop_version_id:
        crowd = "SELECT contact_id AS id FROM campaigns_soptouch WHERE brand_id = %s AND push_id = %s"
        return _last(f"{crowd} AND contact_id > %s ORDER BY 1", [asked.brand_id, asked.push.pk, after], size)
    table = "contacts_groupchat" if asked.push.channel == Channel.GROUP else "contacts_contact"
    return _last(f"SELECT id FROM {table} WHERE brand_id = %s AND id > %s ORDER BY id", [asked.brand_id, after], size)


def _end_of_deliveries(asked: Question, after: int, size: int) -> int | None:
    target = asked.target
    keys = f"SELECT {target.key} AS id FROM {target.table} WHERE brand_id = %s AND push_id = %s AND {target.key} > %s"
    return _last(f"{keys} ORDER BY 1", [asked.brand_id, asked.push.pk, after], size)


def _last(keys: str, params: list[int], size: int) -> int | None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT max(id) FROM ({keys} LIMIT %s) k", [*params, size])
        found_ = cursor.fetchone()[0]
        return None if found_ is None else int(found_)


def _next_size(size: int, seconds: float) -> int:
    """Twice as much while it is quick, half of it when it was slow."""
    if seconds < RANGE_SECONDS / 2:
        return min(size * 2, LARGEST_RANGE)
    return max(size // 2, SMALLEST_RANGE) if seconds > RANGE_SECONDS * 1.5 else size
