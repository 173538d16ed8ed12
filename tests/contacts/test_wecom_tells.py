"""From a customer's thumb to our rows: the simulator posts encrypted callbacks, the inbox hands them on."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from contacts import tasks
from contacts.models import Follow
from tenants.actors import SYSTEM
from tenants.scope import brand_scope
from tests.contacts.world import World
from wecom import corps, draining
from wecom.models import Corp, InboxItem
from wecom.simulator.testing import Simulator

PATIENCE_SECONDS = 60


@pytest.fixture
def connected(live_cast, simulator, live_server) -> World:
    """A corp connected as an operator does it, with its callback address entered in WeCom."""
    shown = simulator.corps()[0]
    app = shown["apps"][0]
    done = corps.connect(
        brand_id=live_cast.brand.id,
        corpid=shown["corpid"],
        name=shown["name"],
        agent_id=app["agentid"],
        secret=app["secret"],
        actor=SYSTEM,
        at=timezone.now(),
    )
    told = simulator.post(
        f"/_sim/corps/{shown['corpid']}/callback",
        {
            "url": f"{live_server.url}/callbacks/wecom/{done.endpoint_id}/",
            "token": done.token,
            "aes_key": done.aes_key,
            "timeout": 20,
        },
    )
    assert told["ok"], told
    with brand_scope(live_cast.brand.id):
        corp = Corp.objects.get(pk=done.corp_id)
    return World(live_cast.brand, corp, simulator)


def drained(world: World, seen: Callable[[], Any]) -> Any:
    """Handle callbacks as they come until `seen` is true."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        while draining.drain_some(brand_id=world.brand.id, clock=timezone.now):
            pass
        with world.scope():
            if found := seen():
                return found
        time.sleep(0.05)
    with world.scope():
        raise AssertionError(list(InboxItem.objects.values("change_type", "status", "error")))


def test_a_friendship_begins_and_ends(connected: World, simulator: Simulator):
    connected.sync()
    userid = sorted(connected.listed())[0][0]

    person = simulator.act("scan", userid=userid, state="window")
    ours = Follow.objects.filter(external_userid=person["external_userid"]).select_related("contact")
    follow = drained(connected, lambda: ours.first())
    assert (follow.state, follow.contact.name) == ("window", person["name"])

    simulator.post("/_sim/clock", {"advance_seconds": 2})
    simulator.act("delete_follow", userid=userid, external_userid=person["external_userid"], by="customer")
    lost = drained(connected, lambda: ours.exclude(lost_at=None).first())
    assert lost.lost_by == "contact"
    assert lost.contact.lost_at == lost.lost_at
    assert len(connected.events("friend_added")) == len(connected.events("friend_lost")) == 1


def test_the_task_syncs_a_connected_corp(connected: World):
    """A committed corp through the door that Celery calls; steps enqueue the next only when they did not finish."""
    tasks.sync_corp(brand_id=connected.brand.id, corp_id=connected.corp.id)

    assert connected.pairs() == connected.listed()
