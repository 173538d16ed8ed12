"""A worker is killed with SIGKILL around the call to WeCom; the next one finds out, and nobody hears twice or never."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from celery import current_app
from django.conf import settings
from django.db import connections
from django.db.models import F
from django.utils import timezone

from campaigns.models import Batch, Push
from campaigns.planning import plan
from tenants.scope import brand_scope
from tests.campaigns.shop import Shop

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120.0
Status = Batch.Status


@pytest.fixture(autouse=True)
def empty_broker() -> None:
    """A worker's first task is this test's: other tests have queued what nobody took."""
    redis.Redis.from_url(settings.REDIS_URL).flushdb()


@contextmanager
def worker(shop: Shop) -> Iterator[subprocess.Popen[bytes]]:
    """A Celery worker on the test's database, broker and WeCom, as `make up` starts it but for the pool."""
    own = connections["default"].settings_dict
    database = f"postgresql://{own['USER']}:{own['PASSWORD']}@{own['HOST']}:{own['PORT']}/{own['NAME']}"
    environment = os.environ | {
        "DATABASE_URL": database,
        "REDIS_URL": settings.REDIS_URL,
        "WECOM_API_BASE": shop.simulator.api_base,
        "WECOM_TIMEOUT_SECONDS": "30",
    }
    environment.pop("DATABASE_OWNER_URL", None)
    options = ["--pool", "solo", "--queues", "default,wecom,plan,react", "--without-gossip", "--without-mingle"]
    process = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "scrm", "worker", "--loglevel", "ERROR", *options],
        cwd=ROOT,
        env=environment,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def until(held: Callable[[], bool], what: str, nudge: Callable[[], object] | None = None) -> None:
    """Wait for it, or fail with what it was; `nudge` is done before each look."""
    deadline = time.monotonic() + PATIENCE
    while not held():
        assert time.monotonic() < deadline, f"waited for {what}"
        if nudge:
            nudge()
        threading.Event().wait(0.2)


def tick() -> None:
    """What beat does; but never faster than a busy machine's worker, or each step waits behind all that came before."""
    broker = redis.Redis.from_url(settings.REDIS_URL)
    if not any(broker.llen(queue) for queue in ("default", "wecom", "plan")):
        current_app.send_task("campaigns.tasks.tick")


def age(shop: Shop, push: Push, **passed: float) -> None:
    """Time passes for the batches of the push."""
    ago = timedelta(**passed)
    with brand_scope(shop.brand_id):
        Batch.objects.filter(push=push).update(claimed_at=F("claimed_at") - ago, due_at=F("due_at") - ago)


def make_due(shop: Shop, push: Push) -> None:
    """The next look at the push's batches is now."""
    now = timezone.now()
    with brand_scope(shop.brand_id):
        rows = Batch.objects.filter(push=push)
        rows.filter(poll_due_at__isnull=False).update(poll_due_at=now)
        rows.filter(status__in=[Status.UNKNOWN, Status.PENDING]).update(due_at=now)


def kill_in_the_call(shop: Shop, push: Push, mode: str) -> Batch:
    """Let a worker send until WeCom holds its call, kill it there, and return the batch it was at."""
    shop.fault("add_msg_template", mode, count=1)
    calls = shop.tasks_at_wecom
    with worker(shop) as process:
        until(lambda: shop.statuses(push)[Status.CLAIMED] == 1, "a claimed batch", tick)
        until(lambda: shop.faults_met() == 1, "the call to arrive")
        process.send_signal(signal.SIGKILL)
        assert process.wait(timeout=30) == -signal.SIGKILL
    (caught,) = shop.batches(push, status=Status.CLAIMED)
    assert calls() == (1 if mode == "timeout_after" else 0)
    shop.no_faults()
    return caught


def follow_to_the_end(shop: Shop, push: Push) -> None:
    def look_now() -> None:
        shop.people_confirm()
        make_due(shop, push)
        tick()

    until(lambda: shop.again(push).status == Push.Status.DONE, "the push to be done", look_now)


def assert_everybody_once(shop: Shop, push: Push) -> None:
    assert shop.received() == dict.fromkeys(shop.reachable(push), 1), "each customer once, and nobody lost"
    delivered = {row.external_userid for row in shop.deliveries(push) if row.status == "delivered"}
    assert delivered == set(shop.received()), "and we know it"
    assert shop.ledger(push)["reserved"] == 0
    assert shop.ledger(push)["posted"] == len(delivered)
    assert len(shop.events("message_delivered")) == len(delivered)


def planned(shop: Shop) -> Push:
    """Planned here, to be sent by the worker."""
    push = shop.scheduled()
    plan.plan(brand_id=shop.brand_id, push_id=push.pk, at=shop.at)
    return shop.again(push)


def test_killed_after_wecom_made_the_task(live_shop: Shop):
    shop = live_shop
    push = planned(shop)

    caught = kill_in_the_call(shop, push, "timeout_after")

    age(shop, push, minutes=3)
    with worker(shop):
        until(lambda: shop.batches(push, pk=caught.pk)[0].status == Status.CREATED, "the task to be found", tick)
        follow_to_the_end(shop, push)
    assert shop.tasks_at_wecom() == len(shop.batches(push))
    assert_everybody_once(shop, push)


def test_killed_before_wecom_made_the_task(live_shop: Shop):
    shop = live_shop
    push = planned(shop)

    caught = kill_in_the_call(shop, push, "timeout_before")

    def status() -> str:
        return shop.batches(push, pk=caught.pk)[0].status

    age(shop, push, minutes=3)
    with worker(shop):
        until(lambda: status() == Status.UNKNOWN, "the batch to be given up by its worker", tick)
        until(lambda: shop.statuses(push)[Status.CREATED] == len(shop.batches(push)) - 1, "the other guides", tick)
        assert status() == Status.UNKNOWN, "three minutes prove nothing"
        age(shop, push, minutes=15)
        until(lambda: status() == Status.CREATED, "it to be sent after all", lambda: (make_due(shop, push), tick()))
        follow_to_the_end(shop, push)
    assert shop.tasks_at_wecom() == len(shop.batches(push))
    assert_everybody_once(shop, push)
