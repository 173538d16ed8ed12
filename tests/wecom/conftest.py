"""A simulator for all tests of the WeCom edge, and alice's corp pointed at it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from celery import current_app

from tenants.scope import brand_scope
from tests.cast import Cast
from wecom import inbox
from wecom.client import WeComClient, client_for
from wecom.corps import callback_url
from wecom.models import CallbackEndpoint, Corp, CorpApp
from wecom.simulator.testing import Simulator, running_simulator
from wecom.store import connection

TOKEN = "QDG6eK"
AES_KEY = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"


@pytest.fixture(scope="session")
def running() -> Iterator[Simulator]:
    with running_simulator(guides=4, contacts=60, confirm_rate=1.0) as simulator:
        simulator.post("/_sim/switches", {"delete_after_send_rate": 0.0})
        yield simulator


@pytest.fixture
def simulator(running: Simulator, settings: Any) -> Iterator[Simulator]:
    """The simulator without faults or limits left over, with no token or block in Redis."""
    settings.WECOM_API_BASE = running.api_base
    settings.WECOM_TIMEOUT_SECONDS = 2
    running.delete("/_sim/faults")
    running.delete("/_sim/counters")
    forget()
    yield running
    running.delete("/_sim/faults")


def forget() -> None:
    """What a Redis that lost everything knows of WeCom: nothing. Other tests' keys stay as they are."""
    store = connection()
    for key in store.scan_iter("wecom:*"):
        if key.startswith(("wecom:token:", "wecom:refusal", "wecom:lease:")) or "127.0.0.1" in key:
            store.delete(key)


@dataclass
class Connection:
    """A corp of alice's brand whose other end is the simulator."""

    brand_id: int
    corp_id: int
    corpid: str
    secret: str
    endpoint: CallbackEndpoint

    @property
    def wecom(self) -> WeComClient:
        return client_for(brand_id=self.brand_id, corp_id=self.corp_id)


def connected(cast: Cast, simulator: Simulator) -> Connection:
    told = simulator.corps()[0]
    app = told["apps"][0]
    with brand_scope(cast.brand.id):
        corp = Corp.objects.create(corpid=told["corpid"], name="模拟", callback_token=TOKEN, callback_aes_key=AES_KEY)
        CorpApp.objects.create(corp=corp, agent_id=app["agentid"], secret=app["secret"])
        endpoint = CallbackEndpoint.objects.create(brand=cast.brand, corp_id=corp.pk)
    return Connection(cast.brand.id, corp.pk, told["corpid"], app["secret"], endpoint)


@pytest.fixture
def link(cast: Cast, simulator: Simulator) -> Connection:
    return connected(cast, simulator)


@pytest.fixture
def wecom(link: Connection) -> WeComClient:
    return link.wecom


@pytest.fixture
def inline(settings: Any) -> Iterator[None]:
    """Tasks run where they are enqueued instead of in a worker."""
    before = current_app.conf.task_always_eager
    current_app.conf.task_always_eager = True
    yield
    current_app.conf.task_always_eager = before


@pytest.fixture
def heard() -> Iterator[list[inbox.CallbackEvent]]:
    """The callbacks that a handler of this test got, of any event; the house's own handlers are away meanwhile."""
    before = {event: list(handlers) for event, handlers in inbox._handlers.items()}
    greeters = list(inbox._greeters)
    events: list[inbox.CallbackEvent] = []
    inbox._handlers.clear()
    inbox._greeters.clear()
    for name in ("change_external_contact", "change_external_chat", "change_external_tag"):
        inbox.register(name, events.append)
    yield events
    inbox._handlers.clear()
    inbox._handlers.update(before)
    inbox._greeters[:] = greeters


__all__ = ["AES_KEY", "TOKEN", "Connection", "callback_url", "connected", "forget"]
