"""Telling: claim what is due, call outside any scope, note what came of it.

Of one contact the earliest untold event goes first and holds back the later ones; other contacts go on. A webhook that
fails several times in a row rests, and is then tried with one event at a time until one goes well."""

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any
from uuid import UUID

from django.db import connection

from contacts import gone
from contacts.models import Identity
from scrm.lib import retries
from tenants.scope import brand_scope
from webhooks import signing
from webhooks.models import Webhook, WebhookDelivery
from webhooks.post import Answer, post

AT_ONCE = 8
"""calls to one webhook at a time"""
PORTION = 64
LEASE = timedelta(minutes=5)
"""longer than a portion can take: PORTION / AT_ONCE calls of 10 s, and names that are slow to resolve"""
LATER = tuple(timedelta(seconds=s) for s in (5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800))
"""after the 1st, 2nd … failed attempt; from then on the last"""
RESTS_AFTER = 5
LONGEST_REST = timedelta(minutes=15)
SHOWN_IDENTITIES = ("unionid", "external_userid", "openid", "member_id")
"""what a receiver finds its own customer by; no phone numbers"""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery in this worker's hands."""

    id: int
    event_id: UUID
    event_type: str
    occurred_at: datetime
    contact_id: int
    props: dict[str, Any]
    attempts: int


def send_due(*, brand_id: int, webhook_id: int, at: datetime) -> int:
    """One portion: at most PORTION events, each of another contact. Opens its own scopes. How many were tried."""
    started = time.monotonic()
    with brand_scope(brand_id):
        webhook = Webhook.objects.filter(pk=webhook_id, enabled=True).first()
        if webhook is None or (webhook.rests_until and webhook.rests_until > at):
            return 0
        _give_up(webhook, at)
        claimed = _claim(webhook, limit=1 if webhook.failures >= RESTS_AFTER else PORTION, at=at)
        claimed, people = _as_they_are_now(claimed)
    if not claimed:
        return 0
    secrets = [webhook.secret]
    if webhook.old_secret and webhook.old_secret_until and webhook.old_secret_until > at:
        secrets.append(webhook.old_secret)

    def now() -> datetime:
        return at + timedelta(seconds=time.monotonic() - started)

    def tell(each: Claimed) -> Answer:
        body = body_of(each, people.get(each.contact_id, {}))
        stamp = int(now().timestamp())
        return post(
            webhook.url,
            body=body,
            headers=signing.headers(id=each.event_id, timestamp=stamp, body=body, with_secrets=secrets),
        )

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(tell, claimed))
    retries.until_done(lambda: _noted(webhook, claimed, answers, at=now()))
    return len(claimed)


def _noted(webhook: Webhook, claimed: Sequence[Claimed], answers: Sequence[Answer], *, at: datetime) -> None:
    # A merge may take the same rows in another order.
    with brand_scope(webhook.brand_id):
        _note(webhook, claimed, answers, at=at)


def body_of(event: Claimed, identities: dict[str, list[str]]) -> bytes:
    """What the receiver gets: `{type, timestamp, data: {id, contact: {id, identities}, props}}`."""
    return json.dumps(
        {
            "type": event.event_type,
            "timestamp": event.occurred_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "data": {
                "id": str(event.event_id),
                "contact": {"id": event.contact_id, "identities": identities},
                "props": event.props,
            },
        },
        ensure_ascii=False,
    ).encode()


# The ids are an array, made once: as a join the choice could be made anew for each row, past its limit.
_CLAIM = """
    UPDATE webhooks_webhookdelivery d SET leased_until = %(until)s, attempts = d.attempts + 1
    WHERE d.brand_id = %(brand)s AND d.id = ANY (ARRAY(
        SELECT q.id FROM webhooks_webhookdelivery q
        WHERE q.brand_id = %(brand)s AND q.webhook_id = %(webhook)s AND q.status = 'pending' AND q.due_at <= %(at)s
          AND (q.leased_until IS NULL OR q.leased_until <= %(at)s)
          AND NOT EXISTS (
              SELECT FROM webhooks_webhookdelivery before
              WHERE before.brand_id = %(brand)s AND before.webhook_id = %(webhook)s AND before.status = 'pending'
                AND before.contact_id = q.contact_id AND before.id < q.id)
        ORDER BY q.due_at, q.id LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
    RETURNING d.id, d.event_id, d.event_type, d.occurred_at, d.contact_id, d.props, d.attempts
"""


