"""Reading the log: nothing skipped, nothing doubled, whoever commits when."""

import random
import threading
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection

from events import log, reactors
from events.models import Event, ReactorCursor
from events.reactors import Batch, Reactor, react, run
from scrm.lib.ids import made_id
from tenants.models import AuditEntry
from tenants.scope import brand_scope
from tests.cast import NOON
from tests.events.reading import Heard, event, in_thread, read_all


def written(brand_id: int, *types: str, **fields: object) -> list[UUID]:
    """Commit one event per type."""
    with brand_scope(brand_id):
        events = [event(kind, NOON, 1, **fields) for kind in types]
        log.write(events, at=NOON)
    return [each.id for each in events if each.id]


def test_reads_each_event_once(live_cast, heard):
    first = written(live_cast.brand.id, "sign_in", "share")
    read_all(live_cast.brand.id)
    second = written(live_cast.brand.id, "draw")
    read_all(live_cast.brand.id)
    read_all(live_cast.brand.id)

    assert sorted(heard.ids[:2]) == sorted(first)
    assert heard.ids[2:] == second


def test_a_brand_reads_its_own_log(live_cast, heard):
    mine = written(live_cast.brand.id, "sign_in")
    written(live_cast.other.id, "sign_in")

    read_all(live_cast.brand.id)

    assert heard.ids == mine


def test_what_is_given(cast, heard):
    props = {"product_id": "P1", "category": "巾帕", "dwell_seconds": 9, "ref_page": "home"}
    late, early = (event("product_view", NOON - timedelta(minutes=m), 7, props=props) for m in (1, 2))
    with brand_scope(cast.brand.id):
        log.write([late, early], at=NOON)
        horizon = log.current_txid() + 1

    react(brand_id=cast.brand.id, reactor="heard", at=NOON, horizon=horizon)

    assert heard.ids == [early.id, late.id]  # in order of occurrence
    row = heard.rows[0]
    assert (row.type, row.contact_id, row.props, row.source) == ("product_view", 7, props, "system")
    assert (row.product_id, row.category, row.dwell_seconds, row.amount_fen) == ("P1", "巾帕", 9, None)
    assert (row.occurred_at, row.received_at) == (early.occurred_at, NOON)


def test_only_the_types_it_asked_for(live_cast):
    orders = Heard()
    reactors.register(orders.reactor("orders", frozenset({"order_paid"}), limit=2))
    written(live_cast.brand.id, "sign_in", "sign_in", "sign_in")
    paid = written(live_cast.brand.id, "order_paid")

    read_all(live_cast.brand.id)

    assert orders.ids == paid


def test_old_imports_fire_nothing(live_cast, heard):
    written(live_cast.brand.id, "sign_in", source="import", fires=False)

    read_all(live_cast.brand.id)

    assert heard.rows == []
    with brand_scope(live_cast.brand.id):
        assert Event.objects.count() == 1


def test_a_batch_is_bounded_and_tells_that_there_is_more(live_cast):
    heard = Heard()
    reactors.register(heard.reactor("slow", limit=2))
    ids = written(live_cast.brand.id, "sign_in", "share", "draw")

    first, second = (
        react(brand_id=live_cast.brand.id, reactor="slow", at=NOON, horizon=2**62) for _ in range(2)
    )  # all is committed: no horizon needed

    assert (first.read, first.more) == (2, True)
    assert (second.read, second.more) == (1, False)
    assert sorted(heard.ids) == sorted(ids)


def test_a_transaction_that_commits_late_is_not_skipped(live_cast, heard):
    """The late one began first: its rows have the lower number, and must still be met."""
    brand_id, late = live_cast.brand.id, made_id("late")
    wrote, may_commit = threading.Event(), threading.Event()

    def slow_writer() -> None:
        with brand_scope(brand_id):
            log.write([event("sign_in", NOON, 1, id=late)], at=NOON)
            wrote.set()
            may_commit.wait(60)

    thread = in_thread(slow_writer)
    assert wrote.wait(60)
    quick = written(brand_id, "share")

    early = run(brand_id=brand_id, at=NOON)
    seen_early = list(heard.ids)
    may_commit.set()
    thread.join()
    read_all(brand_id)

    assert early.waiting  # it knows that something lies above the horizon
    assert seen_early == []  # the quick one waits for the slow one
    assert sorted(heard.ids) == sorted([*quick, late])


