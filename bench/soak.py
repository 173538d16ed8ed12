"""The fault matrix: the same story told twice, once in peace and once while WeCom does everything it can do wrong.

A story: a full sync; people come and go, told by callbacks; guides' lists are compared; a mass send, a send to groups
and a Moment are planned, sent, confirmed and followed to their results; a last full sync. In the second telling calls
are lost before and after their effect, refused, answered late or by half an answer, and callbacks are lost, doubled and
shuffled. When the faults are over and the loops have run, our state must be that of the first telling, and the
simulator's journal must show nobody anything twice.

Time is told: ours by `at`, the simulator's clock is moved along with it."""

import hashlib
import json
import os
import secrets
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Min, Q, Sum
from django.utils import timezone

from bench.measure import Measure
from bench.scratch import Admin
from campaigns import confirm, content, dispatch, moments, plan, pushes, results
from campaigns.models import Batch, Channel, Delivery, GroupDelivery, Push, Reservation
from contacts import reconcile, sync
from contacts.models import Contact, Follow, GroupChat, GroupMember, Reconciliation, Staff, SyncRun
from events.models import Event
from scrm.lib.errors import DomainError
from scrm.runtime import environment, programs
from scrm.runtime.state import free_port
from tenants.actors import SYSTEM
from tenants.models import Brand
from tenants.scope import brand_scope
from wecom import draining, store
from wecom.client import WeComClient, client_for
from wecom.models import CallbackEndpoint, Corp, CorpApp, InboxItem
from wecom.simulator.testing import Simulator, running_simulator

CALLS: tuple[dict[str, Any], ...] = (
    {"mode": "timeout_before"},
    {"mode": "timeout_after"},
    {"mode": "reset"},
    {"mode": "reset_after"},
    {"mode": "http_500"},
    {"mode": "http_500_after"},
    {"mode": "garbage"},
    {"mode": "garbage_after"},
    {"mode": "slow", "delay": 0.1},
    {"mode": "errcode", "errcode": -1},
    {"mode": "errcode", "errcode": 45009},
    {"mode": "errcode", "errcode": 45033},
    {"mode": "errcode", "errcode": 40014},
    {"mode": "errcode", "errcode": 42001},
)
"""what befalls calls, each at the same rate"""
CALLBACKS = {"callback_loss_rate": 0.2, "callback_duplicate_rate": 0.3, "callback_shuffle_rate": 0.3}
PEACE = {
    "dispatch_seconds": 0.0,
    "moment_job_seconds": 0.0,
    "delete_after_send_rate": 0.0,
    "like_rate": 0.0,
    "comment_rate": 0.0,
    **dict.fromkeys(CALLBACKS, 0.0),
}
SURE: tuple[dict[str, Any], ...] = (
    {"path": "externalcontact/add_msg_template", "mode": "timeout_after", "count": 1},
    {"path": "externalcontact/add_msg_template", "mode": "reset", "count": 1},
    {"path": "externalcontact/add_msg_template", "mode": "garbage_after", "count": 1},
    {"path": "externalcontact/add_moment_task", "mode": "http_500_after", "count": 1},
    {"path": "externalcontact/mark_tag", "mode": "errcode", "errcode": 45033, "count": 5},
    {"path": "externalcontact/batch/get_by_user", "mode": "reset_after", "count": 2},
)
"""what must not be left to chance"""
STORIES, RATES = 12, (0.1, 0.3, 0.5)
FIRST_PORT, PATIENCE_SECONDS = 18_800, 60
TOKEN = "QDG6eK"  # noqa: S105 - of the story's own corp
AES_KEY = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
LONGEST = timedelta(days=10)
"""of the story's time, for the loops to end: tasks that nobody confirms are taken back after seven days"""
OPEN = (Batch.Status.PENDING, Batch.Status.CLAIMED, Batch.Status.UNKNOWN, Batch.Status.CREATED)


class Stuck(Exception):
    """The loops did not come to an end."""


@dataclass
class Ending:
    """How a telling ended."""

    digest: dict[str, str]
    """of each part of our state"""
    state: dict[str, list[Any]]
    """the same in full, to see what differs"""
    twice: list[str]
    """receipts that the simulator's journal shows more than once"""
    received: int
    injected: Counter[str] = field(default_factory=Counter)
    survived: Counter[str] = field(default_factory=Counter)
    """what our side met and went on after, by what it was called there"""