def _claim(webhook: Webhook, *, limit: int, at: datetime) -> list[Claimed]:
    with connection.cursor() as cursor:
        cursor.execute(
            _CLAIM,
            {"brand": webhook.brand_id, "webhook": webhook.pk, "at": at, "until": at + LEASE, "limit": limit},
        )
        rows = cursor.fetchall()
    return [
        Claimed(key, event, kind, moment, contact, json.loads(props), attempts)
        for key, event, kind, moment, contact, props, attempts in sorted(rows, key=itemgetter(0))
    ]


def _as_they_are_now(claimed: list[Claimed]) -> tuple[list[Claimed], dict[int, dict[str, list[str]]]]:
    """Whoever was merged into another since it was queued is told of as the other; and everybody's identities."""
    now = gone.current({each.contact_id for each in claimed})
    claimed = [replace(each, contact_id=now.get(each.contact_id, each.contact_id)) for each in claimed]
    return claimed, _identities(claimed)


def _identities(claimed: Sequence[Claimed]) -> dict[int, dict[str, list[str]]]:
    people: dict[int, dict[str, list[str]]] = {}
    rows = Identity.objects.filter(contact__in={each.contact_id for each in claimed}, type__in=SHOWN_IDENTITIES)
    for contact_id, kind, value in rows.order_by("type", "value").values_list("contact_id", "type", "value"):
        people.setdefault(contact_id, {}).setdefault(kind, []).append(value)
    return people


def _give_up(webhook: Webhook, at: datetime) -> None:
    """What could not be told in time, mostly because the webhook rested."""
    late = WebhookDelivery.objects.filter(webhook=webhook, status="pending", give_up_at__lte=at, leased_until=None)
    late.update(status="failed", finished_at=at, outcome="expired")


_NOTE = """
    UPDATE webhooks_webhookdelivery d
    SET status = r.status, due_at = r.due_at, leased_until = NULL, outcome = r.outcome,
        finished_at = CASE WHEN r.status <> 'pending' THEN %(at)s::timestamptz END,
        answer_status = r.answer_status, answer = r.answer
    FROM json_to_recordset(%(rows)s) AS r
         (id bigint, attempts int, status text, due_at timestamptz, outcome text, answer_status int, answer text)
    WHERE d.brand_id = %(brand)s AND d.id = r.id AND d.status = 'pending' AND d.attempts = r.attempts
"""


def _note(webhook: Webhook, claimed: Sequence[Claimed], answers: Sequence[Answer], *, at: datetime) -> None:
    """Outcomes into the rows; a replay or another worker that came between (attempts differ) is left alone."""
    give_up = dict(WebhookDelivery.objects.filter(pk__in=[each.id for each in claimed]).values_list("pk", "give_up_at"))
    rows = []
    for each, answer in zip(claimed, answers, strict=True):
        later = at + LATER[min(each.attempts, len(LATER)) - 1]
        over = later >= give_up.get(each.id, at)
        status = "delivered" if answer.outcome == "delivered" else "failed" if over else "pending"
        rows.append(
            {
                "id": each.id,
                "attempts": each.attempts,
                "status": status,
                "due_at": later.isoformat() if status == "pending" else at.isoformat(),
                "outcome": answer.outcome,
                "answer_status": answer.status,
                "answer": answer.text,
            }
        )
    with connection.cursor() as cursor:
        cursor.execute(_NOTE, {"brand": webhook.brand_id, "rows": json.dumps(rows, ensure_ascii=False), "at": at})
    _mind(webhook, answers, at)


def _mind(webhook: Webhook, answers: Sequence[Answer], at: datetime) -> None:
    """Keep how the webhook is: rest after failures in a row, catch up when it is back, off at 410."""
    this = Webhook.objects.filter(pk=webhook.pk)
    failed = next((answer for answer in answers if answer.outcome != "delivered"), None)
    if any(answer.outcome == "gone" for answer in answers):
        this.update(enabled=False, trouble="gone", failures=webhook.failures + len(answers))
        return
    if any(answer.outcome == "delivered" for answer in answers):
        this.update(failures=0, rests_until=None, succeeded_at=at, trouble=failed.outcome if failed else "")
        if webhook.failures >= RESTS_AFTER:
            # It is back: what waited for its next try need not wait it out.
            WebhookDelivery.objects.filter(webhook=webhook, status="pending", due_at__gt=at).update(due_at=at)
        return
    failures = min(webhook.failures + len(answers), 30_000)
    rest = None
    if failures >= RESTS_AFTER:
        rest = at + min(timedelta(seconds=15 * 2 ** min(failures - RESTS_AFTER, 10)), LONGEST_REST)
    this.update(failures=failures, rests_until=rest, trouble=failed.outcome if failed else "")
