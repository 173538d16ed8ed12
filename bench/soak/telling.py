"""A brand with a corp of its own simulator, in which a story can be told: its clock, its patience, its callbacks.

Time is told: ours by `at`, the simulator's clock is moved along with it."""

import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.utils import timezone

from bench.soak.trouble import PEACE
from scrm.lib.errors import DomainError
from tenants.models import Brand
from tenants.scope import brand_scope
from wecom import draining, store
from wecom.client import WeComClient, client_for
from wecom.models import CallbackEndpoint, Corp, CorpApp, InboxItem
from wecom.simulator.testing import Simulator

TOKEN = "QDG6eK"  # noqa: S105 - of the story's own corp
AES_KEY = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
LONGEST = timedelta(days=10)
"""of the story's time, for the loops to end: tasks that nobody confirms are taken back after seven days"""


class Stuck(Exception):
    """The loops did not come to an end."""


class Telling:
    """One brand, its corp, and the time that it is."""

    def __init__(self, simulator: Simulator, *, public_url: str) -> None:
        self.simulator, self.at = simulator, timezone.now()
        self.survived: Counter[str] = Counter()
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
        """What happens inside is the brand's."""
        with brand_scope(self.brand.pk):
            yield

    @property
    def wecom(self) -> WeComClient:
        """The corp's client."""
        return client_for(brand_id=self.brand.pk, corp_id=self.corp.pk)

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

    def met(self, work: Callable[[], object]) -> bool:
        """Do it as a worker does: a refusal is counted, and what it was about is due again. Whether it went well."""
        try:
            work()
        except DomainError as trouble:
            self.survived[trouble.problem_code] += 1
            return False
        return True

    def until_done(self, work: Callable[[], bool]) -> None:
        """Again and again, a minute apart, until it says that it is done."""
        until = self.at + LONGEST
        done = False

        def once() -> None:
            nonlocal done
            done = work()

        while not (self.met(once) and done):
            if self.at > until:
                raise Stuck(f"{work} does not end: {dict(self.survived)}")
            self.later(timedelta(minutes=1))

    def heard(self) -> None:
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
            self.heard()
            with self.scope():
                if not InboxItem.objects.filter(status=InboxItem.Status.PENDING).exists():
                    return
            if self.at > until:
                raise Stuck("the inbox does not empty")
            self.later(timedelta(minutes=10))

    def people(self) -> list[dict[str, Any]]:
        """WeCom's customers with their guides, as the simulator's world has them."""
        return list(self.simulator.get(f"/_sim/corps/{self.corpid}/people", limit=5000)["items"])

    def pairs(self) -> list[tuple[str, str]]:
        """(guide, customer) of whom neither has deleted the other, in an order that every telling has."""
        return sorted(
            (follow["userid"], person["external_userid"])
            for person in self.people()
            for follow in person["follows"]
            if not follow["deleted_by_customer"]
        )

    def act(self, what: str, /, **request: Any) -> dict[str, Any]:
        """Somebody does something in WeCom."""
        return self.simulator.act(what, corpid=self.corpid, **request)
