"""Doors from Celery. Any of these may run twice."""

import time
from datetime import datetime, timedelta

from celery import shared_task
from django.db.models import Q
from django.utils import timezone

from tenants.models import Brand
from tenants.scope import brand_scope
from webhooks import sending
from webhooks.models import Webhook, WebhookDelivery

SECONDS_A_TURN = 10
"""then the webhook goes to the end of the queue, so that a slow receiver does not hold up another brand's"""
KEPT = timedelta(days=14)
SWEPT_AT_ONCE = 5000


def wake(*, brand_id: int, webhook_id: int) -> None:
    """Let the webhook be served soon. What a lost message leaves behind, the sweep finds."""
    send.delay(brand_id=brand_id, webhook_id=webhook_id)


@shared_task
def send(*, brand_id: int, webhook_id: int, **_later_args: object) -> None:
    """Tell what is due, for a turn."""
    until = time.monotonic() + SECONDS_A_TURN
    while sending.send_due(brand_id=brand_id, webhook_id=webhook_id, at=timezone.now()):
        if time.monotonic() > until:
            wake(brand_id=brand_id, webhook_id=webhook_id)
            return


@shared_task
def sweep(**_later_args: object) -> None:
    """Wake webhooks with something due: later attempts, webhooks that have rested, lost messages."""
    at = timezone.now()
    for brand_id in Brand.objects.order_by("pk").values_list("pk", flat=True):
        with brand_scope(brand_id):
            due = _due(at)
        for webhook_id in due:
            wake(brand_id=brand_id, webhook_id=webhook_id)


@shared_task
def clean(**_later_args: object) -> None:
    """Forget deliveries that ended two weeks ago."""
    before = timezone.now() - KEPT
    for brand_id in Brand.objects.order_by("pk").values_list("pk", flat=True):
        while True:
            with brand_scope(brand_id):
                old = WebhookDelivery.objects.filter(queued_at__lt=before).exclude(status="pending")
                gone, _ = WebhookDelivery.objects.filter(
                    pk__in=list(old.order_by("queued_at").values_list("pk", flat=True)[:SWEPT_AT_ONCE])
                ).delete()
            if gone < SWEPT_AT_ONCE:
                break


def _due(at: datetime) -> list[int]:
    awake = Webhook.objects.filter(Q(rests_until=None) | Q(rests_until__lte=at), enabled=True)
    waiting = WebhookDelivery.objects.filter(status="pending", due_at__lte=at)
    return [pk for pk in awake.order_by("pk").values_list("pk", flat=True) if waiting.filter(webhook=pk).exists()]
