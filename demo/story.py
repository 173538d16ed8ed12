"""The story: sync, listen, understand, decide, send, confirm, come back. Each chapter tells its figures."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from django.db.models import Count, Sum
from django.utils import timezone

from campaigns.dispatch import results
from campaigns.models import Batch, Delivery, DeliveryStatus, GroupDelivery, Push
from campaigns.pushes import pushes
from contacts.models import Contact, Follow, GroupChat, SyncRun
from contacts.tasks import sync_corp
from demo import knowing, people, plans, visitors
from demo.screen import Screen
from demo.world import MiniProgram, World
from events import reactors
from events.models import Event
from points.models import PointsEntry
from tagging.models import ContactTag
from tenants.actors import SYSTEM
from tenants.models import Brand
from tenants.scope import brand_scope
from wecom import corps

SEED = 7
SIMULATOR = ["--seed", str(SEED), "--guides", "40", "--contacts", "20000", "--corps", "2", "--pace", "2000"]
LEAVING = 300
CONFIRMING_SECONDS = 40
"""how long the story waits for guides; at this pace it is about a day of theirs"""
PATIENCE = 150


class StoryFailed(RuntimeError):
    """A chapter did not come to its end; the message says which and what to look at."""


@dataclass
class Story:
    """One telling. `facts` are the summary's flat keys."""

    web_url: str
    world: World
    screen: Screen
    facts: dict[str, Any] = field(default_factory=dict)

    def tell(self) -> None:
        """Play all chapters."""
        with self.screen.chapter("Moving in: an agency, two brands, four people"):
            self.house = people.move_in()
            plans.set_up_rules(brand_id=self.brand.pk)
        corpids = [corp["corpid"] for corp in self.world.corps()]
        self.corpid = corpids[0]
        with self.screen.chapter("Connecting two WeCom corps, callbacks verified"):
            self.corp_id = self._connect(self.house.brand, 0)
            second = self._connect(self.house.second, 1)
            knowing.set_welcome(brand_id=self.brand.pk, corp_id=self.corp_id)
        with self.screen.chapter("Full sync from WeCom") as told:
            sync_corp.delay(brand_id=self.house.second.pk, corp_id=second)
            self._sync()
            told(f"{self.facts['contacts_synced']:,} of {self.facts['contacts_in_wecom']:,} contacts")
        with self.screen.chapter("Some people scan a guide's code and are welcomed") as told:
            self._welcome()
            told(f"{self.facts['welcomed']} of {self.facts['scanned']} within WeCom's 20 seconds")
        with self.screen.chapter("Some customers delete their guide; callbacks tell") as told:
            self._lose_some()
            told(f"{self.facts['contacts_lost']:,} contacts lost")
        with self.screen.chapter("A week in the mini-program, by REST") as told:
            self._visits()
            told(f"{self.facts['events_ingested']:,} events, {self.facts['contacts_tagged']:,} contacts tagged")
        with self.screen.chapter("The shop's members log in to the mini-program") as told:
            self._recognise()
            told(f"{self.facts['merged']} recognised as WeCom friends, {self.facts['identity_conflicts']} unclear")
        with self.screen.chapter("Planning four pushes") as told:
            self._send_pushes()
            told(
                f"{self.facts['recipients_planned']:,} recipients, {sum(self.facts['suppressed'].values()):,} left out"
            )
            self.buyers = knowing.keep_up_to_date(brand_id=self.brand.pk)
        with self.screen.chapter("Guides confirm in WeCom, some late, some never") as told:
            self._confirm()
            told(f"{self.facts['delivered']:,} delivered, {self.facts['never_confirmed']:,} not confirmed")
        with self.screen.chapter("Customers come back") as told:
            self._come_back()
            facts = self.facts
            told(
                f"{facts['sign_ins']:,} sign-ins, {facts['points_granted']:,} points, {facts['orders']:,} orders, "
                f"{facts['segment_entries']:,} entered a segment"
            )
        with self.screen.chapter("Does WeCom's journal agree?") as told:
            self._check_journal()
            told(f"{self.facts['journal_duplicates']} twice, {self.facts['journal_missing']} missing")

    @property
    def brand(self) -> Brand:
        """The brand the story is about."""
        return self.house.brand

    # Chapters

    def _connect(self, brand: Brand, index: int) -> int:
        """Connect a brand to the `index`-th corp of the simulator, and have it call us back."""
        known = self.world.corps()[index]
        connected = corps.connect(
            brand_id=brand.pk,
            corpid=known["corpid"],
            name=known["name"],
            agent_id=known["apps"][0]["agentid"],
            secret=known["apps"][0]["secret"],
            quota_mode=known["quota_mode"],
            actor=SYSTEM,
            at=timezone.now(),
        )
        url = f"{self.web_url}/callbacks/wecom/{connected.endpoint_id}/"
        self.world.set_callback(known["corpid"], url=url, token=connected.token, aes_key=connected.aes_key)
        return int(connected.corp_id)

    def _sync(self) -> None:
        self.facts["contacts_in_wecom"] = self.world.corps()[0]["contacts"]
        sync_corp.delay(brand_id=self.brand.pk, corp_id=self.corp_id)
        run = self._wait("the sync", self._finished_run, lambda: self._count(Contact), self.facts["contacts_in_wecom"])
        if run.status != SyncRun.Status.DONE:
            raise StoryFailed(f"The sync ended as {run.status}: {run.error}")
        self.facts["contacts_synced"] = self._count(Follow, distinct="contact_id")
        self.facts["follows_synced"] = self._count(Follow)
        self.facts["groups_synced"] = self._count(GroupChat)
        self.facts["sync_seconds"] = round((run.finished_at - run.started_at).total_seconds(), 1)

    def _finished_run(self) -> SyncRun | None:
        with brand_scope(self.brand.pk):
            run = SyncRun.objects.filter(corp_id=self.corp_id).order_by("-started_at").first()
        return run if run and run.status != SyncRun.Status.RUNNING else None

    def _welcome(self) -> None:
        self.facts["scanned"] = scanned = knowing.scan(self.world, self.corpid)

        def welcomed() -> int:
            return knowing.welcomed(brand_id=self.brand.pk, corp_id=self.corp_id)

        self._wait("the welcomes", lambda: welcomed() >= scanned, welcomed, scanned)
        self.facts["welcomed"] = welcomed()

    def _recognise(self) -> None:
        knowing.members_log_in(self.visitors, MiniProgram(self.web_url, self.house.api_key))
        came = knowing.recognised(brand_id=self.brand.pk)
        self.facts["merged"], self.facts["identity_conflicts"] = came.merged, came.conflicts

    def _lose_some(self) -> None:
        self.visitors = list(self.world.people(self.corpid))
        alone = (person for person in self.visitors if len(person["follows"]) == 1)
        friends = (p for p in alone if not p["follows"][0]["deleted_by_customer"])
        leaving = list(islice(friends, LEAVING))
        for person in leaving:
            follow = {"userid": person["follows"][0]["userid"], "external_userid": person["external_userid"]}
            self.world.act("delete_follow", corpid=self.corpid, by="customer", **follow)
        self._wait("the callbacks", lambda: self._count(Contact, lost_at__isnull=False) >= len(leaving))
        self.facts["contacts_lost"] = self._count(Contact, lost_at__isnull=False)

    def _visits(self) -> None:
        events = visitors.week_of_visits(self.visitors, at=timezone.now(), seed=SEED)
        shop = MiniProgram(self.web_url, self.house.api_key)
        sent = 0
        with self.screen.progress("events", len(events)) as moved:
            for start in range(0, len(events), 500):
                sent += shop.send(events[start : start + 500])
                moved(min(start + 500, len(events)))
        self.facts["events_ingested"] = sent
        self._wait("the reactors", self._all_read)
        self.facts["contacts_tagged"] = self._count(ContactTag, distinct="contact_id")

    def _send_pushes(self) -> None:
        self.plans = plans.draft_pushes(brand_id=self.brand.pk)
        self.push_ids: list[int] = []
        # The last one comes after the others, so that it finds the contact budget as they left it.
        for group in ([self.plans.sign_in, self.plans.moments, self.plans.groups], [self.plans.hot]):
            for push_id in group:
                with brand_scope(self.brand.pk):
                    pushes.send(push_id=push_id, actor=SYSTEM, at=timezone.now())
            self.push_ids += group
            self._wait("the plans", self._all_planned)
        with brand_scope(self.brand.pk):
            contacts = Delivery.objects.filter(push_id__in=self.push_ids)
            groups = GroupDelivery.objects.filter(push_id__in=self.push_ids)
            left_out = (
                contacts.filter(status=DeliveryStatus.SUPPRESSED).values_list("reason").annotate(n=Count("contact_id"))
            )
            self.facts["suppressed"] = dict(left_out.order_by("reason"))
            self.facts["holdout"] = contacts.filter(status=DeliveryStatus.HOLDOUT).count()
            kept_back = [DeliveryStatus.SUPPRESSED, DeliveryStatus.HOLDOUT]
            self.facts["recipients_planned"] = contacts.exclude(status__in=kept_back).count()
            self.facts["groups_planned"] = groups.exclude(status__in=kept_back).count()

    def _all_planned(self) -> bool:
        with brand_scope(self.brand.pk):
            done = [Push.Status.SENDING, Push.Status.DONE]
            failed = Push.objects.filter(pk__in=self.push_ids, status=Push.Status.FAILED).first()
            if failed:
                raise StoryFailed(f"Push {failed.name} failed: {failed.error}")
            return Push.objects.filter(pk__in=self.push_ids, status__in=done).count() == len(self.push_ids)

    def _confirm(self) -> None:
        self._wait("the batches", self._all_created)
        started = time.monotonic()
        with self.screen.progress("delivered", self.facts["recipients_planned"]) as moved:
            while time.monotonic() - started < CONFIRMING_SECONDS and not self._all_final():
                moved(self._delivered())
                time.sleep(0.5)
            # What guides did in the last seconds is asked once more, so that our books and WeCom's say the same.
            self._poll_everything()
            moved(self._delivered())
        with brand_scope(self.brand.pk):
            rows = Delivery.objects.filter(push_id__in=self.push_ids)
            self.facts["delivered"] = rows.filter(status=DeliveryStatus.DELIVERED).count()
            failed = rows.filter(status=DeliveryStatus.FAILED).values_list("reason").annotate(n=Count("contact_id"))
            self.facts["failed"] = dict(failed.order_by("reason"))
            self.facts["never_confirmed"] = rows.filter(status=DeliveryStatus.CREATED).count()
            groups = GroupDelivery.objects.filter(push_id__in=self.push_ids, status=DeliveryStatus.DELIVERED)
            self.facts["groups_delivered"] = groups.count()
            batches = Batch.objects.filter(push_id__in=self.push_ids)
            self.facts["batches"] = batches.count()
            self.facts["batches_confirmed"] = batches.exclude(confirmed_at=None).count()

    def _all_created(self) -> bool:
        with brand_scope(self.brand.pk):
            open_ones = [Batch.Status.PENDING, Batch.Status.CLAIMED, Batch.Status.UNKNOWN]
            return not Batch.objects.filter(push_id__in=self.push_ids, status__in=open_ones).exists()

    def _all_final(self) -> bool:
        with brand_scope(self.brand.pk):
            return not Batch.objects.filter(push_id__in=self.push_ids, status=Batch.Status.CREATED).exists()

    def _poll_everything(self) -> None:
        self.asked_at = asked_at = timezone.now()
        with brand_scope(self.brand.pk):
            for push_id in self.push_ids:
                results.poll_now(push_id=push_id, at=asked_at)

        def polled() -> bool:
            with brand_scope(self.brand.pk):
                waiting = Batch.objects.filter(push_id__in=self.push_ids, status=Batch.Status.CREATED)
                return not waiting.exclude(polled_at__gt=asked_at).exists()

        self._wait("the last results", polled)

    def _delivered(self) -> int:
        with brand_scope(self.brand.pk):
            return Delivery.objects.filter(push_id__in=self.push_ids, status=DeliveryStatus.DELIVERED).count()

    def _come_back(self) -> None:
        with brand_scope(self.brand.pk):
            reached = set(
                Delivery.objects.filter(push_id=self.plans.sign_in, status=DeliveryStatus.DELIVERED).values_list(
                    "external_userid", flat=True
                )
            )
        people_back = [p for p in self.visitors if p["external_userid"] in reached and p["unionid"]]
        events = visitors.come_back(people_back, at=timezone.now(), seed=SEED)
        MiniProgram(self.web_url, self.house.api_key).send(events)
        self._wait("the points", self._all_read)
        self._wait("the segments", lambda: knowing.has_all_buyers(brand_id=self.brand.pk, segment_id=self.buyers))
        with brand_scope(self.brand.pk):
            self.facts["sign_ins"] = Event.objects.filter(type="sign_in").count()
            self.facts["orders"] = Event.objects.filter(type="order_paid").count()
            granted = PointsEntry.objects.filter(amount__gt=0, account__contact__isnull=False).aggregate(
                n=Sum("amount")
            )
            self.facts["points_granted"] = int(granted["n"] or 0)
            self.facts["segment_entries"] = Event.objects.filter(type="segment_entered").count()

    def _check_journal(self) -> None:
        """Hold our deliveries against what customers received: nobody twice, nobody reported who got nothing."""
        received: dict[tuple[str, str], int] = {}
        known: set[tuple[str, str]] = set()
        for kind in ("single", "moment", "group"):
            for row in self.world.journal(self.corpid, kind):
                who = row.get("chat_id") if kind == "group" else row["external_userid"]
                key = (str(row.get("msgid") or row.get("moment_id")), str(who))
                received[key] = received.get(key, 0) + 1
                if row["at"] < self.asked_at.timestamp():
                    known.add(key)
        with brand_scope(self.brand.pk):
            told = set(
                Delivery.objects.filter(push_id__in=self.push_ids, status=DeliveryStatus.DELIVERED).values_list(
                    "batch__msgid", "external_userid"
                )
            )
            told |= set(
                GroupDelivery.objects.filter(push_id__in=self.push_ids, status=DeliveryStatus.DELIVERED).values_list(
                    "batch__msgid", "chat__chat_id"
                )
            )
        summary = self.world.summary(self.corpid)
        self.facts["journal_messages"] = sum(received.values())
        self.facts["journal_duplicates"] = sum(n - 1 for n in received.values()) + int(summary.get("duplicates", 0))
        self.facts["journal_missing"] = len(told - received.keys())
        # What was received before we last asked must be in our books; guides go on confirming while we look.
        self.facts["journal_unreported"] = len(known - told)

    # Helpers

    def _all_read(self) -> bool:
        with brand_scope(self.brand.pk):
            return reactors.first_unread(self.brand.pk) is None

    def _count(self, model: Any, *, distinct: str = "", **having: Any) -> int:
        with brand_scope(self.brand.pk):
            rows = model.objects.filter(**having)
            return int(rows.values(distinct).distinct().count() if distinct else rows.count())

    def _wait(
        self, what: str, done: Callable[[], Any], count: Callable[[], int] | None = None, total: int | None = None
    ) -> Any:
        """Look until `done` gives something true; raises StoryFailed when it takes too long."""
        deadline = time.monotonic() + PATIENCE
        with self.screen.progress(what, total) as moved:
            while True:
                found = done()
                if count:
                    moved(count())
                if found:
                    return found
                if time.monotonic() > deadline:
                    raise StoryFailed(f"Waited {PATIENCE} s for {what}. The logs are under .orchard/logs.")
                time.sleep(0.25)
