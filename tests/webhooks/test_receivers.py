"""Receivers that are slow, large, sly or busy: real sockets on the other side."""

import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contacts import merging
from contacts.merging import Wanted
from contacts.models import Identity
from scrm.lib.ids import made_id
from tenants.actors import SYSTEM
from tenants.scope import brand_scope
from tests.webhooks.test_telling import happen, make, rows, send
from webhooks import post as calling
from webhooks import queue, sending
from webhooks.models import Webhook, WebhookDelivery
from webhooks.post import post

CALL = {"body": b'{"type": "ping"}', "headers": {}}


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that answers each connection so; its port."""
    server = socket.create_server(("127.0.0.1", 0))
    stopped = threading.Event()

    def serve() -> None:
        while not stopped.is_set():
            with suppress(OSError):
                there, _address = server.accept()
                threading.Thread(target=one, args=(there,), daemon=True).start()

    def one(there: socket.socket) -> None:
        with there, suppress(OSError):
            answer(there)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield server.getsockname()[1]
    finally:
        stopped.set()
        server.close()


def dripping(start: bytes) -> Callable[[socket.socket], None]:
    """A byte now and then, for ever."""

    def answer(there: socket.socket) -> None:
        there.sendall(start)
        while True:
            there.sendall(b"x")
            threading.Event().wait(0.02)

    return answer


@pytest.fixture
def hurried(monkeypatch, settings):
    settings.ORCHARD_WEBHOOKS_PRIVATE = True
    monkeypatch.setattr(calling, "ANSWER_SECONDS", 0.3)


@pytest.mark.parametrize(
    ("scheme", "start"),
    [
        ("https", b"\x16\x03\x03\x40\x00\x02"),  # a record of 16,384 bytes, and the beginning of a server hello
        ("http", b"HTTP/1.1 200 OK\r\nx-long: "),
        ("http", b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n"),
    ],
)
def test_who_lets_fall_a_byte_now_and_then_is_cut_off(hurried, scheme, start) -> None:
    with listening(dripping(start)) as port:
        assert post(f"{scheme}://127.0.0.1:{port}/", **CALL).outcome == "timeout"


def test_of_an_endless_answer_little_is_read(hurried) -> None:
    def endless(there: socket.socket) -> None:
        there.recv(65536)
        there.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n")
        while True:
            there.sendall(b"y" * 65536)

    with listening(endless) as port:
        answer = post(f"http://127.0.0.1:{port}/", **CALL)
    assert (answer.outcome, answer.text) == ("delivered", "y" * 500)


@pytest.mark.parametrize("said", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 2000 OK\r\n\r\n"])
def test_what_is_no_http_is_named(hurried, said) -> None:
    with listening(lambda there: there.sendall(said)) as port:
        assert post(f"http://127.0.0.1:{port}/", **CALL).outcome == "broken"


@pytest.mark.parametrize(
    "addresses",
    [
        ["10.0.0.1"],
        ["93.184.216.34", "10.0.0.1"],  # one of them is enough
        ["2606:2800:220:1::1", "::ffff:127.0.0.1"],
        ["64:ff9b::a9fe:a9fe"],
        ["64:ff9b:1::a00:1"],
        ["2002:a00:1::"],
        ["fec0::1"],
        ["::10.0.0.1"],
        ["fe80::1%eth0"],
        ["0.0.0.0"],
        ["100.64.0.1"],
        ["168.63.129.16"],
        ["192.0.0.192"],
        ["::ffff:168.63.129.16"],
    ],
)
def test_a_name_that_leads_inside_is_not_called(settings, monkeypatch, addresses) -> None:
    settings.ORCHARD_WEBHOOKS_PRIVATE = False
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: [(0, 0, 0, "", (each, 443)) for each in addresses])
    assert post("https://shop.example.com/", **CALL).outcome == "forbidden_address"


def test_a_name_is_asked_once_and_that_address_is_called(receiver, monkeypatch) -> None:
    port = int(receiver.url.split(":")[2].partition("/")[0])
    answers, real, asked = iter(["127.0.0.1"]), socket.getaddrinfo, []

    def changing(host: str, *rest: Any, **more: Any) -> Any:
        if host != "shop.example.com":
            return real(host, *rest, **more)
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers, "127.0.0.99"), port))]

    monkeypatch.setattr(socket, "getaddrinfo", changing)
    assert post(f"http://shop.example.com:{port}/orchard", **CALL).outcome == "delivered"
    assert asked == ["shop.example.com"]
    assert receiver.raw[0][0]["host"] == f"shop.example.com:{port}"


def test_who_was_merged_since_is_told_of_as_who_they_are(cast, receiver) -> None:
    one, other = cast.contact().pk, cast.contact().pk
    webhook = make(cast, receiver).webhook
    happen(cast, ("sign_in", other))
    with brand_scope(cast.brand.pk):
        Identity.objects.create(
            id=made_id(cast.brand.pk, "identity", "unionid", "u1"),
            contact_id=other,
            type="unionid",
            value="u1",
            first_seen_at=datetime.now(UTC),
        )
        merging.merge(wanted=[Wanted(one, other)], at=datetime.now(UTC))
    send(cast, webhook)
    assert receiver.got[0]["data"]["contact"] == {"id": one, "identities": {"unionid": ["u1"]}}


def test_of_two_who_are_one_the_later_event_waits_for_the_earlier(cast, receiver) -> None:
    one, other = cast.contact().pk, cast.contact().pk
    webhook = make(cast, receiver, "sign_in", "share").webhook
    receiver.answer = lambda said: 500 if said["type"] == "sign_in" else 200
    happen(cast, ("sign_in", other))
    send(cast, webhook)
    with brand_scope(cast.brand.pk):
        (merge_id,) = merging.merge(wanted=[Wanted(one, other)], at=datetime.now(UTC))
    happen(cast, ("share", one), start=5)
    send(cast, webhook)
    assert receiver.got == [], "the same customer's first event has yet to be told"
    receiver.answer = 200
    send(cast, webhook, minutes=1)
    assert receiver.told() == [("sign_in", one), ("share", one)]
    with brand_scope(cast.brand.pk):
        merging.split(merge_ids=[merge_id], actor=SYSTEM, at=datetime.now(UTC))
    assert [row["contact_id"] for row in rows(cast)] == [other, one]


def test_each_persons_events_keep_their_order_under_many_workers_and_a_replay(live_cast, receiver) -> None:
    people = [live_cast.contact().pk for _ in range(5)]
    webhook = make(live_cast, receiver).webhook
    turns, lock = itertools.count(), threading.Lock()

    def moody(_said: dict[str, Any]) -> int:
        with lock:
            return 500 if next(turns) % 4 == 0 else 200

    receiver.answer = moody
    happened = happen(live_cast, *[("sign_in", who) for _round in range(6) for who in people])
    began = datetime.now(UTC)
    clock = itertools.count()

    def worker() -> None:
        from django.db import connection

        try:
            for _turn in range(12):
                # Time goes on by six seconds a turn: what failed once is due again, no lease runs out.
                at = began + timedelta(seconds=6 * next(clock))
                with brand_scope(live_cast.brand.pk):
                    Webhook.objects.filter(pk=webhook.pk).update(rests_until=None, failures=0)
                sending.send_due(brand_id=live_cast.brand.pk, webhook_id=webhook.pk, at=at)
        finally:
            connection.close()

    threads = [threading.Thread(target=worker) for _ in range(3)]
    for each in threads:
        each.start()
    with brand_scope(live_cast.brand.pk):
        some = list(WebhookDelivery.objects.filter(status="delivered").values_list("pk", flat=True)[:3])
        queue.replay(webhook=webhook, delivery_ids=some, actor=SYSTEM, at=began)
    for each in threads:
        each.join(60)
    receiver.answer = 200
    send(live_cast, webhook, hours=12)

    assert {row["status"] for row in rows(live_cast)} == {"delivered"}
    place = {str(event): number for number, event in enumerate(happened)}
    firsts: dict[int, list[int]] = {who: [] for who in people}
    for said in receiver.got:
        told = firsts[said["data"]["contact"]["id"]]
        if place[said["data"]["id"]] not in told:
            told.append(place[said["data"]["id"]])
    assert all(told == sorted(told) and len(told) == 6 for told in firsts.values())