def test_nothing_is_skipped_or_doubled_under_concurrent_writers_and_readers(live_cast):
    """Six writers that commit and roll back as they please, two readers of the same reactor; effects are rows."""
    brand_id = live_cast.brand.id
    reactors.register(Reactor("audit", None, _audit, limit=7))
    committed: list[UUID] = []
    stop = threading.Event()

    def writer(seed: int) -> None:
        dice = random.Random(seed)
        for step in range(25):
            events = [event("sign_in", NOON, 1, id=made_id(seed, step, n)) for n in range(dice.randint(1, 5))]
            try:
                with brand_scope(brand_id):
                    log.write(events, at=NOON)
                    with connection.cursor() as cursor:
                        cursor.execute("SELECT pg_sleep(%s)", [dice.random() * 0.02])
                    if dice.random() < 0.2:
                        raise InterruptedError
            except InterruptedError:
                continue
            committed.extend(made_id(seed, step, n) for n in range(len(events)))

    def reader() -> None:
        while not stop.is_set():
            run(brand_id=brand_id, at=NOON)

    readers = [in_thread(reader) for _ in range(2)]
    writers = [in_thread(lambda seed=seed: writer(seed)) for seed in range(6)]
    for thread in writers:
        thread.join()
    stop.set()
    for thread in readers:
        thread.join()
    read_all(brand_id)

    with brand_scope(brand_id):
        effects = list(AuditEntry.objects.values_list("object_id", flat=True))
    assert len(effects) == len(set(effects)), "an event was reacted to twice"
    assert set(effects) == {str(each) for each in committed}


def _audit(batch: Batch) -> None:
    AuditEntry.objects.bulk_create(
        AuditEntry(at=batch.at, actor="system", action="heard", object_type="event", object_id=str(row.id))
        for row in batch.rows
    )


def test_a_reactor_that_fails_undoes_its_work_and_meets_the_events_again(live_cast, heard, caplog):
    written(live_cast.brand.id, "sign_in")
    broken = True

    def fragile(batch: Batch) -> None:
        _audit(batch)
        if broken:
            raise ValueError("a bug")

    reactors.register(Reactor("fragile", None, fragile))

    read_all(live_cast.brand.id)
    assert len(heard.rows) == 1  # the other reactor was not held up
    assert "events.reactor.failed" in caplog.text
    with brand_scope(live_cast.brand.id):
        assert not AuditEntry.objects.exists()

    broken = False
    read_all(live_cast.brand.id)
    with brand_scope(live_cast.brand.id):
        assert AuditEntry.objects.count() == 1
    assert len(heard.rows) == 1


def test_a_reader_leaves_a_batch_alone_that_another_holds(live_cast):
    brand_id = live_cast.brand.id
    inside, may_go_on = threading.Event(), threading.Event()
    heard = Heard()

    def slow(batch: Batch) -> None:
        inside.set()
        may_go_on.wait(60)
        heard.note(batch)

    reactors.register(Reactor("slow", None, slow))
    with brand_scope(brand_id):  # the cursor is there already: two may also race for making it
        log.write([event("sign_in", NOON, 1)], at=NOON)
        ReactorCursor.objects.create(brand_id=brand_id, reactor="slow", event_id=UUID(int=0), updated_at=NOON)
    thread = in_thread(lambda: read_all(brand_id))
    assert inside.wait(60)

    other = run(brand_id=brand_id, at=NOON)  # returns at once, and asks to look again

    may_go_on.set()
    thread.join()
    assert (other.read, other.waiting) == (0, True)
    assert len(heard.rows) == 1


def test_an_idle_reactor_writes_nothing(live_cast, heard):
    written(live_cast.brand.id, "sign_in")
    read_all(live_cast.brand.id)

    read_all(live_cast.brand.id, NOON + timedelta(hours=1))

    with brand_scope(live_cast.brand.id):
        assert ReactorCursor.objects.get().updated_at == NOON


@pytest.mark.parametrize("events", [0, 1])
def test_says_which_brands_have_something_to_read(live_cast, heard, events):
    written(live_cast.brand.id, *["sign_in"] * events)

    assert reactors.brands_with_unread() == [live_cast.brand.id] * events

    read_all(live_cast.brand.id)
    assert reactors.brands_with_unread() == []
