"""From the log into the queue: a reactor that notes for each webhook what it wants to be told, and replays."""

import json
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext as _

from events.reactors import Batch, EventRow, Reactor
from scrm.lib.errors import FieldError, Invalid
from tenants import audit
from tenants.actors import Actor
from webhooks import tasks
from webhooks.models import Webhook, WebhookDelivery

GIVE_UP = timedelta(hours=24)
MOST_REPLAYED = 50_000
"""events of one replay: a longer time is replayed in pieces"""

_QUEUE = """
    INSERT INTO webhooks_webhookdelivery
        (brand_id, webhook_id, event_id, event_type, occurred_at, contact_id, props,
         status, attempts, due_at, give_up_at, queued_at, outcome, answer)
    SELECT %(brand)s, w.id, r.id, r.type, r.occurred_at, r.contact, r.props,
           'pending', 0, %(at)s, %(give_up)s, %(at)s, '', ''
    FROM json_to_recordset(%(rows)s) AS r
         (place int, id uuid, type text, occurred_at timestamptz, received_at timestamptz, contact bigint, props jsonb)
    JOIN webhooks_webhook w ON w.brand_id = %(brand)s AND w.enabled AND r.type = ANY (w.types)
         AND r.received_at >= w.since
    ORDER BY r.place
    ON CONFLICT (brand_id, webhook_id, event_id) DO NOTHING
    RETURNING webhook_id
"""


def wanted_types() -> frozenset[str]:
    """What any of the brand's webhooks that are on wants. Scoped."""
    wanted = Webhook.objects.filter(enabled=True).values_list("types", flat=True)
    return frozenset(name for types in wanted for name in types)


def react(batch: Batch) -> None:
    """Queue the batch's events for the webhooks that want them, in order, in one statement. Scoped."""
    rows = _as_json(batch.rows)
    _wake(batch.brand_id, _run(_QUEUE, brand=batch.brand_id, at=batch.at, give_up=batch.at + GIVE_UP, rows=rows))


REACTOR = Reactor("webhooks.queue", wanted_types, react)


def replay(*, webhook: Webhook, delivery_ids: Collection[int], actor: Actor, at: datetime) -> int:
    """Tell these once more, delivered or not; they keep their place before later events. Scoped. How many."""
    queued = WebhookDelivery.objects.filter(webhook=webhook, pk__in=delivery_ids).update(**_anew(at))
    _note(webhook, actor, at, queued)
    return queued


def replay_failed(*, webhook: Webhook, actor: Actor, at: datetime) -> int:
    """Tell once more all that ended as failed, at most MOST_REPLAYED, the oldest first. Scoped. How many."""
    failed = WebhookDelivery.objects.filter(webhook=webhook, status=WebhookDelivery.Status.FAILED)
    oldest = failed.order_by("pk").values("pk")[:MOST_REPLAYED]
    queued = WebhookDelivery.objects.filter(pk__in=oldest).update(**_anew(at))
    _note(webhook, actor, at, queued)
    return queued


def replay_between(*, webhook: Webhook, start: datetime, end: datetime, actor: Actor, at: datetime) -> int:
    """Tell everything of the webhook's types that happened in [start, end), told before or not. Scoped. How many.

    Raises Invalid for an impossible or too long time."""
    if start >= end or start > at:
        message = _("开始时间要早于结束时间和现在。")
        raise Invalid(_("没有重放。"), errors=[FieldError("start", "range", message, _("改一改时间。"))])
    (count,) = _run(_COUNT, **_span(webhook, start, end))
    if count > MOST_REPLAYED:
        message = _("这段时间的事件超过 %(most)s 条。") % {"most": f"{MOST_REPLAYED:,}"}
        raise Invalid(_("没有重放。"), errors=[FieldError("end", "too_many", message, _("把时间分成几段，依次重放。"))])
    _run(_REPLAY, at=at, give_up=at + GIVE_UP, **_span(webhook, start, end))
    _note(webhook, actor, at, count)
    return int(count)


_BETWEEN = """
    e.id, e.type, e.occurred_at, e.contact_id, e.props FROM events_event e
    WHERE e.brand_id = %(brand)s AND e.type = ANY (%(types)s) AND e.occurred_at >= %(start)s AND e.occurred_at < %(end)s
      AND e.contact_id IS NOT NULL AND e.fires
"""
_COUNT = f"SELECT count(*) FROM (SELECT {_BETWEEN} LIMIT {MOST_REPLAYED + 1}) x"  # noqa: S608
_REPLAY = f"""
    INSERT INTO webhooks_webhookdelivery AS d
        (brand_id, webhook_id, event_id, event_type, occurred_at, contact_id, props,
         status, attempts, due_at, give_up_at, queued_at, outcome, answer)
    SELECT %(brand)s, %(webhook)s, x.id, x.type, x.occurred_at, x.contact_id, x.props,
           'pending', 0, %(at)s, %(give_up)s, %(at)s, '', ''
    FROM (SELECT {_BETWEEN}) AS x ORDER BY x.occurred_at, x.id
    ON CONFLICT (brand_id, webhook_id, event_id) DO UPDATE
        SET status = 'pending', attempts = 0, due_at = EXCLUDED.due_at, give_up_at = EXCLUDED.give_up_at,
            leased_until = NULL, finished_at = NULL, outcome = ''
"""  # noqa: S608


def _span(webhook: Webhook, start: datetime, end: datetime) -> dict[str, Any]:
    return {"brand": webhook.brand_id, "webhook": webhook.pk, "types": webhook.types, "start": start, "end": end}


def _anew(at: datetime) -> dict[str, Any]:
    return {
        "status": WebhookDelivery.Status.PENDING,
        "attempts": 0,
        "due_at": at,
        "leased_until": None,
        "give_up_at": at + GIVE_UP,
        "finished_at": None,
        "outcome": "",
    }


def _note(webhook: Webhook, actor: Actor, at: datetime, queued: int) -> None:
    after = {"events": queued}
    audit.record(actor=actor, action="webhook.replay", object_type="webhook", object_id=webhook.pk, after=after, at=at)
    _wake(webhook.brand_id, [webhook.pk] if queued else [])


def _wake(brand_id: int, webhook_ids: Collection[int]) -> None:
    for webhook_id in sorted(set(webhook_ids)):
        wake = partial(tasks.wake, brand_id=brand_id, webhook_id=webhook_id)
        transaction.on_commit(wake, robust=True)  # a broker that is away: the sweep finds them


def _as_json(rows: Sequence[EventRow]) -> str:
    return json.dumps(
        [
            {
                "place": place,
                "id": str(row.id),
                "type": row.type,
                "occurred_at": row.occurred_at.isoformat(),
                "received_at": row.received_at.isoformat(),
                "contact": row.contact_id,
                "props": row.props,
            }
            for place, row in enumerate(rows)
        ],
        ensure_ascii=False,
    )


def _run(sql: str, **params: Any) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return [row[0] for row in cursor.fetchall()] if cursor.description else []
