"""Writing the log: once per event, in whatever order; people who are recognised later."""

import threading
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import Error

from events import log, reactors
from events.models import Event
from scrm.lib.ids import made_id
from tenants.scope import brand_scope
from tests.cast import NOON
from tests.events.reading import backend_pid, event, in_thread, known_as, read_all, wait_until_locked

UNION = ("unionid", "o-zhou")


def test_a_retry_writes_nothing_and_changes_nothing(cast):
    first = event("sign_in", NOON, 1, id=uuid4())
    again = event("sign_in", NOON, 1, id=first.id, props={"page": "changed"})

    with brand_scope(cast.brand.id):
        assert log.write([first], at=NOON).written == 1
        result = log.write([again, event("sign_in", NOON, 2)], at=NOON + timedelta(hours=1))

        assert (result.written, result.duplicates) == (1, 1)
        kept = Event.objects.get(id=first.id)
        assert (kept.props, kept.received_at) == ({}, NOON)


def test_the_same_id_twice_in_one_batch_is_one_event(cast):
    twice = [event("sign_in", NOON, 1, id=made_id("once")) for _ in range(2)]

    with brand_scope(cast.brand.id):
        assert log.write(twice, at=NOON).duplicates == 1
        assert Event.objects.count() == 1


def test_texts_arrive_as_they_were_sent(cast):
    props = {"page": '首页 "a\\b" 🍎 %s %(x)s', "n": 3, "yes": True, "none": None}

    with brand_scope(cast.brand.id):
        log.write([event("page_view", NOON, 1, props=props)], at=NOON)

        assert Event.objects.get().props == props


def test_readable_columns_come_from_the_properties(cast):
    props = {"product_id": "P1", "category": "巾帕", "amount_fen": 9900, "dwell_seconds": 12}

    with brand_scope(cast.brand.id):
        log.write([event("product_view", NOON, 1, props=props)], at=NOON)

        row = Event.objects.get()
        assert (row.product_id, row.category, row.amount_fen, row.dwell_seconds) == ("P1", "巾帕", 9900, 12)


def test_another_brand_sees_none_of_it_and_may_use_the_same_id(cast):
    shared = made_id("shared")

    for brand in (cast.brand, cast.other):
        with brand_scope(brand.id):
            assert log.write([event("sign_in", NOON, 1, id=shared)], at=NOON).written == 1
            assert Event.objects.count() == 1


def test_an_event_outside_every_month_is_refused_whole(cast):
    with pytest.raises(Error), brand_scope(cast.brand.id):
        log.write([event("sign_in", NOON - timedelta(days=3650), 1)], at=NOON)


def test_writes_a_set_at_a_time_and_once(cast):
    contacts = [cast.contact(name).id for name in ("陈小满", "周周", "李然")]
    select = """SELECT made_id(%s || ':' || c.id) AS id, %s::timestamptz AS occurred_at, 'x_birthday' AS type,
                       c.id AS contact_id, jsonb_build_object('name', c.name) AS props
                FROM contacts_contact c WHERE c.brand_id = %s"""

    with brand_scope(cast.brand.id):
        written = [log.write_select(select=select, params=["b", NOON, cast.brand.id], at=NOON) for _ in range(2)]

        assert written == [3, 0]
        rows = Event.objects.order_by("contact_id")
        assert [(row.contact_id, row.source, row.type) for row in rows] == [
            (each, "system", "x_birthday") for each in contacts
        ]
        assert {row.id for row in rows} == {made_id("b", each) for each in contacts}


def test_an_event_of_a_known_person_finds_its_contact(cast):
    contact = known_as(cast.brand.id, UNION, NOON)

    with brand_scope(cast.brand.id):
        result = log.write([event("sign_in", NOON, identity=UNION)], at=NOON)

        assert not result.unlinked
        row = Event.objects.get()
        assert (row.contact_id, row.identity_type, row.identity_value) == (contact, *UNION)


def test_an_identity_of_another_brand_is_a_stranger(cast):
    known_as(cast.other.id, UNION, NOON)

    with brand_scope(cast.brand.id):
        log.write([event("sign_in", NOON, identity=UNION)], at=NOON)
        assert Event.objects.get().contact_id is None


