"""Full sync from the simulator, beside raw upserts of exactly the rows it wrote.

The floor is what the database alone needs: the same tables, indexes and policies, the runtime role, transactions of
the same size, and statements whose text is made before the clock starts. The sync also reads, over HTTP from a
simulator on the same two cores, parses, and decides."""

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.utils import timezone

from bench.measure import Measure, seconds
from bench.scratch import Admin
from contacts import sync
from contacts.models import SyncRun
from contacts.reading import PAIRS_PER_PAGE
from tenants.models import Brand
from tenants.scope import brand_scope
from wecom.client import client_for
from wecom.models import Corp, CorpApp
from wecom.simulator.testing import Simulator, running_simulator

CONTACTS, GUIDES = 100_000, 200
MOST_SECONDS = 30
WRITTEN = (
    "contacts_store",
    "contacts_staff",
    "contacts_contact",
    "contacts_identity",
    "contacts_follow",
    "contacts_groupchat",
    "contacts_groupmember",
)
BY_PAIRS = {
    "contacts_contact": "JOIN first p ON p.contact_id = t.id",
    "contacts_identity": "JOIN first p ON p.contact_id = t.contact_id",
    "contacts_follow": "JOIN pair p ON p.contact_id = t.contact_id AND p.staff_id = t.staff_id",
}
"""tables that the sync writes a thousand pairs at a time, and how a row finds its portion"""
KEYS = {
    "contacts_follow": ("brand_id", "staff_id", "contact_id"),
    "contacts_groupmember": ("brand_id", "chat_id", "member_id"),
}

Transactions = list[list[str]]


@dataclass
class _Round:
    contacts: int
    calls: int
    pages: int
    """calls of batch/get_by_user"""
    fewest: int
    """the sum of ⌈pairs / 100⌉ over the chunks of at most 100 guides"""
    product: float
    floor: float
    begun_mb: float
    """resident memory when a quarter of the time was over"""
    most_mb: float


def measure(admin: Admin, scale: float, rounds: int) -> list[Measure]:
    """Contacts per second of a first full sync."""
    guides = max(2, round(GUIDES * scale))
    with running_simulator(guides=guides, contacts=max(100, round(CONTACTS * scale))) as simulator:
        brand_id, corp_id = _connect(simulator)
        done = [_round(admin, simulator, brand_id, corp_id) for _ in range(rounds)]
    contacts, calls = done[0].contacts, done[0].calls
    best = min(done, key=lambda each: each.product)
    leanest = min(done, key=lambda each: each.most_mb / each.begun_mb)
    return [
        Measure(
            "full sync",
            contacts / min(each.product for each in done),
            "contacts/s",
            contacts / min(each.floor for each in done),
            goal=0.5,
            note=f"{contacts:,} contacts of {guides} guides in {calls:,} calls of the simulator's API; "
            "floor: the same rows by INSERT … ON CONFLICT, runtime role, transactions of 1,000 pairs, text ready",
        ),
        Measure(
            "full sync, time",
            MOST_SECONDS * contacts / CONTACTS,
            "s allowed",
            best.product,
            1.0,
            f"{best.product:.1f} s; {MOST_SECONDS} s are allowed for {CONTACTS:,} contacts",
        ),
        Measure(
            "full sync, pages",
            best.fewest,
            "calls",
            best.pages,
            0.95,
            f"batch/get_by_user: {best.pages:,} calls; Σ⌈n/100⌉ over chunks of at most 100 guides is {best.fewest:,}",
        ),
        Measure(
            "full sync, memory",
            leanest.begun_mb,
            "MB",
            leanest.most_mb,
            0.9,
            f"resident after a quarter of the time {leanest.begun_mb:.0f} MB, at most {leanest.most_mb:.0f} MB",
        ),
    ]


def _connect(simulator: Simulator) -> tuple[int, int]:
    """(brand, corp) whose WeCom is the simulator."""
    settings.WECOM_API_BASE = simulator.api_base
    shown = simulator.corps()[0]
    brand = Brand.objects.create(name="bench sync", slug="bench-sync")
    with brand_scope(brand.pk):
        corp = Corp.objects.create(corpid=shown["corpid"], name=shown["name"], connected_at=timezone.now())
        app = shown["apps"][0]
        CorpApp.objects.create(corp=corp, agent_id=app["agentid"], kind="contact", secret=app["secret"])
    return brand.pk, corp.pk