class Telling:
    """One brand with a corp of its own simulator, and the story."""

    def __init__(self, simulator: Simulator, *, public_url: str) -> None:
        self.simulator, self.at = simulator, timezone.now()
        self.survived: Counter[str] = Counter()
        self._rules: list[dict[str, Any]] = []
        shown = simulator.corps()[0]
        app = shown["apps"][0]
        self.corpid = str(shown["corpid"])
        self.simulator.post("/_sim/switches", PEACE)
        self.brand = Brand.objects.create(name="soak", slug=f"soak-{secrets.token_hex(4)}")
        with self.scope():
            self.corp = Corp.objects.create(
                corpid=self.corpid,
                name="soak",
                connected_at=self.at,
                callback_token=TOKEN,
                callback_aes_key=AES_KEY,
            )
            CorpApp.objects.create(corp=self.corp, agent_id=app["agentid"], kind="contact", secret=app["secret"])
        endpoint = CallbackEndpoint.objects.create(brand=self.brand, corp_id=self.corp.pk)
        hook = {"url": f"{public_url}/callbacks/wecom/{endpoint.pk}/", "token": TOKEN, "aes_key": AES_KEY}
        answer = simulator.post(f"/_sim/corps/{self.corpid}/callback", {**hook, "timeout": 10})
        if not answer["ok"]:
            raise Stuck(f"callbacks do not arrive: {answer['error']}")

    @contextmanager
    def scope(self) -> Iterator[None]:
        with brand_scope(self.brand.pk):
            yield

    @property
    def wecom(self) -> WeComClient:
        return client_for(brand_id=self.brand.pk, corp_id=self.corp.pk)

    # -- trouble --

    def trouble(self, rate: float, sure: Sequence[dict[str, Any]] = SURE) -> None:
        """From now on calls go wrong at this rate in all, and some for sure."""
        self._rules = [*sure, *({"path": "*", "rate": rate / len(CALLS), **rule} for rule in CALLS)]
        for rule in self._rules:
            self.simulator.post("/_sim/faults", rule)

    def peace(self) -> Counter[str]:
        """No more faults; what befell calls and callbacks until now."""
        hits = [rule["hits"] for rule in self.simulator.get("/_sim/faults")["items"]]
        self.simulator.delete("/_sim/faults")
        self.simulator.post("/_sim/switches", dict.fromkeys(CALLBACKS, 0.0))
        injected: Counter[str] = Counter()
        for rule, number in zip(self._rules, hits, strict=True):
            injected[" ".join(str(rule[part]) for part in ("mode", "errcode") if part in rule)] += number
        counted = self.simulator.get("/_sim/counters")["callbacks"]
        for name in ("lost", "duplicated", "shuffled"):
            injected[f"callback {name}"] += counted.get(name, 0)
        return injected

    def later(self, passed: timedelta) -> None:
        """Time goes on, here and at WeCom."""
        self.at += passed
        self.simulator.post("/_sim/clock", {"advance_seconds": passed.total_seconds()})
        if passed >= timedelta(minutes=1):
            # A minute of quiet after a 45009, or after a refused token, is a minute of the story, not of ours.
            known = store.connection()
            for pattern in ("wecom:blocked:*", "wecom:strikes:*", "wecom:refusal:*"):
                if keys := [*known.scan_iter(pattern)]:
                    known.delete(*keys)

    def _met(self, work: Callable[[], object]) -> bool:
        """Do it as a worker does: a refusal is counted, and what it was about is due again. Whether it went well."""
        try:
            work()
        except DomainError as trouble:
            self.survived[trouble.problem_code] += 1
            return False
        return True

    def _until_done(self, work: Callable[[], bool]) -> None:
        """Again and again, a minute apart, until it says that it is done."""
        until = self.at + LONGEST
        done = False

        def once() -> None:
            nonlocal done
            done = work()

        while not (self._met(once) and done):
            if self.at > until:
                raise Stuck(f"{work} does not end: {dict(self.survived)}")
            self.later(timedelta(minutes=1))

    # -- the story --

    def sync(self) -> None:
        """A full sync, until one is complete."""

        def once() -> bool:
            run_id = sync.start(brand_id=self.brand.pk, corp_id=self.corp.pk, at=self.at)
            run = sync.run_to_end(brand_id=self.brand.pk, run_id=run_id, wecom=self.wecom, at=self.at)
            if run.status != SyncRun.Status.DONE:
                self.survived[f"sync {run.status}"] += 1
            return run.status == SyncRun.Status.DONE

        self._until_done(once)

    def people_come_and_go(self, *, lossy: bool) -> None:
        """Customers and guides act; callbacks tell, or do not."""
        if lossy:
            self.simulator.post("/_sim/switches", {**CALLBACKS, "callback_loss_rate": 0.0})
        pairs = self._pairs()
        for place, (userid, external) in enumerate(pairs[:6]):
            # A lost del_follow_user is told by nothing else, so these are not lost.
            if place % 3 == 0:
                self._act("delete_follow", userid=userid, external_userid=external, by="customer")
        self._heard()
        if lossy:
            self.simulator.post("/_sim/switches", CALLBACKS)
        guides = sorted({userid for userid, _external in pairs})
        for place, (userid, external) in enumerate(pairs[6:30]):
            if place % 4 == 0:
                self._act("delete_follow", userid=userid, external_userid=external, by="guide")
            elif place % 4 == 1:
                self._act("edit", userid=userid, external_userid=external, remark=f"备注{place}")
        for number in range(8):
            self._act("scan", userid=guides[number % len(guides)], state=f"door-{number}")
        owner = guides[0]
        theirs = [external for userid, external in self._pairs() if userid == owner]
        made = self._act("create_group", userid=owner, name="果园群", external_userids=theirs[:5])
        self._act("join_group", chat_id=made["chat_id"], external_userid=theirs[5])
        self._act("leave_group", chat_id=made["chat_id"], external_userid=theirs[0])
        self._heard()

    def compare(self) -> None:
        """Every guide's list is compared once."""
        with self.scope():
            wanted = Staff.objects.filter(corp=self.corp, is_guide=True, left_at=None).count()
        compared = 0

        def some() -> bool:
            nonlocal compared
            compared += reconcile.step(
                brand_id=self.brand.pk, corp_id=self.corp.pk, wecom=self.wecom, clock=lambda: self.at
            )
            return compared >= wanted

        self._until_done(some)

    def push(self, channel: str, text: str) -> None:
        """A push to everybody, sent by the loops."""
        with self.scope():
            said = content.save(name=text, channel=channel, text=text, actor=SYSTEM, at=self.at)
            draft = pushes.Draft(name=text, channel=channel, variants=[pushes.VariantDraft(said.pk)])
            made = pushes.create(draft=draft, actor=SYSTEM, at=self.at)
            Push.objects.filter(pk=made.pk).update(status=Push.Status.SCHEDULED, scheduled_at=self.at)
        plan.plan(brand_id=self.brand.pk, push_id=made.pk, at=self.at)

    def loops(self, *, rounds: int) -> None:
        """What tick and workers do, `rounds` times, each at the next moment at which anything is due."""
        for _round in range(rounds):
            self._tick()
            self._heard()
            self.simulator.act("settle", corpid=self.corpid)
            if (due := self._next_due()) is None:
                return
            self.later(max(due - self.at, timedelta(minutes=1)))

    def to_the_end(self) -> None:
        """The loops until no batch is open."""
        until = self.at + LONGEST
        while self._next_due() is not None:
            if self.at > until:
                with self.scope():
                    rows = Batch.objects.filter(status__in=OPEN)
                    left = list(rows.values_list("push__name", "status", "error_code"))
                raise Stuck(f"batches do not end: {left}")
            self.loops(rounds=3)
            with self.scope():
                only_looks = not Batch.objects.filter(status__in=OPEN).exclude(status=Batch.Status.CREATED).exists()
            if only_looks:
                # Who has not been shown it by now deleted the guide: each look in between would tell the same.
                self.later(timedelta(days=2))

    def _tick(self) -> None:
        with self.scope():
            dispatch.find_stale(at=self.at)
            results.finish(at=self.at)
            rows = list(Batch.objects.select_related("push").order_by("push_id", "pk"))
        for batch in rows:
            self._met(lambda batch=batch: self._work(batch))  # type: ignore[misc]

    def _work(self, batch: Batch) -> None:
        whose: dict[str, Any] = {
            "brand_id": self.brand.pk,
            "batch_id": batch.pk,
            "wecom": self.wecom,
            "at": self.at,
        }
        is_moment = batch.push.channel == Channel.MOMENTS
        status = Batch.Status
        if batch.status in (status.PENDING, status.CLAIMED) and batch.due_at <= self.at:
            if is_moment:
                while moments.advance(**whose):
                    pass
            elif batch.status == status.PENDING:
                dispatch.send(**whose)
        elif batch.status == status.UNKNOWN and batch.due_at <= self.at:
            self.survived["batch unknown, WeCom asked"] += 1
            (moments if is_moment else dispatch).reconcile(**whose)
        elif batch.status == status.CREATED and batch.poll_due_at and batch.poll_due_at <= self.at:
            confirm.follow(**whose)

    def _next_due(self) -> datetime | None:
        with self.scope():
            rows = Batch.objects.filter(status__in=OPEN)
            found = rows.aggregate(
                act=Min("due_at", filter=~Q(status=Batch.Status.CREATED)),
                look=Min("poll_due_at", filter=Q(status=Batch.Status.CREATED)),
            )
        times = [moment for moment in found.values() if moment is not None]
        return min(times) if times else None

    def _heard(self) -> None:
        """WeCom has told what it tells, and the inbox is worked through as far as it goes now."""
        deadline = time.monotonic() + 60
        while self.simulator.get("/_sim/counters")["callbacks"].get("pending"):
            if time.monotonic() > deadline:
                raise Stuck("callbacks do not leave")
            time.sleep(0.02)
        # An item that failed is tried again at the story's time.
        while draining.drain_some(brand_id=self.brand.pk, clock=lambda: max(self.at, timezone.now())):
            pass

    def inbox_empty(self) -> None:
        """Until nothing waits in the inbox."""
        until = self.at + LONGEST
        while True:
            self._heard()
            with self.scope():
                if not InboxItem.objects.filter(status=InboxItem.Status.PENDING).exists():
                    return
            if self.at > until:
                raise Stuck("the inbox does not empty")
            self.later(timedelta(minutes=10))

    def _pairs(self) -> list[tuple[str, str]]:
        people = self.simulator.get(f"/_sim/corps/{self.corpid}/people", limit=5000)["items"]
        return sorted(
            (follow["userid"], person["external_userid"])
            for person in people
            for follow in person["follows"]
            if not follow["deleted_by_customer"]
        )

    def _act(self, what: str, /, **request: Any) -> dict[str, Any]:
        return self.simulator.act(what, corpid=self.corpid, **request)

    # -- how it ended --

    def state(self) -> dict[str, list[Any]]:
        """What we hold, by names that do not depend on when or how often it was written."""
        with self.scope():
            follows = Follow.objects.filter(staff__corp=self.corp)
            names = follows.values_list("contact_id", "external_userid").order_by("external_userid")
            known: dict[int | None, str] = dict(names)
            members = GroupMember.objects.filter(chat__corp=self.corp, left_at=None, chat__dismissed_at=None)
            groups = GroupChat.objects.filter(corp=self.corp, dismissed_at=None)
            mended = Reconciliation.objects.aggregate(added=Sum("added"), lost=Sum("lost"))
            self.survived["mended by comparing lists"] = (mended["added"] or 0) + (mended["lost"] or 0)
            told = Event.objects.exclude(contact_id=None).values_list("type", "contact_id", "props__reason")
            return {
                "staff": _sorted(
                    Staff.objects.filter(corp=self.corp).values_list("userid", "name", "is_guide", "store__name")
                ),
                "friendships": _sorted(
                    (userid, external, remark, state, lost_at is None, by)
                    for userid, external, remark, state, lost_at, by in follows.values_list(
                        "staff__userid", "external_userid", "remark", "state", "lost_at", "lost_by"
                    )
                ),
                "contacts": _sorted(
                    (known.get(pk), name, guide, state, lost_at is None)
                    for pk, name, guide, state, lost_at in Contact.objects.values_list(
                        "pk", "name", "main_guide__userid", "source_state", "lost_at"
                    )
                ),
                "groups": _sorted(groups.values_list("chat_id", "name", "owner__userid", "member_count")),
                "members": _sorted(members.values_list("chat__chat_id", "member_id", "kind")),
                "deliveries": _sorted(
                    (push, known.get(contact), status, reason)
                    for push, contact, status, reason in Delivery.objects.values_list(
                        "push__name", "contact_id", "status", "reason"
                    )
                ),
                "group deliveries": _sorted(
                    GroupDelivery.objects.values_list("push__name", "chat__chat_id", "status", "reason")
                ),
                "budget": _sorted(
                    (push, known.get(contact), status)
                    for push, contact, status in Reservation.objects.values_list("push__name", "contact_id", "status")
                ),
                "pushes": _sorted(Push.objects.values_list("name", "status")),
                "events": _sorted((kind, known.get(contact), reason) for kind, contact, reason in told),
            }

    def ended(self, injected: Counter[str]) -> Ending:
        """Compare-ready."""
        state = self.state()
        receipts = Counter(
            (row["kind"], row["text"], row["external_userid"], row.get("chat_id") or "")
            for row in self.simulator.journal(corpid=self.corpid)
        )
        state["received"] = _sorted(receipts)
        digest = {
            part: hashlib.sha256(json.dumps(rows, ensure_ascii=False).encode()).hexdigest()[:12]
            for part, rows in state.items()
        }
        twice = [f"{number} × {what}" for what, number in receipts.items() if number > 1]
        return Ending(digest, state, twice, sum(receipts.values()), injected, self.survived)