def test_reactors_meet_an_event_when_its_person_is_recognised(live_cast, heard):
    brand_id = live_cast.brand.id
    with brand_scope(brand_id):
        written = log.write([event("sign_in", NOON, identity=UNION), event("share", NOON, identity=UNION)], at=NOON)
    read_all(brand_id)
    assert len(written.unlinked) == 2
    assert heard.rows == []  # passed over, the cursor is behind them now

    contact = known_as(brand_id, UNION, NOON + timedelta(days=3))
    read_all(brand_id)
    read_all(brand_id)

    assert sorted(heard.ids) == sorted(written.new)
    assert {row.contact_id for row in heard.rows} == {contact}


def test_linking_leaves_events_alone_that_have_a_contact(cast):
    first = known_as(cast.brand.id, UNION, NOON)
    with brand_scope(cast.brand.id):
        log.write([event("sign_in", NOON, identity=UNION)], at=NOON)

        assert log.link([(*UNION, first + 1)]) == 0
        assert Event.objects.get().contact_id == first


def test_an_event_written_while_its_person_is_being_recognised_is_not_left_behind(live_cast, heard):
    """The writer looked before the identity was there, the linker before the event was: one must wait."""
    brand_id, pids = live_cast.brand.id, []
    identity_stored, event_waits = threading.Event(), threading.Event()

    def recognise() -> None:
        with brand_scope(brand_id):
            from contacts.oneid.identity import Claim, attach

            attach(claims=[Claim((UNION,))], at=NOON)
            identity_stored.set()
            event_waits.wait(60)

    def send() -> None:
        identity_stored.wait(60)
        with brand_scope(brand_id):
            pids.append(backend_pid())
            log.write([event("sign_in", NOON, identity=UNION)], at=NOON)

    threads = [in_thread(recognise), in_thread(send)]
    identity_stored.wait(60)
    while not pids:
        threading.Event().wait(0.005)
    try:
        wait_until_locked(pids[0])
    finally:
        event_waits.set()
        for thread in threads:
            thread.join()

    read_all(brand_id)
    assert len(heard.rows) == 1
    assert heard.rows[0].contact_id is not None


def test_a_person_recognised_while_their_event_is_being_written_gets_it(live_cast, heard):
    """The other order: the event is written and not yet committed when the identity is stored."""
    brand_id, pids = live_cast.brand.id, []
    event_written, linker_waits = threading.Event(), threading.Event()

    def send() -> None:
        with brand_scope(brand_id):
            log.write([event("sign_in", NOON, identity=UNION)], at=NOON)
            event_written.set()
            linker_waits.wait(60)

    def recognise() -> None:
        from contacts.oneid.identity import Claim, attach

        event_written.wait(60)
        with brand_scope(brand_id):
            pids.append(backend_pid())
            attach(claims=[Claim((UNION,))], at=NOON)

    threads = [in_thread(send), in_thread(recognise)]
    while not pids:
        threading.Event().wait(0.005)
    try:
        wait_until_locked(pids[0])
    finally:
        linker_waits.set()
        for thread in threads:
            thread.join()

    read_all(brand_id)
    assert [row.contact_id is not None for row in heard.rows] == [True]


def test_two_reactors_may_not_share_a_name(heard):
    with pytest.raises(ValueError, match="heard"):
        reactors.register(heard.reactor("heard"))


def test_two_senders_of_the_same_events_do_not_deadlock(live_cast):
    """A client that gave up waiting sends its batch again, in another order, while the first is still being written."""
    brand_id, count = live_cast.brand.id, 400
    both_ready, results = threading.Barrier(2), []

    def send(step: int, turn: int) -> None:
        events = [event("sign_in", NOON, 1, id=made_id(turn, n)) for n in range(count)][::step]
        both_ready.wait(60)
        with brand_scope(brand_id):
            results.append(log.write(events, at=NOON).written)

    for turn in range(5):
        threads = [in_thread(lambda step=step, turn=turn: send(step, turn)) for step in (1, -1)]
        for thread in threads:
            thread.join()

    assert len(results) == 10
    assert sum(results) == 5 * count
