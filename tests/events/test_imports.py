"""Importing events from files: whatever Excel writes, with what is wrong said row by row, and nothing doubled."""

import csv
import io
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client

from events import declared, tasks
from events.imports import forgetting, jobs
from events.models import Event, Import, ImportPart
from scrm.lib.errors import Conflict, Invalid
from tenants.actors import SYSTEM
from tenants.scope import brand_scope
from tests.events.reading import known_as

HEADER = "手机号,发生时间,行为,品类,停留秒数"
ROW = "13800138000,2026-11-01 12:00:00,浏览商品,婴童,12"


@pytest.fixture
def at():
    return datetime(2026, 11, 22, 4, 0, tzinfo=UTC)


def uploaded(cast, text, at, *, name="history.csv", encoding="utf-8"):
    raw = text if isinstance(text, bytes) else text.encode(encoding)
    return jobs.upload(
        brand_id=cast.brand.pk,
        kind="events",
        name=name,
        file=io.BytesIO(raw),
        size=len(raw),
        actor=SYSTEM,
        language="zh-hans",
        at=at,
    )


def started(cast, import_id, at, mapping=None, **options):
    with brand_scope(cast.brand.pk):
        job = Import.objects.get(pk=import_id)
        chosen = mapping or {int(place): target for place, target in job.mapping.items()}
        jobs.start(import_id=import_id, mapping=chosen, options=options, actor=SYSTEM, at=at)


def ended(cast, import_id, at):
    while jobs.step(brand_id=cast.brand.pk, import_id=import_id, at=at):
        pass
    with brand_scope(cast.brand.pk):
        return jobs.progress(import_id)


def imported(cast, text, at, **options):
    import_id = uploaded(cast, text, at)
    started(cast, import_id, at, **options)
    return import_id, ended(cast, import_id, at)


def errors_of(cast, import_id):
    """The error file as lists: row, column, what, remedy, code."""
    raw = b"".join(jobs.error_file(brand_id=cast.brand.pk, import_id=import_id))
    return list(csv.reader(io.StringIO(raw.decode("utf-8-sig"))))[1:]


