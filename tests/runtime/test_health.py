"""What a load balancer and an operator learn from /healthz and /readyz."""

from datetime import timedelta

from django.test import Client
from django.utils import timezone

from events import log, partitions
from tenants.scope import brand_scope
from wecom.models import InboxItem


def test_alive_without_asking_anybody(client):
    answer = client.get("/healthz")

    assert (answer.status_code, answer.content) == (200, b"ok\n")


def test_ready_with_every_brands_lags(live_cast):
    at = timezone.now()
    partitions.ensure_ahead(at=at)
    with brand_scope(live_cast.brand.pk):
        event = log.NewEvent(type="page_view", occurred_at=at - timedelta(minutes=3), contact_id=1)
        log.write([event], at=at - timedelta(seconds=90))
        InboxItem.objects.create(
            corp=live_cast.corp,
            dedupe_key="1",
            event="change_contact",
            payload={},
            received_at=at - timedelta(seconds=40),
            due_at=at,
        )

    answer = Client().get("/readyz")

    assert answer.status_code == 200, answer.json()
    assert answer.json()["checks"] == {"database": "ok", "broker": "ok", "migrations": "ok"}
    lags = {lag["brand"]: lag for lag in answer.json()["brands"]}
    assert lags[live_cast.brand.pk]["oldest_callback_seconds"] >= 40
    assert lags[live_cast.brand.pk]["last_sync_at"] is None
    assert lags[live_cast.other.pk]["oldest_callback_seconds"] == 0


def test_unready_without_the_broker(db, settings):
    settings.REDIS_URL = "redis://:secret-password@127.0.0.1:1/0"

    answer = Client().get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["checks"]["broker"] == "does not answer"
    assert "secret" not in answer.content.decode()
