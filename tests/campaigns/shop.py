"""Alice's brand with a corp of the simulator: real guides, customers and groups, and the journal of what they got."""

import json
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from campaigns.confirming import confirm
from campaigns.dispatch import dispatch, lost_answers
from campaigns.models import Batch, Channel, Delivery, Push
from campaigns.moments import moments
from contacts import sync
from contacts.models import Follow, GroupChat, Staff
from tenants.scope import brand_scope
from tests.campaigns.orchard import Orchard
from tests.cast import Cast
from wecom import store
from wecom.client import WeComClient, client_for
from wecom.models import Corp, CorpApp
from wecom.simulator.testing import Simulator

CALM = {
    "dispatch_seconds": 0.0,
    "moment_job_seconds": 0.0,
    "delete_after_send_rate": 0.0,
    "like_rate": 0.0,
    "comment_rate": 0.0,
}


class Shop(Orchard):
    """The orchard with WeCom behind it. `at` is the time of the next act."""

    def __init__(self, cast: Cast, simulator: Simulator) -> None:
        super().__init__(cast, at=timezone.now())
        self.simulator = simulator
        simulator.post("/_sim/switches", CALM)
        shown = simulator.corps()[0]
        app = shown["apps"][0]
        with brand_scope(self.brand_id):
            Corp.objects.filter(pk=cast.corp.pk).update(corpid=shown["corpid"], connected_at=self.at)
            CorpApp.objects.create(corp=cast.corp, agent_id=app["agentid"], kind="contact", secret=app["secret"])
        run = sync.start(brand_id=self.brand_id, corp_id=cast.corp.pk, at=self.at)
        sync.run_to_end(brand_id=self.brand_id, run_id=run, wecom=self.wecom, at=self.at)

    @property
    def corpid(self) -> str:
        return str(self.simulator.corps()[0]["corpid"])

    @property
    def wecom(self) -> WeComClient:
        return client_for(brand_id=self.brand_id, corp_id=self.cast.corp.pk)

    def later(self, **passed: float) -> datetime:
        """Let our clock go on; the simulator's stays."""
        self.at += timedelta(**passed)
        return self.at

    # -- what a worker does --

    def batches(self, push: Push, **where: Any) -> list[Batch]:
        with brand_scope(self.brand_id):
            return list(Batch.objects.filter(push=push, **where).select_related("staff").order_by("staff__userid"))

    def statuses(self, push: Push) -> Counter[str]:
        return Counter(batch.status for batch in self.batches(push))

    def send(self, push: Push) -> None:
        """Every pending batch to WeCom, Moments as far as they go."""
        for batch in self.batches(push, status="pending"):
            if push.channel == Channel.MOMENTS:
                self.advance(batch)
            else:
                self.send_one(batch)

    def send_one(self, batch: Batch) -> None:
        dispatch.send(brand_id=self.brand_id, batch_id=batch.pk, wecom=self.wecom, at=self.at)

    def advance(self, batch: Batch) -> None:
        while moments.advance(brand_id=self.brand_id, batch_id=batch.pk, wecom=self.wecom, at=self.at):
            pass

    def follow_up(self, push: Push) -> None:
        """Ask after every task of the push."""
        for batch in self.batches(push):
            confirm.follow(brand_id=self.brand_id, batch_id=batch.pk, wecom=self.wecom, at=self.at)

    def reconcile(self, batch: Batch) -> str:
        with brand_scope(self.brand_id):
            dispatch.find_stale(at=self.at)
        work = moments.reconcile if batch.staff_id is None else lost_answers.reconcile
        return work(brand_id=self.brand_id, batch_id=batch.pk, wecom=self.wecom, at=self.at)

    def sent(self, **fields: Any) -> Push:
        """A push whose tasks wait for the guides."""
        push = self.planned(**fields)
        self.send(push)
        return self.again(push)

    # -- what people do --

    def new_group(self, userid: str) -> str:
        """A customer group of the guide, here and there; its chat_id."""
        people = self.simulator.get(f"/_sim/corps/{self.corpid}/people", limit=5000)["items"]
        theirs = [one["external_userid"] for one in people if any(f["userid"] == userid for f in one["follows"])]
        made = self.simulator.act("create_group", userid=userid, name=f"{userid}的群", external_userids=theirs[:5])
        with brand_scope(self.brand_id):
            owner = Staff.objects.get(corp=self.cast.corp, userid=userid)
            GroupChat.objects.create(corp=self.cast.corp, chat_id=made["chat_id"], name="群", owner=owner)
        return str(made["chat_id"])

    def guides(self) -> list[str]:
        """userids of the guides with customers."""
        with brand_scope(self.brand_id):
            rows = Follow.objects.filter(lost_at=None, staff__is_guide=True)
            return sorted(set(rows.values_list("staff__userid", flat=True)))

    def people_confirm(self) -> None:
        """Everybody does what they mean to do."""
        self.simulator.act("settle")

    def journal(self, **where: Any) -> list[dict[str, Any]]:
        return self.simulator.journal(**where)

    def received(self, kind: str = "single") -> Counter[str]:
        """How often each customer got something."""
        return Counter(row["external_userid"] for row in self.journal(kind=kind))

    def fault(self, path: str, mode: str, **fields: Any) -> None:
        self.simulator.post("/_sim/faults", {"path": f"externalcontact/{path}", "mode": mode, **fields})

    def no_faults(self) -> None:
        self.simulator.delete("/_sim/faults")

    def faults_met(self) -> int:
        """How many calls the faults have befallen."""
        return sum(rule["hits"] for rule in self.simulator.get("/_sim/faults")["items"])

    def unblock(self) -> None:
        """The minute for which we keep quiet after WeCom's 45009 is over."""
        keys = store.connection().keys("wecom:blocked:*")
        if keys:
            store.connection().delete(*keys)

    def tasks_at_wecom(self) -> int:
        """How many mass sends there are, confirmed or not."""
        hour = timedelta(hours=1)
        now = timezone.now()
        page = self.wecom.group_messages(start=now - hour, end=now + hour, chat_type="single")
        return len(page.items)

    # -- what we know --

    def deliveries(self, push: Push) -> list[Delivery]:
        with brand_scope(self.brand_id):
            return list(Delivery.objects.filter(push=push).select_related("staff"))

    def tally(self, push: Push) -> Counter[str]:
        """How many deliveries have each reason, or status where there is none."""
        return Counter(row.reason or row.status for row in self.deliveries(push))

    def ledger(self, push: Push) -> Counter[str]:
        return Counter(self.reservations(push).values())

    def reachable(self, push: Push, **where: Any) -> set[str]:
        """Whom the push has a task for and who, though WeCom does not tell, has not deleted that guide."""
        people = self.simulator.get(f"/_sim/corps/{self.corpid}/people", limit=5000)["items"]
        deleted = {
            (follow["userid"], person["external_userid"])
            for person in people
            for follow in person["follows"]
            if follow["deleted_by_customer"]
        }
        with brand_scope(self.brand_id):
            rows = Delivery.objects.filter(push=push, batch__isnull=False, **where)
            pairs = set(rows.values_list("staff__userid", "external_userid"))
        return {external_userid for _userid, external_userid in pairs - deleted}

    def events(self, kind: str) -> list[tuple[int, dict[str, Any]]]:
        """(contact, props) of the log's events of a type."""
        with brand_scope(self.brand_id), connection.cursor() as cursor:
            cursor.execute("SELECT contact_id, props::text FROM events_event WHERE type = %s ORDER BY id", [kind])
            return [(contact, json.loads(props)) for contact, props in cursor.fetchall()]