def events_of(cast):
    with brand_scope(cast.brand.pk):
        return list(Event.objects.order_by("occurred_at", "id"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_reads_what_spreadsheets_write(live_cast, at, encoding, delimiter):
    contact = known_as(live_cast.brand.pk, ("phone", "13800138000"), at)
    text = f"{HEADER}\r\n{ROW}\r\n".replace(",", delimiter)

    import_id = uploaded(live_cast, text.encode(encoding), at)
    started(live_cast, import_id, at)
    progress = ended(live_cast, import_id, at)

    assert (progress.accepted, progress.refused, progress.percent) == (1, 0, 100)
    [event] = events_of(live_cast)
    assert (event.type, event.category, event.dwell_seconds) == ("product_view", "婴童", 12)
    assert (event.contact_id, event.source, event.fires) == (contact, "import", False)
    assert event.occurred_at == datetime(2026, 11, 1, 4, 0, tzinfo=UTC)  # the brand's noon


def test_what_is_wrong_is_said_by_row_and_column(live_cast, at):
    rows = [
        ROW,
        "13800138000,明天,浏览商品,婴童,12",
        "",
        '13800138000,2026-11-01 12:00,浏览商品,"婴\n童",12',
        "13800138000,2026-11-01,浏览商品,婴童,十二",
        ",2026-11-01,浏览商品,婴童,1",
        "13800138000,2026-11-01,不认识,婴童,1",
        "13800138000,2019-11-01,浏览商品,婴童,1",
        "13800138000,2026-12-24,浏览商品,婴童,1",
        "13800138000",
    ]
    import_id, progress = imported(live_cast, "\n".join([HEADER, *rows]), at)

    assert (progress.accepted, progress.refused) == (2, 7)
    said = {(row, column, code) for row, column, _what, _remedy, code in errors_of(live_cast, import_id)}
    assert said >= {
        ("3", "发生时间", "import.time"),
        ("6", "停留秒数", "event.prop_type"),
        ("7", "identity", "event.person"),
        ("8", "行为", "event.type_unknown"),
        ("9", "发生时间", "event.too_old"),
        ("10", "发生时间", "event.ahead"),
        ("11", "发生时间", "import.time"),
    }
    assert all(what and remedy for _r, _c, what, remedy, _code in errors_of(live_cast, import_id))


def test_the_error_file_holds_no_formulas(live_cast, at):
    header = '手机号,"=HYPERLINK(""http://x"")",行为,"＠SUM(1)"'
    import_id = uploaded(live_cast, f"{header}\n13800138000,昨天,签到,x", at)
    mapping = {0: "identity.phone", 1: "occurred_at", 2: "type"}
    started(live_cast, import_id, at, mapping)
    assert ended(live_cast, import_id, at).refused == 1

    raw = b"".join(jobs.error_file(brand_id=live_cast.brand.pk, import_id=import_id)).decode("utf-8-sig")
    cells = [cell for row in csv.reader(io.StringIO(raw)) for cell in row]
    assert """'=HYPERLINK("http://x")""" in cells
    assert not [cell for cell in cells if cell.startswith(jobs.FORMULAS)]


def test_columns_of_one_name_are_told_apart_by_their_place(live_cast, at):
    text = "手机号,发生时间,行为,行为\n13800138000,2026-11-01,签到,浏览商品"
    import_id = uploaded(live_cast, text, at)
    with brand_scope(live_cast.brand.pk):
        job = Import.objects.get(pk=import_id)
        assert sorted(job.mapping.values()).count("type") == 1
    started(live_cast, import_id, at, {0: "identity.phone", 1: "occurred_at", 3: "type"})
    assert ended(live_cast, import_id, at).accepted == 1
    assert [event.type for event in events_of(live_cast)] == ["product_view"]


def test_a_corrected_file_adds_what_was_missing(live_cast, at):
    bad, good = ROW.replace("12:00:00", "noon"), ROW.replace("12:00:00", "12:30:00")
    imported(live_cast, "\n".join([HEADER, ROW, bad]), at)

    _id, progress = imported(live_cast, "\n".join([HEADER, ROW, good]), at)

    assert (progress.accepted, progress.duplicate, progress.refused) == (1, 1, 0)
    assert len(events_of(live_cast)) == 2


def test_same_rows_are_one_event_unless_a_column_tells_them_apart(live_cast, at):
    _id, same = imported(live_cast, "\n".join([HEADER, ROW, ROW]), at)
    _id, apart = imported(live_cast, "\n".join([HEADER + ",流水号", ROW + ",1", ROW + ",2", ROW + ",2"]), at)

    assert (same.accepted, same.duplicate) == (1, 1)
    assert (apart.accepted, apart.duplicate) == (2, 1)


def test_money_moments_and_own_types(live_cast, at):
    with brand_scope(live_cast.brand.pk):
        props = {"shelf": {"type": "text", "required": True}, "new": {"type": "bool"}}
        declared.save(name="x_scan", label="扫码", props=props, actor=SYSTEM, at=at)
    orders = (
        'unionid,时间,金额,订单号\no1,2026/1/5 9:03,"¥1,299.5",A1\no1,1767225600,0.01,A2\no1,2026年1月5日,1.999,A3\n'
    )
    _id, paid = imported(live_cast, orders, at, type="order_paid")
    scans = (
        "unionid,时间,props.shelf,props.new\no1,2026-11-01T12:00:00Z,A3,是\no1,2026-11-02,,否\no1,2026-11-03,B,maybe\n"
    )
    scan_id, scanned = imported(live_cast, scans, at, type="x_scan")

    assert (paid.accepted, paid.refused) == (2, 1)
    assert (scanned.accepted, scanned.refused) == (1, 2)
    amounts = {
        e.props["order_no"]: (e.amount_fen, e.occurred_at) for e in events_of(live_cast) if e.type == "order_paid"
    }
    assert amounts == {
        "A1": (129_950, datetime(2026, 1, 5, 1, 3, tzinfo=UTC)),
        "A2": (1, datetime(2026, 1, 1, tzinfo=UTC)),
    }
    assert [code for *_rest, code in errors_of(live_cast, scan_id)] == ["event.prop_missing", "event.prop_type"]


def test_fires_only_when_asked(live_cast, at, heard):
    from tests.events.reading import read_all

    contact = known_as(live_cast.brand.pk, ("phone", "13800138000"), at)
    imported(live_cast, f"{HEADER}\n{ROW}", at)
    read_all(live_cast.brand.pk)
    assert heard.rows == []

    imported(live_cast, f"{HEADER}\n{ROW.replace('12:00:00', '13:00:00')}", at, fires=True)
    read_all(live_cast.brand.pk)

    assert [row.contact_id for row in heard.rows] == [contact]


@pytest.mark.parametrize(
    ("code", "raw"),
    [
        ("import.encoding", b"\x89PNG\r\n\x1a\n\x00\x00"),
        ("import.encoding", "手机号,时间\n1,2\x00".encode()),
        ("import.encoding", "手机号\n".encode() + b"\xff\xfe\xff"),
        ("import.empty", b""),
        ("import.empty", b"\n\n"),
        ("import.empty", HEADER.encode()),
        ("import.header", (",".join(f"c{n}" for n in range(101)) + "\n1").encode()),
        ("import.quotes", (HEADER + '\n"' + "x" * 200_000).encode()),
        ("import.header", (",".join(f"c{n}" for n in range(10_000)) + "\n1").encode()),
        ("import.long_line", (HEADER + "\n" + "x" * 1_000_001).encode()),
        ("import.long_line", b"x" * 1_000_001),
        ("import.encoding", b"PK\x03\x04\x14\x00\x06\x00\x08\x00\x00\x00!\x00"),  # an .xlsx by another name
        ("import.encoding", f"{HEADER}\n{ROW}".encode("utf-16-le")),  # without its mark
    ],
)
def test_refuses_files_that_cannot_be_read_and_keeps_nothing(live_cast, at, code, raw):
    with pytest.raises(Invalid) as refusal:
        uploaded(live_cast, raw, at)

    assert [error.code for error in refusal.value.errors] == [code]
    assert refusal.value.errors[0].remedy
    with brand_scope(live_cast.brand.pk):
        assert not Import.objects.exists()
        assert not ImportPart.objects.exists()


@pytest.mark.parametrize(
    ("code", "mapping", "options"),
    [
        ("import.no_time", {0: "identity.phone"}, {"type": "sign_in"}),
        ("import.no_person", {1: "occurred_at"}, {"type": "sign_in"}),
        ("import.no_type", {0: "identity.phone", 1: "occurred_at"}, {}),
        ("event.type_reserved", {0: "identity.phone", 1: "occurred_at"}, {"type": "friend_added"}),
        ("event.type_unknown", {0: "identity.phone", 1: "occurred_at"}, {"type": "nope"}),
        ("import.target", {0: "identity.email", 1: "occurred_at"}, {"type": "sign_in"}),
        ("import.target_twice", {0: "identity.phone", 1: "occurred_at", 2: "occurred_at"}, {"type": "sign_in"}),
        ("import.no_space", {0: "identity.external_userid", 1: "occurred_at"}, {"type": "sign_in"}),
    ],
)
def test_says_what_is_missing_in_the_choice(live_cast, at, code, mapping, options):
    import_id = uploaded(live_cast, f"{HEADER}\n{ROW}", at)

    with pytest.raises(Invalid) as refusal:
        started(live_cast, import_id, at, mapping, **options)

    assert code in {error.code for error in refusal.value.errors}
    assert ended(live_cast, import_id, at).done == 0


def test_starts_once_and_stops_when_cancelled(live_cast, at):
    import_id = uploaded(live_cast, "\n".join([HEADER, *(f"1380013{n:04},2026-11-01,签到,," for n in range(2500))]), at)
    started(live_cast, import_id, at)
    with pytest.raises(Conflict):
        started(live_cast, import_id, at)

    assert jobs.step(brand_id=live_cast.brand.pk, import_id=import_id, at=at)
    with brand_scope(live_cast.brand.pk):
        jobs.cancel(import_id=import_id, actor=SYSTEM, at=at)

    progress = ended(live_cast, import_id, at)
    assert (progress.rows, progress.done, progress.accepted) == (2500, 1000, 1000)
    with brand_scope(live_cast.brand.pk), pytest.raises(Conflict):
        jobs.cancel(import_id=import_id, actor=SYSTEM, at=at)


WORKER = """
import django; django.setup()
from django.utils import timezone
from events.imports import jobs
print("working", flush=True)
while jobs.step(brand_id={brand}, import_id={job}, at=timezone.now()): pass
print("done", flush=True)
"""


def test_killed_at_any_moment_it_goes_on_and_doubles_nothing(live_cast, at):
    rows = 20_000
    lines = (f"1380{n:07},2026-11-{1 + n % 20:02} 10:00:00,签到,,," for n in range(rows))
    import_id = uploaded(live_cast, "\n".join([HEADER, *lines]), at)
    started(live_cast, import_id, at)
    script = WORKER.format(brand=live_cast.brand.pk, job=import_id)
    database = connection.settings_dict
    auth = f"{database['USER']}:{database['PASSWORD']}@{database['HOST']}:{database['PORT']}"
    environ = os.environ | {
        "DATABASE_URL": f"postgresql://{auth}/{database['NAME']}",
        "DJANGO_SETTINGS_MODULE": "scrm.settings",
    }
    environ.pop("DATABASE_OWNER_URL", None)
    kills = 0
    for done in (2_000, 9_000):
        worker = subprocess.Popen([sys.executable, "-c", script], env=environ, stdout=subprocess.PIPE)
        assert worker.stdout.readline() == b"working\n"
        deadline = time.monotonic() + 60
        while worker.poll() is None and time.monotonic() < deadline:
            with brand_scope(live_cast.brand.pk):
                if jobs.progress(import_id).done >= done:
                    break
        if worker.poll() is None:
            worker.send_signal(signal.SIGKILL)
            kills += 1
        worker.wait()
    with brand_scope(live_cast.brand.pk):
        interrupted = jobs.progress(import_id)
        assert Event.objects.count() == interrupted.accepted  # nothing half-written

    progress = ended(live_cast, import_id, at)

    assert kills
    assert 0 < interrupted.done < rows
    assert (progress.done, progress.accepted, progress.duplicate, progress.refused) == (rows, rows, 0, 0)
    with brand_scope(live_cast.brand.pk):
        assert Event.objects.count() == rows
        assert Import.objects.get(pk=import_id).status == Import.Status.DONE


def test_a_persons_rows_can_be_taken_out_of_the_files(live_cast, at):
    text = "\n".join([HEADER, ROW.replace("13800138000", "13900139000"), ROW, "x", ROW.replace("婴童", '"a\nb"')])
    import_id = uploaded(live_cast, text, at)

    with brand_scope(live_cast.brand.pk):
        assert forgetting.forget(words=["13800138000"], contact_ids=[]) == 1

    started(live_cast, import_id, at)
    progress = ended(live_cast, import_id, at)
    assert (progress.accepted, progress.refused) == (1, 1)
    assert {row for row, *_rest in errors_of(live_cast, import_id)} == {"4"}  # rows keep their numbers
    with brand_scope(live_cast.brand.pk):
        assert not ImportPart.objects.filter(text__contains="13800138000").exists()


def test_files_do_not_stay_for_ever(live_cast, at):
    import_id, _progress = imported(live_cast, f"{HEADER}\n{ROW}", at)
    waiting = uploaded(live_cast, f"{HEADER}\n{ROW}", at)

    assert jobs.clean(at=at + timedelta(days=6)) == 0
    assert jobs.clean(at=at + timedelta(days=8)) == 1
    assert jobs.clean(at=at + timedelta(days=31)) == 1

    with brand_scope(live_cast.brand.pk):
        assert set(ImportPart.objects.values_list("text", flat=True)) == {""}
        assert Import.objects.get(pk=waiting).status == Import.Status.CANCELLED
        assert jobs.progress(import_id).accepted == 1  # what came of it is still told


def test_another_brand_sees_nothing_of_it(live_cast, at):
    import_id = uploaded(live_cast, f"{HEADER}\n{ROW}", at)
    started(live_cast, import_id, at)

    assert not jobs.step(brand_id=live_cast.other.pk, import_id=import_id, at=at)
    assert b"".join(jobs.error_file(brand_id=live_cast.other.pk, import_id=import_id)).count(b"\n") == 1
    with brand_scope(live_cast.other.pk):
        assert jobs.progress(import_id).rows == 0


def test_by_rest(live_cast, at):
    alice = live_cast.alice
    made = alice.api("POST", "/api/v1/imports", {"name": "h.csv", "text": f"{HEADER}\n{ROW}\nx,,,,\n"})
    place = f"/api/v1/imports/{made.json()['id']}"
    assert made.status_code == 201
    assert made.json()["mapping"] == {"手机号": "identity.phone", "发生时间": "occurred_at", "行为": "type"} | {
        "品类": "props.category",
        "停留秒数": "props.dwell_seconds",
    }
    columns = {"手机号": "identity.phone", "发生时间": "occurred_at"}

    assert alice.api("POST", f"{place}/start", {"mapping": {"nope": "type"}}).status_code == 422
    assert alice.api("POST", f"{place}/start", {"mapping": columns, "options": {"type": "share"}}).status_code == 200
    assert alice.api("POST", f"{place}/start", {"mapping": columns, "options": {"type": "share"}}).status_code == 409
    ended(live_cast, made.json()["id"], at)

    said = alice.api("GET", place).json()
    assert (said["status"], said["rows"], said["done"], said["accepted"], said["refused"]) == ("done", 2, 2, 1, 1)
    errors = b"".join(alice.api("GET", f"{place}/errors")).decode("utf-8-sig")
    assert errors.splitlines()[1].startswith("3,")
    assert alice.api("DELETE", place).status_code == 409
    assert live_cast.charlie.api("GET", place).status_code == 404
    assert live_cast.charlie.api("GET", f"{place}/errors").status_code == 404
    assert alice.api("POST", "/api/v1/imports", {"name": "h.csv"}).status_code == 422
    assert alice.api("POST", "/api/v1/imports", {"kind": "nope", "text": "a\n1"}).status_code == 404


def test_a_file_by_rest(live_cast):
    file = io.BytesIO(f"{HEADER}\n{ROW}".encode("gbk"))
    file.name = "历史.csv"

    made = Client().post("/api/v1/imports", {"file": file}, headers={"Authorization": f"Bearer {live_cast.alice.key}"})

    assert made.status_code == 201, made.content
    assert (made.json()["encoding"], made.json()["rows"], made.json()["name"]) == ("gb18030", 1, "历史.csv")


def test_the_worker_finishes_it_and_the_sweep_finds_what_was_left(live_cast, at, queue):
    brand_id = live_cast.brand.pk
    import_id = uploaded(live_cast, "\n".join([HEADER, *(f"1380013{n:04},2026-11-01,签到,," for n in range(1500))]), at)
    started(live_cast, import_id, at)
    tasks.sweep_imports()

    tasks.run_import(brand_id=brand_id, import_id=import_id)

    with brand_scope(brand_id):
        assert Import.objects.get(pk=import_id).status == Import.Status.DONE
        assert jobs.progress(import_id).accepted == 1500
    tasks.run_import(brand_id=brand_id, import_id=import_id)  # a message that comes twice
    assert len(events_of(live_cast)) == 1500