def tell(telling: Telling, *, rate: float) -> Ending:
    """The story from beginning to end; `rate` of the calls go wrong until the last part. Raises Stuck."""
    is_troubled = rate > 0
    if is_troubled:
        telling.trouble(rate)
    telling.sync()
    telling.people_come_and_go(lossy=is_troubled)
    telling.compare()
    telling.push(Channel.SINGLE, "会员日签到有礼")
    telling.loops(rounds=5)
    telling.push(Channel.GROUP, "群里见")
    telling.push(Channel.MOMENTS, "秋天的果园")
    telling.loops(rounds=8)
    injected = telling.peace()
    telling.inbox_empty()
    telling.compare()
    telling.sync()
    telling.to_the_end()
    return telling.ended(injected)


def measure(_admin: Admin, scale: float, _rounds: int) -> list[Measure]:
    """The long telling: many stories, each in its own trouble. Raises RuntimeError when one ends differently."""
    settings.WECOM_TIMEOUT_SECONDS = 1
    stories, injected, survived = max(1, round(STORIES * scale)), Counter[str](), Counter[str]()
    with web_process() as url:
        for number in range(stories):
            endings = [_told(url, seed=100 + number, rate=rate) for rate in (0.0, RATES[number % len(RATES)])]
            if found := [*differences(*endings), *endings[1].twice]:
                raise RuntimeError(f"Story {number} ended differently: {found}")
            injected += endings[1].injected
            survived += endings[1].survived
            print(table(endings[1]), flush=True)
    total = sum(injected.values())
    met = ", ".join(f"{what} {number}" for what, number in sorted(survived.items()))
    note = f"{stories} stories ended as in peace, nobody heard anything twice; met by our loops: {met}"
    return [Measure("faults survived", total, "faults", total, 1.0, note)]


