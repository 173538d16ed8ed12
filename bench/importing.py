"""A file of events, a million rows at full scale: read and stored as an upload does, then imported by one worker."""

import io
import random
from datetime import timedelta

from django.utils import timezone

from bench import people
from bench.measure import Measure, seconds
from bench.people import CATEGORIES, People
from bench.scratch import Admin
from events.imports import jobs
from tenants.actors import SYSTEM
from tenants.scope import brand_scope

ROWS, CONTACTS = 1_000_000, 20_000
DAYS = 300
GOAL = 2_000
"""rows a second that an import should reach: a million within ten minutes"""


def measure(admin: Admin, scale: float, _rounds: int) -> list[Measure]:
    """Once: rows per second from the first part to the last, and how long the upload took."""
    admin.empty(*people.EVERYTHING)
    crowd = people.make(admin, slug="bench-import", contacts=max(200, round(CONTACTS * scale)), guides=10)
    rows = max(2_000, round(ROWS * scale))
    raw, now = _file(crowd, rows), timezone.now()
    ids = list[int]()
    uploading = seconds(
        lambda: ids.append(
            jobs.upload(
                brand_id=crowd.brand_id,
                kind="events",
                name="bench.csv",
                file=io.BytesIO(raw),
                size=len(raw),
                actor=SYSTEM,
                language="zh-hans",
                at=now,
            )
        )
    )
    with brand_scope(crowd.brand_id):
        mapping = {0: "identity.unionid", 1: "occurred_at", 2: "props.product_id", 3: "props.category"}
        options = {"type": "product_view"}
        jobs.start(import_id=ids[0], mapping=mapping, options=options, actor=SYSTEM, at=now)
    importing = seconds(lambda: _to_the_end(crowd, ids[0]))
    with brand_scope(crowd.brand_id):
        done = jobs.progress(ids[0])
    if (done.accepted, done.refused) != (rows, 0):
        raise RuntimeError(f"{done} of {rows} rows")
    note = f"{rows:,} rows, {len(raw) >> 20} MB of GBK; uploaded in {uploading:.1f} s, imported by one process"
    return [Measure("import of a file", rows / importing, "rows/s", GOAL, 1.0, note)]


def _file(crowd: People, rows: int) -> bytes:
    chance, now = random.Random("import"), timezone.now()
    lines = ["unionid,时间,商品,品类"]
    for number in range(rows):
        at = now - timedelta(seconds=chance.randrange(DAYS * 86_400))
        lines.append(
            f"ou{1 + chance.randrange(crowd.contacts)},{at:%Y/%m/%d %H:%M:%S},P{number},{chance.choice(CATEGORIES)}"
        )
    return "\r\n".join(lines).encode("gb18030")


def _to_the_end(crowd: People, import_id: int) -> None:
    while jobs.step(brand_id=crowd.brand_id, import_id=import_id, at=timezone.now()):
        pass
