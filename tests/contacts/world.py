"""A corp of the simulator connected to alice's brand, and what a test asks about both."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import connection
from django.utils import timezone

from contacts import callbacks, sync
from contacts.models import Follow, SyncRun
from tenants.models import Brand
from tenants.scope import brand_scope
from wecom.client import WeComClient, client_for
from wecom.inbox import CallbackEvent
from wecom.models import Corp, CorpApp
from wecom.simulator.testing import Simulator


@dataclass
class World:
    """One corp, seen from both sides."""

    brand: Brand
    corp: Corp
    simulator: Simulator

    @property
    def wecom(self) -> WeComClient:
        """The client as the house makes it."""
        return client_for(brand_id=self.brand.id, corp_id=self.corp.id)

    def sync(self, at: datetime | None = None) -> SyncRun:
        """A full sync, begun or gone on with."""
        at = at or timezone.now()
        run_id = sync.start(brand_id=self.brand.id, corp_id=self.corp.id, at=at)
        return sync.run_to_end(brand_id=self.brand.id, run_id=run_id, wecom=self.wecom, at=at)

    def people(self) -> list[dict[str, Any]]:
        """Everybody in the simulator's corp with whom they follow."""
        return self.simulator.get(f"/_sim/corps/{self.corp.corpid}/people", limit=100_000)["items"]

    def tell(self, event: str, change_type: str, told_at: datetime | None = None, **fields: Any) -> None:
        """Hand an event to its handler as the inbox would."""
        told_at = told_at or timezone.now()
        handler = {
            "change_external_contact": callbacks.on_contact,
            "change_external_chat": callbacks.on_group,
            "change_contact": callbacks.on_staff,
        }[event]
        payload = {"CreateTime": str(int(told_at.timestamp())), **fields}
        handler(
            CallbackEvent(0, self.brand.id, self.corp.id, self.corp.corpid, event, change_type, payload, timezone.now())
        )

    def pairs(self, **where: Any) -> set[tuple[str, str, int]]:
        """(userid, external_userid, createtime) of our friendships."""
        with self.scope():
            rows = Follow.objects.filter(staff__corp=self.corp, **where)
            found = rows.values_list("staff__userid", "external_userid", "added_at")
            return {(userid, external, int(added.timestamp())) for userid, external, added in found}

    def listed(self) -> set[tuple[str, str, int]]:
        """The same as WeCom lists them."""
        return {
            (follow["userid"], person["external_userid"], follow["createtime"])
            for person in self.people()
            for follow in person["follows"]
        }

    @contextmanager
    def scope(self) -> Iterator[None]:
        """The brand's scope."""
        with brand_scope(self.brand.id):
            yield

    def follow(self, userid: str, external_userid: str) -> Follow:
        """One of our friendships, with staff and contact."""
        with self.scope():
            rows = Follow.objects.select_related("staff__store", "contact")
            return rows.get(staff__corp=self.corp, staff__userid=userid, external_userid=external_userid)

    def events(self, type_: str) -> list[tuple[Any, ...]]:
        """(contact_id, props, occurred_at) of the log's events of a type."""
        with self.scope(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT contact_id, props::text, occurred_at FROM events_event WHERE type = %s ORDER BY occurred_at",
                [type_],
            )
            return [(contact, json.loads(props), moment) for contact, props, moment in cursor.fetchall()]

    def now(self) -> datetime:
        """The simulator's time."""
        return datetime.fromtimestamp(self.simulator.post("/_sim/clock", {})["now"], UTC)


def connect(brand: Brand, simulator: Simulator, number: int = 0) -> World:
    """Enter one of the simulator's corps into a brand."""
    shown = simulator.corps()[number]
    with brand_scope(brand.id):
        corp = Corp.objects.create(corpid=shown["corpid"], name=shown["name"], connected_at=timezone.now())
        app = shown["apps"][0]
        CorpApp.objects.create(corp=corp, agent_id=app["agentid"], kind="contact", secret=app["secret"])
    return World(brand, corp, simulator)