def _told(url: str, *, seed: int, rate: float) -> Ending:
    with running_simulator(guides=6, contacts=200, seed=seed, confirm_rate=1.0) as simulator:
        settings.WECOM_API_BASE = simulator.api_base
        return tell(Telling(simulator, public_url=url), rate=rate)


@contextmanager
def web_process() -> Iterator[str]:
    """The address of a web process of the product, for callbacks."""
    port = free_port(FIRST_PORT, taken=set())
    program = programs.web(port=port)
    log = environment.state_directory() / "logs" / "bench-soak-web.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as out:
        process = subprocess.Popen(  # noqa: S603 - our own program
            program.command, env={**os.environ, **program.environ}, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
        try:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while trouble := programs.not_ready(program):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"The web process did not start: {trouble} (see {log})")
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def differences(peaceful: Ending, troubled: Ending) -> list[str]:
    """What is not the same in the two, with some of the rows."""
    found = []
    for part, rows in peaceful.state.items():
        other = troubled.state[part]
        if rows != other:
            missing = [row for row in rows if row not in other][:3]
            extra = [row for row in other if row not in rows][:3]
            found.append(f"{part}: {len(rows)} and {len(other)}; only in peace {missing}, only in trouble {extra}")
    return found


def table(ending: Ending) -> str:
    """What was injected and what survived, as text in columns."""
    lines = [f"{'injected':28}{'times':>6}", "-" * 34]
    lines += [f"{what:28}{number:6}" for what, number in sorted(ending.injected.items())]
    lines += [f"{'in all':28}{sum(ending.injected.values()):6}", "", f"{'met by our loops':28}{'times':>6}", "-" * 34]
    lines += [f"{what:28}{number:6}" for what, number in sorted(ending.survived.items())]
    lines += ["", f"{'part of our state':28}{'rows':>6}  digest", "-" * 48]
    lines += [f"{part:28}{len(ending.state[part]):6}  {digest}" for part, digest in ending.digest.items()]
    lines.append(f"{'received twice':28}{len(ending.twice):6}")
    return "\n".join(lines)


def _sorted(rows: Any) -> list[Any]:
    return sorted((list(row) for row in rows), key=lambda row: [str(cell) for cell in row])