def _round(admin: Admin, simulator: Simulator, brand_id: int, corp_id: int) -> _Round:
    admin.empty(*WRITTEN, "contacts_syncrun")
    simulator.delete("/_sim/counters")
    finished: list[SyncRun] = []
    with _Memory() as memory:
        product = seconds(lambda: finished.append(_sync(brand_id, corp_id)))
    pages = simulator.get("/_sim/counters")["calls"]["externalcontact/batch/get_by_user"]
    counts = finished[0].counts
    if finished[0].status != SyncRun.Status.DONE:
        raise RuntimeError(f"The sync ended {finished[0].status}: {finished[0].error}")
    chunks = admin.rows("SELECT follows_seen FROM contacts_syncchunk")
    fewest = sum(-(-pairs // PAIRS_PER_PAGE) for (pairs,) in chunks)
    transactions = list(_transactions(admin))
    admin.empty(*WRITTEN, "contacts_syncrun")
    floor = seconds(lambda: _upsert(brand_id, transactions))
    return _Round(
        contacts=int(counts["contacts_stored"]),
        calls=int(counts["calls"]),
        pages=int(pages),
        fewest=fewest,
        product=product,
        floor=floor,
        begun_mb=memory.after_a_quarter,
        most_mb=memory.most,
    )


class _Memory:
    """How much of this process was resident while the block ran, looked at ten times a second."""

    def __enter__(self) -> "_Memory":
        self._over = threading.Event()
        self._seen: list[float] = []
        self._watcher = threading.Thread(target=self._watch)
        self._watcher.start()
        return self

    def __exit__(self, *_trouble: object) -> None:
        self._over.set()
        self._watcher.join()

    def _watch(self) -> None:
        while True:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self._seen.append(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)
            if self._over.wait(0.1):
                return

    @property
    def most(self) -> float:
        """MB."""
        return max(self._seen)

    @property
    def after_a_quarter(self) -> float:
        """MB: by then imports are done and buffers have their size."""
        return self._seen[len(self._seen) // 4]


def _sync(brand_id: int, corp_id: int) -> SyncRun:
    at = timezone.now()
    run_id = sync.start(brand_id=brand_id, corp_id=corp_id, at=at)
    wecom = client_for(brand_id=brand_id, corp_id=corp_id)
    return sync.run_to_end(brand_id=brand_id, run_id=run_id, wecom=wecom, at=at)


def _upsert(brand_id: int, transactions: Transactions) -> None:
    for statements in transactions:
        with brand_scope(brand_id), connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


def _transactions(admin: Admin) -> Iterator[list[str]]:
    """The rows that are there, as transactions of statements that would write them again."""
    rows = {table: _rows(admin, table) for table in WRITTEN}
    for table in ("contacts_store", "contacts_staff"):
        yield from ([_statement(admin, table, some)] for some in rows[table].values())
    for portion in rows["contacts_follow"]:
        yield [_statement(admin, table, rows[table][portion]) for table in BY_PAIRS if portion in rows[table]]
    for table in ("contacts_groupchat", "contacts_groupmember"):
        yield from ([_statement(admin, table, some)] for some in rows[table].values())


def _rows(admin: Admin, table: str) -> dict[int, list[str]]:
    """Each row as the text of its values, by the number of its transaction."""
    values = ", ".join(f"quote_nullable(t.{column})" for column in admin.columns(table))
    join = BY_PAIRS.get(table, "CROSS JOIN (SELECT 0 AS portion) p")
    found = admin.rows(
        f"""WITH pair AS (
              SELECT staff_id, contact_id,
                     (row_number() OVER (ORDER BY contact_id, staff_id) - 1) / {sync.PAIRS_PER_WRITE} AS portion
              FROM contacts_follow
            ), first AS (SELECT contact_id, min(portion) AS portion FROM pair GROUP BY contact_id)
            SELECT p.portion, '(' || concat_ws(',', {values}) || ')' FROM {table} t {join} ORDER BY 1"""
    )
    rows: dict[int, list[str]] = {}
    for place, (portion, text) in enumerate(found):
        rows.setdefault(portion if table in BY_PAIRS else place // sync.PAIRS_PER_WRITE, []).append(text)
    return rows


def _statement(admin: Admin, table: str, rows: list[str]) -> str:
    columns = admin.columns(table)
    key = KEYS.get(table, ("brand_id", "id"))
    changes = ", ".join(f"{column} = EXCLUDED.{column}" for column in columns if column not in key)
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join(rows)}"
        f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}"
    )
